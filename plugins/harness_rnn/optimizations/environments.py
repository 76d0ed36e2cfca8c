"""Process environments. Trials with different environments run in separate processes that take turns."""

from __future__ import annotations

from pathlib import Path

from harness import Recipe


def threads(recipe: Recipe, *, count: int = 2) -> Recipe:
    """Compute with `count` threads.

    Fused modules gain more from threads than loops of small steps do. Threads spin for a while after a parallel region,
    so processes that wait for their turn are stopped. On a shared machine there is no verdict: CPU time, which is used
    there for one thread, does not show how long several threads waited. Raises ValueError if `count` is below 1.
    """
    return recipe


def threads_environment(*, count: int) -> dict[str, str]:
    """The variable that the measuring process reads."""
    if count < 1:
        raise ValueError(f"count = {count}: it must be at least 1")
    return {"HARNESS_THREADS": str(count)}


def allocator(recipe: Recipe, *, keep_mib: int = 1024, preload: str = "") -> Recipe:
    """Configure glibc's allocator (mallopt(3): M_MMAP_THRESHOLD, M_TRIM_THRESHOLD), or use another one.

    `keep_mib` is the number of MiB that the process keeps when a step frees memory. Long sequences free and allocate
    their activations in each step; returning them to the system costs a page fault per page. `preload` is the library
    of another allocator. Raises ValueError if `keep_mib` is below 1 or `preload` is not a file.
    """
    return recipe


def allocator_environment(*, keep_mib: int, preload: str) -> dict[str, str]:
    """The variables of glibc, or the library to preload."""
    if preload:
        if not Path(preload).is_file():
            raise ValueError(f"preload = {preload!r}: file not found")
        return {"LD_PRELOAD": preload}
    if keep_mib < 1:
        raise ValueError(f"keep_mib = {keep_mib}: it must be at least 1")
    size = str(keep_mib * 2**20)
    return {"MALLOC_MMAP_THRESHOLD_": size, "MALLOC_TRIM_THRESHOLD_": size, "MALLOC_TOP_PAD_": str(64 * 2**20)}
