"""What must exist before the process does. Trials with different surroundings run in processes that take turns."""

from __future__ import annotations

from pathlib import Path

from harness import Recipe


def threads(recipe: Recipe, *, count: int = 2) -> Recipe:
    """Compute on `count` threads.

    Fused modules gain more from threads than loops of small steps do. Threads spin for a while after a parallel region,
    so processes that wait for their turn are stopped meanwhile. On a shared machine nothing can be said: CPU time,
    which decides there for one thread, does not tell what several lost.
    """
    return recipe


def threads_environment(*, count: int) -> dict[str, str]:
    """The variable that says it to the measuring process."""
    if count < 1:
        raise ValueError(f"count = {count} is not above 0")
    return {"HARNESS_THREADS": str(count)}


def allocator(recipe: Recipe, *, keep_mib: int = 1024, preload: str = "") -> Recipe:
    """Let glibc's allocator keep up to `keep_mib` MiB that a step frees instead of giving it back to the system
    (mallopt(3): M_MMAP_THRESHOLD, M_TRIM_THRESHOLD); or `preload` the library of another allocator.

    Long sequences free and take their activations at each step: given back, every page of them costs a fault.
    """
    return recipe


def allocator_environment(*, keep_mib: int, preload: str) -> dict[str, str]:
    """The variables of glibc, or the library to load before it."""
    if preload:
        if not Path(preload).is_file():
            raise ValueError(f"preload = {preload!r} is no file")
        return {"LD_PRELOAD": preload}
    if keep_mib < 1:
        raise ValueError(f"keep_mib = {keep_mib} is not above 0")
    kept = str(keep_mib * 2**20)
    return {"MALLOC_MMAP_THRESHOLD_": kept, "MALLOC_TRIM_THRESHOLD_": kept, "MALLOC_TOP_PAD_": str(64 * 2**20)}
