"""What a step takes of memory: exactly, by torch's allocator, and as the system sees it. Never with the clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.autograd.profiler import profile, record_function

from harness.measure.runtime.builder import BuiltTrial
from harness.measure.runtime.clock import Member
from harness.measure.runtime.failure import blaming
from harness.measure.runtime.task import Task
from harness.plugins.parts import Skip

#: What a mark's event is called in the profiler's stream, before the phase that ends there.
MARK = "end of phase "
PROCESS = Path("/proc/self")


def measure_memory(task: Task) -> dict[str, Any]:
    """Bytes that one trial holds, and that each batch of its work set takes above that, as JSON values.

    `peak` has a list of bytes a phase, and of the whole under "step", one number a batch; `kept` is what autograd keeps
    for the backward pass of each (training only); `counts` are the batches' counted amounts. The first pass over the
    work set is not counted: the optimizer's state comes to be in it. Raises TrialFailed.
    """
    member, mode, watchdog = task.member(), task.mode, task.watchdog
    level, built = member.level, member.built
    peaks_of = peaks_on_gpu(built.device) if built.device.type == "cuda" else peaks_on_cpu
    with blaming(level, "measuring memory"):
        # The profiler watches both passes: it does not report that memory is freed which it did not see allocated.
        for _ in range(2):
            peaks = []
            for batch in range(len(member.batches)):
                watchdog.doing(level, f"one {mode} step under a memory profiler")
                peaks.append(peaks_of(member, batch))
        kept = []
        for examples in member.batches if mode == "train" else ():
            watchdog.doing(level, "one train step that counts what it keeps")
            kept.append(kept_for_backward(built, examples))
        watchdog.rest()
        return {
            "parameters": sum(parameter.numel() for parameter in built.model.parameters()),
            "parameter_bytes": sum(map(size, built.model.parameters())),
            **({"optimizer_bytes": optimizer_bytes(built)} if mode == "train" else {}),
            "peak": columns(peaks),
            "kept": kept,
            "counts": member.counts(),
            "device": built.device.type,
        }


def size(tensor: torch.Tensor) -> int:
    """Bytes of a tensor's elements."""
    return int(tensor.numel() * tensor.element_size())


def optimizer_bytes(built: BuiltTrial) -> int:
    """Bytes of the tensors in the optimizer's state."""
    states = built.optimizer.state.values() if built.optimizer else ()
    return sum(size(value) for state in states for value in state.values() if isinstance(value, torch.Tensor))


def columns(rows: Sequence[Mapping[str, int]]) -> dict[str, list[int]]:
    """One list a phase, one number a batch; a phase that a batch did not have took nothing."""
    return {phase: [row.get(phase, 0) for row in rows] for phase in dict.fromkeys(name for row in rows for name in row)}


def peaks_on_cpu(member: Member, batch: int) -> dict[str, int]:
    """Peak bytes of each phase of one step, and of the whole under "step", above what was held before it.

    Counted from the profiler's events of torch's CPU allocator, so what a library takes by itself is not in it.
    """

    def mark(phase: str) -> None:
        with record_function(f"{MARK}{phase}"):
            pass

    with profile(profile_memory=True, use_kineto=True) as profiler:
        member.step(batch, mark)
    events = sorted(profiler.kineto_results.events(), key=lambda event: event.start_ns())
    return peaks_of_events((event.name(), event.nbytes()) for event in events)


def peaks_of_events(events: Iterable[tuple[str, int]]) -> dict[str, int]:
    """From events in order of time, (name, bytes allocated or, below zero, freed), to the peak of each phase."""
    peaks: dict[str, int] = {}
    held = highest = 0
    last = "step"
    for name, amount in events:
        if name == "[memory]":
            held += amount
            highest = max(highest, held)
        elif name.startswith(MARK):
            last = name.removeprefix(MARK)
            peaks[last] = max(peaks.get(last, 0), highest)
            highest = held
    if last != "step":  # what follows the last mark belongs to its phase, as on the clock
        peaks[last] = max(peaks[last], highest)
    return {**peaks, "step": max(highest, *peaks.values(), 0)}


