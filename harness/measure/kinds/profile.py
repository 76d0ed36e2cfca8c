"""A trial's work set under torch.profiler, and a trace of a few steps. Never in a process with the clock.

The profiler makes every operator dearer. By how much is measured on operators that do next to nothing, so that whoever
reads the profile can take it off again; and each profiled step has a plain one of the same batch beside it.
"""

from __future__ import annotations

import gc
import gzip
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from time import perf_counter, perf_counter_ns
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from harness.measure.kinds.profile_context import fingerprint
from harness.measure.kinds.profile_events import MARK, Event, Summary, summary_of, typical
from harness.measure.runtime.clock import SampleBuffer, take
from harness.measure.runtime.failure import blaming
from harness.measure.runtime.gpu import clock_for
from harness.measure.runtime.member import BuiltMember, undisturbed
from harness.measure.runtime.task import Task

#: How often the work set is gone through, where that is not too much.
PASSES = 5
#: About as many operators are looked at in all, and for so many seconds: reading a million of them takes some five.
MOST_EVENTS, MOST_SECONDS = 800_000, 40.0
#: A trace of more events than this is cut, after fewer steps or in the middle of one: viewers get slow beyond.
TRACE_EVENTS = 150_000
STEP = "ProfilerStep"
NAME = "worker.pt.trace.json"


