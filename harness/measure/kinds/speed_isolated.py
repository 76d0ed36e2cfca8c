"""Speed where the trials need different environments: a process for each environment; the processes take turns.

Each process builds and warms up in its turn, then runs whole passes over the work set, as many as the others. Samples
of the same round are then paired across processes as they are within one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from harness.measure.kinds.speed_steps import make_ready, results, run_guarded
from harness.measure.runtime.clock import SampleBuffer
from harness.measure.runtime.gpu import clock_for, reading
from harness.measure.runtime.member import build_members, undisturbed
from harness.measure.runtime.task import Task
from harness.measure.token_ring import TokenRing
from harness.records.settings import Speed

#: The least seconds of a turn. The first step after a change costs more; it is not recorded.
LEAST_TURN = 0.05


def measure_in_turns(task: Task, ring: TokenRing) -> list[dict[str, Any]]:
    """The samples of this process's members as JSON values. Raises TrialFailed naming the level that cannot go on."""
    settings = task.block.measures.speed or Speed()
    random = Random(f"{task.block.id} {task.mode} {task.replicate} {ring.slot}")
    note = ring.wait()
    with undisturbed(random):
        members = build_members(task, settings, random)
        clock = clock_for(members[0].built.device)
        warm_up, buffers, samples = make_ready(members, settings, clock, random)
        task.watchdog.rest()
        slots = [*note.get("slots", []), [sum(samples) * settings.batches, len(members)]]
        ring.pass_on({**note, "slots": slots})
        turn, plan = 0, {"turns": 1, "passes": 1}
        while turn < plan["turns"]:
            note = ring.wait()
            if "turns" not in note:  # the first slot, when all are ready
                note = {**note, **share_out(note["slots"], settings)}
            plan = note
            run_guarded(members, [SampleBuffer() for _ in members], settings.batches, range(1, 2), clock, random)
            rounds = plan["passes"] * settings.batches
            run_guarded(members, buffers, settings.batches, range(turn * rounds, (turn + 1) * rounds), clock, random)
            task.watchdog.rest()
            ring.pass_on(note)
            turn += 1
        # No process ends, which takes time, before all have measured.
        note = ring.wait()
        if ring.slot < ring.slots - 1:
            ring.pass_on(note, last=True)
        return results(members, buffers, warm_up, [reading(members[0].built.device)])


def share_out(slots: Sequence[tuple[float, int]], settings: Speed) -> Mapping[str, int]:
    """The number of turns, and of passes over the work set in each turn. `slots` are the seconds of one pass and the
    number of members in each slot."""
    seconds = settings.seconds * sum(members for _, members in slots)
    passes = max(1, math.ceil(LEAST_TURN / min(time for time, _ in slots)))
    wanted = max(settings.visits, math.ceil(seconds / sum(time for time, _ in slots)))
    return {"turns": math.ceil(wanted / passes), "passes": passes}
