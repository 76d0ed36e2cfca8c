"""Measures the memory of a step: exactly, from torch's allocator, and as resident memory of the process.

This code never runs in a process whose speed is measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.autograd.profiler import profile
from torch.utils._pytree import tree_leaves

from harness.measure.runtime.builder import BuiltTrial, no_mark
from harness.measure.runtime.member import MARK, BuiltMember, columns, mark_timeline, step_with_marks
from harness.measure.runtime.nested import tensors_in
from harness.measure.runtime.task import Task
from harness.plugins.parts import Skip

PROCESS = Path("/proc/self")


def measure_memory(task: Task) -> dict[str, Any]:
    """The bytes of one trial, and the bytes that each batch of its work set needs in addition, as JSON values.

    `peak` has a list of bytes for each phase, and for the whole step under "step", one number per batch. `kept` is the
    number of bytes that autograd saves for the backward pass of each batch (training only). `counts` are the counted
    amounts of each batch. The first pass over the work set does not count: it creates the optimizer's state.
    """
    member = task.member()
    built = member.built
    peaks_of = peaks_on_gpu(built.device) if built.device.type == "cuda" else peaks_on_cpu
    # The profiler watches both passes: it does not report that memory is freed if it did not see it allocated.
    for _ in range(2):
        peaks = []
        for batch in range(len(member.batches)):
            task.doing(f"one {task.mode} step under a memory profiler")
            peaks.append(peaks_of(member, batch))
    saved = []
    for examples in member.batches if task.mode == "train" else ():
        task.doing("one train step that counts its saved tensors")
        saved.append(saved_for_backward(built, examples))
    return {
        "parameters": sum(parameter.numel() for parameter in built.model.parameters()),
        "parameter_bytes": sum(map(size, built.model.parameters())),
        **({"optimizer_bytes": optimizer_bytes(built)} if task.mode == "train" else {}),
        "peak": columns(peaks),
        "kept": saved,
        "counts": member.counts(),
        "device": built.device.type,
    }


def size(tensor: torch.Tensor) -> int:
    """The bytes of a tensor's elements."""
    return int(tensor.numel() * tensor.element_size())


def optimizer_bytes(built: BuiltTrial) -> int:
    """The bytes of the tensors in the optimizer's state."""
    states = tree_leaves(built.optimizer.state_dict()) if built.optimizer else ()
    return sum(size(value) for value in states if isinstance(value, torch.Tensor))


def peaks_on_cpu(member: BuiltMember, batch: int) -> dict[str, int]:
    """Peak bytes of each phase of one step, and of the whole under "step", in addition to what was allocated before it.

    They come from the profiler's events of torch's CPU allocator, so memory that a library allocates itself is missing.
    """
    with profile(profile_memory=True, use_kineto=True) as profiler:
        member.step(batch, mark_timeline)
    events = sorted(profiler.kineto_results.events(), key=lambda event: event.start_ns())
    return peaks_of_events((event.name(), event.nbytes()) for event in events)