def profile_trial(task: Task) -> dict[str, Any]:
    """Profile one trial; returns JSON values, and writes a trace in the layout that TensorBoard's profiler plugin
    reads, ``<traces>/<block>.<level>.<mode>/worker.pt.trace.json.gz``.

    All numbers are sums over the `batches` that were profiled, in nanoseconds: `operators` by phase (see
    `timeline.Row`), `phases`, `kernels` (on a device), `plain` and `profiled` the wall time of the same steps without
    and under the profiler. `counts` are named amounts of the same batches, and `cost` is what the profiler takes for an
    operator. Raises TrialFailed."""
    member, level, mode, watchdog = task.member(), task.level, task.mode, task.watchdog
    with blaming(level, "profiling"), undisturbed(Random(0)):
        warm_up(member)
        chosen, passes, plain, profiled = look(member)
        whole = typical(passes)
        names = {name for _, name in whole.rows}
        marks = fingerprint(member, names)
        folder = task.folder / "traces" / f"{task.block.id}.{_file_name(level)}.{mode}"
        steps = max(1, min(task.settings.steps, int(TRACE_EVENTS // max(1, whole.events / len(chosen)))))
        cut = write_trace(member, steps, folder)
        watchdog.rest()
    counts = member.counts()
    return {
        "mode": mode,
        "device": member.built.device.type,
        "batches": chosen,
        "passes": len(passes),
        "cost": operator_cost(),
        "plain": _middle(plain),
        "profiled": _middle(profiled),
        **whole.columns(),
        "counts": {name: sum(amounts[batch] for batch in chosen) for name, amounts in counts.items()},
        "fingerprint": marks,
        "trace": f"{folder.name}/{NAME}.gz",
        "trace_steps": steps,
        "trace_cut": cut,
    }


def warm_up(member: BuiltMember) -> None:
    """Two passes without a profiler, and the first use of the profiler itself, which takes long."""
    for batch in 2 * list(range(len(member.batches))):
        member.before()
        member.step(batch, lambda phase: None)
    member.save()
    with profiler_of(member):
        pass
    gc.collect()
    gc.freeze()


def look(member: BuiltMember) -> tuple[list[int], list[list[Summary]], list[list[int]], list[list[int]]]:
    """Go through the work set, each batch once plain and once profiled: which batches, and of each pass the summaries
    and the wall times of both. Where steps are long or have very many operators, fewer passes and batches do."""
    clock = clock_for(member.built.device)
    chosen = list(range(len(member.batches)))
    passes: list[list[Summary]] = []
    plain: list[list[int]] = []
    profiled: list[list[int]] = []
    seen, begun = 0.0, perf_counter()

    def spent() -> float:
        """What share has been spent of all that may be."""
        return max(seen / MOST_EVENTS, (perf_counter() - begun) / MOST_SECONDS)

    for done in range(PASSES):
        if done and spent() * (1 + 1 / done) > 1:
            break
        member.restore()
        buffer, summaries, walls = SampleBuffer(), [], []
        for index, batch in enumerate(chosen):
            take(member, batch, buffer, clock, round_=index, position=0)
            member.before()
            with profiler_of(member) as profiler:
                wall = -clock.wall()
                marked_step(member, batch)
                if clock.wait:
                    clock.wait()
                wall += clock.wall()
            member.watchdog.rest()  # reading many events may take longer than a step
            summaries.append(summary_of(events_of(profiler)))
            gc.collect()  # a profiler is in a cycle, and its events fill gigabytes
            walls.append(wall)
            seen += summaries[-1].events
            if not done and spent() > 0.5:
                chosen = chosen[: index + 1]
                break
        passes.append(summaries)
        plain.append(buffer.wall)
        profiled.append(walls)
    return chosen, passes, plain, profiled


def marked_step(member: BuiltMember, batch: int) -> None:
    """One step, with a mark on the profiler's time line where it begins and where each phase ends; what comes after the
    last one belongs to it."""
    last = "step"

    def mark(phase: str) -> None:
        nonlocal last
        last = phase
        with record_function(MARK + phase):
            pass

    mark(last)
    member.step(batch, mark)
    mark(last)


def profiler_of(member: BuiltMember, *, shapes: bool = False) -> Any:
    """A profiler of what a member runs on."""
    on_device = [ProfilerActivity.CUDA] if member.built.device.type == "cuda" else []
    return profile(activities=[ProfilerActivity.CPU, *on_device], record_shapes=shapes)


def events_of(profiler: Any) -> Iterator[Event]:
    """The events of an ended profiler: operators and marks, and what ran on a device."""
    for event in profiler.profiler.kineto_results.events():
        start = event.start_ns()
        end = start + event.duration_ns()
        # Older torch does not tell activities apart; calls of the CUDA runtime are then taken for operators.
        activity = event.activity_type() if hasattr(event, "activity_type") else "cpu_op"
        if event.device_type().name == "CPU":
            if activity in ("cpu_op", "user_annotation"):
                yield Event(event.name(), start, end, event.start_thread_id(), "operator", event.correlation_id())
        elif event.linked_correlation_id() > 0 and activity != "gpu_user_annotation":
            yield Event(event.name(), start, end, kind="kernel", launched_by=event.linked_correlation_id())


def operator_cost() -> float:
    """Nanoseconds that the profiler takes for one operator on this machine, of tiny ones and the fastest of several
    tries: whatever disturbs one only makes it slower."""
    number = torch.zeros(1)

    def tiny() -> int:
        begun = perf_counter_ns()
        for _ in range(500):
            number.add_(1.0)
        return perf_counter_ns() - begun

    plain, profiled, operators = [tiny()], [], 1
    for _ in range(7):
        plain.append(tiny())
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            profiled.append(tiny())
        operators = sum(1 for _ in events_of(profiler))
    return max(0.0, (min(profiled) - min(plain)) / max(1, operators))


def write_trace(member: BuiltMember, steps: int, folder: Path) -> bool:
    """Write the trace of so many steps, with shapes and phases in it; returns whether it had to be cut."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = folder / NAME
    member.restore()
    for batch in range(len(member.batches)):  # what went before has given memory back, and fetching it again takes time
        member.before()
        member.step(batch, lambda phase: None)
    with profiler_of(member, shapes=True) as profiler:
        for index in range(steps):
            member.watchdog.doing(member.level, "one step under the profiler")
            with record_function(f"{STEP}#{index}"):  # the name that TensorBoard's profiler plugin knows steps by
                marked_step(member, index % len(member.batches))
    member.watchdog.rest()  # writing a scratch loop's trace takes longer than its steps
    profiler.export_chrome_trace(str(plain))
    trace = json.loads(plain.read_text(encoding="utf-8", errors="replace"))
    plain.unlink()
    cut = dress(trace)
    with gzip.open(f"{plain}.gz", "wb", compresslevel=6) as target:
        target.write(json.dumps(trace).encode())
    return cut


def dress(trace: dict[str, Any]) -> bool:
    """Make spans of the marks, named as the phases that end there, and cut off what is too much; returns whether it
    was."""
    marks = sorted((e for e in trace["traceEvents"] if str(e.get("name", "")).startswith(MARK)), key=lambda e: e["ts"])
    spans = [
        {
            **{key: value for key, value in end.items() if key != "args"},
            "name": end["name"].removeprefix(MARK),
            "ts": begin["ts"] + begin.get("dur", 0),
            "dur": end["ts"] - begin["ts"] - begin.get("dur", 0),
        }
        for begin, end in pairwise(marks)
        if end["name"] not in (f"{MARK}step", begin["name"])  # between steps, and after a step's last mark
    ]
    taken = {id(event) for event in marks}
    events = [event for event in trace["traceEvents"] if id(event) not in taken]
    timed = sorted((event for event in events if event.get("ph") == "X"), key=lambda event: event["ts"])
    cut = len(timed) > TRACE_EVENTS
    if cut:
        last = timed[TRACE_EVENTS]["ts"]
        events = [event for event in events if event.get("ph") == "M" or event.get("ts", 0) < last]
        spans = [span for span in spans if span["ts"] < last]
    trace["traceEvents"] = [*events, *spans]
    return cut


def _middle(passes: list[list[int]]) -> int:
    """The median over passes of each batch's time, summed."""
    return sum(sorted(same)[len(same) // 2] for same in zip(*passes, strict=True))


def _file_name(level: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in level)
