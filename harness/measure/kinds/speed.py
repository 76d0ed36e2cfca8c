"""One replicate of a block's speed: every trial and the control, interleaved over a fixed work set."""

from __future__ import annotations

from random import Random
from typing import Any

from harness.measure.kinds.speed_isolated import measure_in_turns
from harness.measure.kinds.speed_steps import make_ready, results, rounds_for, run_guarded
from harness.measure.runtime import gpu
from harness.measure.runtime.clock import Clock
from harness.measure.runtime.member import build_members, undisturbed
from harness.measure.runtime.task import Task
from harness.records.settings import Speed


def measure_speed(task: Task) -> list[dict[str, Any]]:
    """The samples of the members as JSON values. Raises TrialFailed naming the level that cannot go on."""
    return measure_in_turns(task, task.ring) if task.ring else measure_interleaved(task)


def measure_interleaved(task: Task, clock: Clock | None = None) -> list[dict[str, Any]]:
    """All members in this process, in balanced random order."""
    settings = task.block.measures.speed or Speed()
    random = Random(f"{task.block.id} {task.mode} {task.replicate}")
    with undisturbed(random):
        members = build_members(task, settings, random)
        device = members[0].built.device
        clock = clock or gpu.clock_for(device)
        warm_up, buffers, samples = make_ready(members, settings, clock, random)
        before = gpu.reading(device)
        run_guarded(members, buffers, settings.batches, range(rounds_for(samples, settings)), clock, random)
        task.watchdog.rest()
        return results(members, buffers, warm_up, [before, gpu.reading(device)])
