"""A short run of one trial under torch.profiler: top operators and a trace. Never in a process with the clock."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Any

from torch.profiler import ProfilerActivity, profile, record_function

from harness.bench.assemble import Kitchen
from harness.bench.failure import blaming
from harness.bench.guard import Guard
from harness.bench.speed import lone_member
from harness.records import Block, Profile, Speed

#: How many operators a record keeps.
TOP = 12
STEP = "ProfilerStep"


def profile_trial(block: Block, level: str, kitchen: Kitchen, guard: Guard, traces: Path) -> dict[str, Any]:
    """Run `steps` steps after as many warm ones; returns the operators with the most self time as JSON values and
    writes ``<traces>/<block>.<level>/worker.pt.trace.json.gz``, the layout TensorBoard's profiler plugin reads."""
    settings, mode = block.measures.profile or Profile(), (block.measures.speed or Speed()).of[0]
    member = lone_member(block, level, mode, kitchen, guard)
    with blaming(level, "profiling"):

        def steps(begin: int) -> None:
            for index in range(begin, begin + settings.steps):
                guard.doing(level, "one step under the profiler")
                with record_function(f"{STEP}#{index}"):  # the name TensorBoard's profiler plugin knows steps by
                    member.step(index % len(member.batches), lambda phase: None)

        steps(0)
        activities = [ProfilerActivity.CPU]
        if member.live.device.type == "cuda":
            activities.append(ProfilerActivity.CUDA)
        with profile(activities=activities, record_shapes=True, acc_events=True) as profiler:
            steps(settings.steps)
        guard.rest()  # writing a scratch loop's trace takes longer than its steps
        folder = traces / f"{block.id}.{_file_name(level)}"
        folder.mkdir(parents=True, exist_ok=True)
        plain = folder / "worker.pt.trace.json"
        profiler.export_chrome_trace(str(plain))
        with plain.open("rb") as source, gzip.open(f"{plain}.gz", "wb", compresslevel=6) as target:
            shutil.copyfileobj(source, target)
        plain.unlink()
        averages = [average for average in profiler.key_averages() if not average.key.startswith(STEP)]
    averages.sort(key=lambda average: average.self_cpu_time_total, reverse=True)
    total = sum(average.self_cpu_time_total for average in averages) or 1.0
    return {
        "steps": settings.steps,
        "mode": mode,
        "trace": f"{folder.name}/{plain.name}.gz",
        "calls": sum(average.count for average in averages) / settings.steps,
        "operators": [
            {
                "name": average.key,
                "share": average.self_cpu_time_total / total,
                "microseconds": average.self_cpu_time_total / settings.steps,
                "calls": average.count / settings.steps,
            }
            for average in averages[:TOP]
        ],
    }


def _file_name(level: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in level)