def peaks_on_gpu(device: torch.device) -> Callable[[Member, int], dict[str, int]]:
    """The same by the counters of CUDA's caching allocator. They count what is asked of it when work is queued, so
    nothing waits for the device."""

    def peaks_of(member: Member, batch: int) -> dict[str, int]:
        peaks: dict[str, int] = {}
        last = "step"

        def mark(phase: str) -> None:
            nonlocal last
            last = phase
            highest = torch.cuda.max_memory_allocated(device) - before
            peaks[phase] = max(peaks.get(phase, 0), highest)
            torch.cuda.reset_peak_memory_stats(device)

        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        member.step(batch, mark)
        mark(last)
        return {**peaks, "step": max(peaks.values())}

    return peaks_of


def kept_for_backward(built: BuiltTrial, examples: Sequence[Any]) -> int:
    """The most bytes that autograd keeps for the backward pass at one time during one step: distinct storages, each
    counted whole. Parameters, buffers and the batch are there anyway and not counted; what a fused kernel keeps in a
    workspace of its own is a tensor like any other."""
    batch = built.batch(examples)
    kept = Kept([*built.model.parameters(), *built.model.buffers(), *(x for x in batch if isinstance(x, torch.Tensor))])
    with saved_tensors_hooks(kept.pack, lambda held: held.tensor):
        built.step(built, batch, lambda phase: None)
    return kept.peak


class Kept:
    """Follows what autograd saves and lets go. `peak` is the most bytes it held at one time."""

    def __init__(self, apart: Iterable[torch.Tensor]) -> None:
        self.apart = {storage_of(tensor) for tensor in apart}
        self.holders: Counter[Any] = Counter()
        self.now = self.peak = 0

    def pack(self, tensor: torch.Tensor) -> Held:
        """Called with each tensor that is saved."""
        storage = storage_of(tensor)
        counted = storage not in self.apart
        if counted:
            self.holders[storage] += 1
            if self.holders[storage] == 1:
                self.now += storage[-1]
                self.peak = max(self.peak, self.now)
        return Held(tensor, self.release if counted else lambda storage: None, storage)

    def release(self, storage: Any) -> None:
        """Called when one of its saved tensors is let go."""
        self.holders[storage] -= 1
        if not self.holders[storage]:
            self.now -= storage[-1]


class Held:
    """A saved tensor. While it lives its storage does, so no other can have the same address; autograd drops it as
    soon as its node has run."""

    def __init__(self, tensor: torch.Tensor, release: Callable[[Any], None], storage: Any) -> None:
        self.tensor, self.release, self.storage = tensor, release, storage

    def __del__(self) -> None:
        self.release(self.storage)


def storage_of(tensor: torch.Tensor) -> tuple[str, int, int]:
    """What tells a tensor's storage from others that built at the same time: device, address, bytes."""
    if tensor.layout != torch.strided:  # a sparse tensor has no storage of its own: count its elements
        return str(tensor.device), id(tensor), size(tensor)
    storage = tensor.untyped_storage()
    return str(tensor.device), storage.data_ptr(), storage.nbytes()


def measure_resident(task: Task) -> dict[str, Any]:
    """Memory of this process in the system's eyes, in bytes: at the mark after building, and its peak over two passes.

    `file` are pages of libraries and other files among them, which a step may be the first to touch. ``ru_maxrss``
    would be that of the process this one was forked from. Raises Skip where the kernel cannot reset the peak.
    """
    member = task.member()
    try:
        (PROCESS / "clear_refs").write_text("5")
    except OSError as error:
        raise Skip(f"the kernel does not reset a process's peak memory ({error.strerror})") from None
    mark = status()
    with blaming(task.level, "measuring resident memory"):
        for _ in range(2):
            for batch in range(len(member.batches)):
                member.before()
                member.step(batch, lambda phase: None)
        task.watchdog.rest()
    now = status()
    return {"mark": mark["VmRSS"], "mark_file": mark["RssFile"], "peak": now["VmHWM"], "peak_file": now["RssFile"]}


def status() -> dict[str, int]:
    """The sizes in /proc/self/status, in bytes."""
    lines = (line.split() for line in (PROCESS / "status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[-1:] == ["kB"]}
