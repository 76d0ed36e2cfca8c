"""Profiles the work set of a trial with torch.profiler, and writes a trace of a few steps.

This code never runs in a process whose speed is measured, because the profiler slows every operator down. Its overhead
is measured on operators that do almost nothing, so that the analysis can subtract it. Each profiled step is preceded by
an unprofiled step on the same batch.
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

from harness.measure.kinds.profile_context import context_of
from harness.measure.kinds.profile_events import Event, StepProfile, median_of_passes, profile_of_step
from harness.measure.runtime.clock import SampleBuffer, take
from harness.measure.runtime.gpu import clock_for
from harness.measure.runtime.member import MARK, BuiltMember, mark_timeline, step_with_marks, undisturbed
from harness.measure.runtime.task import Task
from harness.records.plan import digest

#: The number of passes over the work set, if that stays below both limits.
PASSES = 5
#: The limits: operators in all profiles, and seconds of profiling. Reading a million operators takes about 5 s.
MOST_EVENTS, MOST_SECONDS = 800_000, 40.0
#: No further pass begins if the passes would then take longer than this.
ENOUGH_SECONDS = 2.5
#: The bytes that are written to see whether the disk is full. A trace has about as many.
WRITTEN = 1 << 22
#: A trace with more events is truncated, after fewer steps or within one, since viewers become slow.
TRACE_EVENTS = 150_000
STEP = "ProfilerStep"
NAME = "worker.pt.trace.json"


def profile_trial(task: Task) -> dict[str, Any]:
    """Profile one trial. Returns JSON values, and writes a trace in the layout that TensorBoard's profiler plugin
    reads, ``traces/<block>.<level>.<mode>/worker.pt.trace.json.gz`` in the folder of the run.

    All numbers are sums over the profiled `batches`, times in nanoseconds: `operators`, `phases` and, on a device,
    `kernels` (see `profile_events.StepProfile`), and the wall time of the same steps without the profiler (`plain`) and
    with it (`profiled`). `counts` are the counted amounts of the same batches, and `cost` is the profiler's overhead
    for one operator. Raises TrialFailed."""
    member = task.member()
    with undisturbed(Random(0)):
        warm_up(member)
        chosen, passes, plain, profiled = profile_passes(member)
        whole = median_of_passes(passes)
        context = context_of(member, {name for _, name in whole.operators})
        folder = task.folder / "traces" / f"{task.block.id}.{_file_name(task.level)}.{task.mode}"
        steps = max(1, min(task.settings.steps, int(TRACE_EVENTS // max(1, whole.events / len(chosen)))))
        cut = write_trace(member, steps, folder)
    counts = member.counts()
    return {
        "mode": task.mode,
        "device": member.built.device.type,
        "batches": chosen,
        "passes": len(passes),
        "cost": operator_cost(),
        "plain": _sum_of_medians(plain),
        "profiled": _sum_of_medians(profiled),
        **whole.columns(),
        "counts": {name: sum(amounts[batch] for batch in chosen) for name, amounts in counts.items()},
        "fingerprint": context,
        "trace": f"{folder.name}/{NAME}.gz",
        "trace_steps": steps,
        "trace_cut": cut,
    }


def warm_up(member: BuiltMember) -> None:
    """Run two passes without a profiler, and use the profiler once, because its first use is slow."""
    member.run_work_set(passes=2)
    member.save()
    with profiler_of(member):
        pass
    gc.collect()
    gc.freeze()


def profile_passes(member: BuiltMember) -> tuple[list[int], list[list[StepProfile]], list[list[int]], list[list[int]]]:
    """Pass over the work set, with one unprofiled and one profiled step on each batch. Returns the batches, and for
    each pass the steps, the unprofiled and the profiled wall times. If steps are long or have very many operators,
    there are fewer passes and batches."""
    clock = clock_for(member.built.device)
    chosen = list(range(len(member.batches)))
    passes: list[list[StepProfile]] = []
    plain: list[list[int]] = []
    profiled: list[list[int]] = []
    seen, begun = 0.0, perf_counter()

    def spent() -> float:
        """The share of the limits that has been used."""
        return max(seen / MOST_EVENTS, (perf_counter() - begun) / MOST_SECONDS)

    for done in range(PASSES):
        if done and max(spent(), (perf_counter() - begun) / ENOUGH_SECONDS) * (1 + 1 / done) > 1:
            break
        member.restore()
        buffer, steps, walls = SampleBuffer(), [], []
        for index, batch in enumerate(chosen):
            take(member, batch, buffer, clock, round_=index, position=0)
            member.before(batch)
            with profiler_of(member) as profiler:
                wall = -clock.wall()
                marked_step(member, batch)
                if clock.wait:
                    clock.wait()
                wall += clock.wall()
            member.watchdog.stop_alarm()  # reading many events may take longer than a step
            steps.append(profile_of_step(events_of(profiler)))
            gc.collect()  # a profiler is in a reference cycle, and its events fill gigabytes
            walls.append(wall)
            seen += steps[-1].events
            if not done and spent() > 0.5:
                chosen = chosen[: index + 1]
                break
        passes.append(steps)
        plain.append(buffer.wall)
        profiled.append(walls)
    return chosen, passes, plain, profiled


def marked_step(member: BuiltMember, batch: int) -> None:
    """Run one step with a mark on the profiler's timeline where it begins and where each phase ends. The time after the
    last mark belongs to the last phase."""
    mark_timeline("step")
    step_with_marks(member, batch, mark_timeline)


def profiler_of(member: BuiltMember, *, shapes: bool = False) -> Any:
    """A profiler for the device of a member."""
    on_device = [ProfilerActivity.CUDA] if member.built.device.type == "cuda" else []
    return profile(activities=[ProfilerActivity.CPU, *on_device], record_shapes=shapes)


def events_of(profiler: Any) -> Iterator[Event]:
    """The events of a profiler that has ended: operators, marks, and kernels on a device."""
    for event in profiler.profiler.kineto_results.events():
        start = event.start_ns()
        end = start + event.duration_ns()
        # Older versions of torch do not give the activity; calls of the CUDA runtime then count as operators.
        activity = event.activity_type() if hasattr(event, "activity_type") else "cpu_op"
        if event.device_type().name == "CPU":
            if activity in ("cpu_op", "user_annotation"):
                yield Event(event.name(), start, end, event.start_thread_id(), "operator", event.correlation_id())
        elif event.linked_correlation_id() > 0 and activity != "gpu_user_annotation":
            yield Event(event.name(), start, end, kind="kernel", launched_by=event.linked_correlation_id())


def operator_cost() -> float:
    """The overhead of the profiler for one operator on this machine, in nanoseconds. It is measured on tiny operators,
    as the minimum of several tries, since any disturbance makes a try slower."""
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
    """Write the trace of some steps, with shapes and phases. Returns whether it was truncated."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = folder / NAME
    member.restore()
    member.run_work_set()  # memory was returned to the system meanwhile, and allocating it again takes time
    with profiler_of(member, shapes=True) as profiler:
        for index in range(steps):
            member.watchdog.doing(member.level, "one step under the profiler")
            with record_function(f"{STEP}#{index}"):  # the name that TensorBoard's profiler plugin expects
                marked_step(member, index % len(member.batches))
    member.watchdog.stop_alarm()  # writing the trace of a loop in Python takes longer than its steps
    trace = exported(profiler, plain)
    cut = tidy(trace)
    with gzip.open(f"{plain}.gz", "wb", compresslevel=6) as target:
        target.write(json.dumps(trace).encode())
    return cut


def exported(profiler: Any, path: Path) -> dict[str, Any]:
    """The trace of a profiler, written to a file and read from it. If torch cannot write it, torch only logs this, so a
    file of zeros then shows whether the disk is full. Raises OSError if it is."""
    profiler.export_chrome_trace(str(path))
    try:
        trace: dict[str, Any] = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (FileNotFoundError, ValueError):
        path.write_bytes(bytes(WRITTEN))
        raise
    finally:
        path.unlink(missing_ok=True)
    return trace


def tidy(trace: dict[str, Any]) -> bool:
    """Replace the marks by spans with the names of the phases, and truncate the trace at `TRACE_EVENTS` events. Returns
    whether it was truncated."""
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


def _sum_of_medians(passes: list[list[int]]) -> int:
    """The sum over batches of the median time over passes."""
    return sum(sorted(same)[len(same) // 2] for same in zip(*passes, strict=True))


def _file_name(level: str) -> str:
    """The level as a part of a file's name; with a digest if it is changed or shortened, since levels differ."""
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in level[:40])
    return name if name == level else f"{name}-{digest(level, 6)}"