def peaks_of_events(events: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The peak of each phase, from events in order of time: (name, bytes that are allocated or, below zero, freed)."""
    peaks: dict[str, int] = {}
    allocated = highest = 0
    last = "step"
    for name, amount in events:
        if name == "[memory]":
            allocated += amount
            highest = max(highest, allocated)
        elif name.startswith(MARK):
            last = name.removeprefix(MARK)
            peaks[last] = max(peaks.get(last, 0), highest)
            highest = allocated
    if last != "step":  # memory allocated after the last mark belongs to its phase, as in timing
        peaks[last] = max(peaks[last], highest)
    return {**peaks, "step": max(highest, *peaks.values(), 0)}


def peaks_on_gpu(device: torch.device) -> Callable[[BuiltMember, int], dict[str, int]]:
    """A function like `peaks_on_cpu` that reads the counters of CUDA's caching allocator. They change when work is
    queued, so no synchronization is needed."""

    def peaks_of(member: BuiltMember, batch: int) -> dict[str, int]:
        peaks: dict[str, int] = {}

        def mark(phase: str) -> None:
            highest = torch.cuda.max_memory_allocated(device) - before
            peaks[phase] = max(peaks.get(phase, 0), highest)
            torch.cuda.reset_peak_memory_stats(device)

        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step_with_marks(member, batch, mark)
        return {**peaks, "step": max(peaks.values())}

    return peaks_of


def saved_for_backward(built: BuiltTrial, examples: Sequence[Any]) -> int:
    """The largest number of bytes that autograd holds for the backward pass at one time during one step. Each storage
    counts once, with its whole size. Parameters, buffers and the batch do not count, since they exist anyway."""
    batch = built.batch(examples)
    saved = SavedTensors([*built.model.parameters(), *built.model.buffers(), *tensors_in(batch)])
    with saved_tensors_hooks(saved.pack, lambda handle: handle.tensor):
        built.step(built, batch, no_mark)
    return saved.peak


class SavedTensors:
    """Counts the bytes that autograd saves and releases; `peak` is the largest number at one time. Storages of the
    tensors in `ignored` do not count."""

    def __init__(self, ignored: Iterable[torch.Tensor]) -> None:
        self.ignored = {storage_of(tensor) for tensor in ignored}
        self.users: Counter[Any] = Counter()
        self.now = self.peak = 0

    def pack(self, tensor: torch.Tensor) -> SavedTensor:
        """Called for each tensor that is saved."""
        storage = storage_of(tensor)
        counted = storage not in self.ignored
        if counted:
            self.users[storage] += 1
            if self.users[storage] == 1:
                self.now += storage[-1]
                self.peak = max(self.peak, self.now)
        return SavedTensor(tensor, self.release if counted else lambda storage: None, storage)

    def release(self, storage: Any) -> None:
        """Called when one of the saved tensors of a storage is released."""
        self.users[storage] -= 1
        if not self.users[storage]:
            self.now -= storage[-1]


class SavedTensor:
    """A saved tensor. Its storage lives as long as it does, so no other storage can have the same address meanwhile.
    Autograd drops it as soon as its node has run."""

    def __init__(self, tensor: torch.Tensor, release: Callable[[Any], None], storage: Any) -> None:
        self.tensor, self.release, self.storage = tensor, release, storage

    def __del__(self) -> None:
        self.release(self.storage)


def storage_of(tensor: torch.Tensor) -> tuple[str, int, int]:
    """The device, address and bytes of a tensor's storage, which identify it among those that exist."""
    if tensor.layout != torch.strided:  # a sparse tensor has several storages: count its elements
        return str(tensor.device), id(tensor), size(tensor)
    storage = tensor.untyped_storage()
    return str(tensor.device), storage.data_ptr(), storage.nbytes()


def measure_resident(task: Task) -> dict[str, Any]:
    """The resident memory of this process in bytes: `mark` after the trial was built, and `peak` over two passes.

    `mark_file` and `peak_file` are the bytes in pages of libraries and other files, which a step may be the first to
    access. ``ru_maxrss`` is not used, because it would include the process that this one was forked from. Raises Skip
    if the kernel cannot reset the peak.
    """
    member = task.member()
    try:
        (PROCESS / "clear_refs").write_text("5")
    except OSError as error:
        raise Skip(f"the kernel does not reset a process's peak memory ({error.strerror})") from None
    mark = status()
    member.run_work_set(passes=2)
    now = status()
    return {"mark": mark["VmRSS"], "mark_file": mark["RssFile"], "peak": now["VmHWM"], "peak_file": now["RssFile"]}


def status() -> dict[str, int]:
    """The sizes in /proc/self/status, in bytes."""
    lines = (line.split() for line in (PROCESS / "status").read_text(encoding="utf-8", errors="replace").splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[-1:] == ["kB"]}
