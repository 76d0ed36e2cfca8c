"""Measures the speed of a block in one replicate: the trials and the control are interleaved over a fixed work set.

Trials that need different environments run in one process for each environment, and the processes take turns. Each
process builds and warms up in its turn. Then all run the same number of whole passes over the work set, so that samples
of the same round are paired across processes as they are within one.
"""

from __future__ import annotations

import gc
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from time import perf_counter
from typing import Any

import numpy as np

from harness.measure.runtime.clock import Clock, SampleBuffer, run_rounds
from harness.measure.runtime.function_checks import FunctionChecks
from harness.measure.runtime.gpu import card_state, clock_for
from harness.measure.runtime.member import BuiltMember, undisturbed
from harness.measure.runtime.task import Task
from harness.measure.token_ring import TokenRing
from harness.records.plan import Block
from harness.records.settings import Speed

#: The minimum seconds of a sample. Shorter steps are repeated within it.
LEAST_SAMPLE = 1e-3
#: Warm-up ends when a pass over the work set is at most this share faster than the best pass before it.
STATIONARY = 0.03
#: The first pass of warm-up is over the whole work set. Further ones show whether a member still gets faster, on this
#: many batches.
CHECKED_BATCHES = 3
#: After its first pass, warm-up lasts at most this many seconds per member.
WARM_MOST = 3.0
#: A GPU raises its clock rate under load, so there each member warms up for at least this many seconds.
GPU_WARM_UP = 0.5
#: A level with other optimizations than the baseline may do extra work every so many steps. A process takes at least
#: this many steps of it, so that periods up to 64 are seen, unless it would then take more than twice as long.
LEAST_STEPS = 72
#: The minimum seconds of a turn. The first step after a change of process takes longer and is not recorded.
LEAST_TURN = 0.05


@dataclass
class WarmUp:
    """The result of warming up: passes, steps and seconds, and for each member the expected median and mean seconds of
    a step, and whether its times had become stationary."""

    passes: int
    steps: int
    seconds: float
    medians: list[float]
    means: list[float]
    stationary: list[bool]


def measure_speed(task: Task) -> list[dict[str, Any]]:
    """The samples of the members as JSON values. Raises TrialFailed."""
    settings, ring = task.settings, task.ring
    seed = f"{task.block.id} {task.mode} {task.replicate}"
    random = Random(f"{seed} {ring.slot}" if ring else seed)
    note = ring.wait() if ring else {}
    with undisturbed(random):
        members = task.build_members(random)
        device = members[0].built.device
        clock = clock_for(device)
        gc.collect()
        gc.freeze()
        checks = FunctionChecks(members)
        warmed = warm_up(members, settings, clock, random)
        buffers = [SampleBuffer(repeats=max(1, math.ceil(LEAST_SAMPLE / median))) for median in warmed.medians]
        samples = [mean * buffer.repeats for mean, buffer in zip(warmed.means, buffers, strict=True)]
        states = []
        if ring:
            task.watchdog.stop_alarm()
            slots = [*note.get("slots", []), [sum(samples) * settings.batches, len(members)]]
            ring.pass_on({**note, "slots": slots})
            measure_in_turns(ring, task, members, buffers, clock, random)
        else:
            states.append(card_state(device))
            rounds = rounds_for(samples, settings, periodic=task.mode == "train" and may_be_periodic(task.block))
            run_rounds(members, buffers, settings.batches, range(rounds), clock, random)
            task.watchdog.stop_alarm()
        states.append(card_state(device))
        checks.run(members, buffers, task.block.baseline.level)
        return results(members, buffers, warmed, states)


def measure_in_turns(
    ring: TokenRing,
    task: Task,
    members: Sequence[BuiltMember],
    buffers: Sequence[SampleBuffer],
    clock: Clock,
    random: Random,
) -> None:
    """Take the samples of this process in its turns. Returns when all processes of the ring have measured."""
    settings, turn, turns = task.settings, 0, 1
    while turn < turns:
        note = ring.wait()
        if "turns" not in note:  # this is the first slot, and all processes are ready
            note = {**note, **plan_turns(note["slots"], settings)}
        turns, rounds = note["turns"], note["passes"] * settings.batches
        run_rounds(members, [SampleBuffer() for _ in members], settings.batches, range(1, 2), clock, random)
        run_rounds(members, buffers, settings.batches, range(turn * rounds, (turn + 1) * rounds), clock, random)
        task.watchdog.stop_alarm()
        ring.pass_on(note)
        turn += 1
    # Ending a process takes time, so each one waits until all have measured.
    note = ring.wait()
    if ring.slot < ring.slots - 1:
        ring.pass_on(note, last=True)


def plan_turns(slots: Sequence[tuple[float, int]], settings: Speed) -> Mapping[str, int]:
    """The number of turns, and of passes over the work set in each turn. `slots` are the seconds of one pass and the
    number of members in each slot."""
    seconds = settings.seconds * sum(members for _, members in slots)
    passes = max(1, math.ceil(LEAST_TURN / min(time for time, _ in slots)))
    wanted = max(settings.visits, math.ceil(seconds / sum(time for time, _ in slots)))
    return {"turns": math.ceil(wanted / passes), "passes": passes}


def rounds_for(samples: Sequence[float], settings: Speed, *, periodic: bool = False) -> int:
    """The number of rounds of one process: whole passes, at least `visits` of them, and on average at least `seconds`
    per member. `samples` are the seconds of one sample of each member. `periodic`: a member may do extra work every so
    many steps (see `LEAST_STEPS`)."""
    wanted = settings.seconds_of(len(samples))
    of_pass = sum(samples) * settings.batches
    passes = max(settings.visits, math.ceil(wanted / of_pass))
    more = math.ceil(LEAST_STEPS / settings.batches)
    if periodic and more * of_pass <= 2 * max(wanted, settings.visits * of_pass):
        passes = max(passes, more)
    return passes * settings.batches


def may_be_periodic(block: Block) -> bool:
    """Whether a level may take steps that differ with their number: its promise does not exclude it."""
    return any(trial.use != block.baseline.use and trial.changes not in ("rounding", "order") for trial in block.trials)


def warm_up(members: Sequence[BuiltMember], settings: Speed, clock: Clock, random: Random) -> WarmUp:
    """Take passes over the work set, without recording them, until no member gets faster.

    In the first pass every shape is new. A member is warm when the median over batches of time / best time so far is
    above 1 - `STATIONARY`. (If two passes had to agree in both directions, noise would look like a cold start.)
    """
    begun = perf_counter()
    least = max(settings.warm_up, GPU_WARM_UP) if members[0].built.device.type == "cuda" else settings.warm_up
    for member in members:
        member.save()
    stationary, first, steps = [False] * len(members), 0.0, 0
    best: list[Any] = []
    cold: list[Any] = []
    for passes in itertools.count(1):
        batches = settings.batches if passes == 1 else min(CHECKED_BATCHES, settings.batches)
        buffers = [SampleBuffer() for _ in members]
        run_rounds(members, buffers, settings.batches, range(batches), clock, random)
        steps += batches
        times = [np.array(buffer.wall) * 1e-9 for buffer in buffers]
        if passes == 1:
            cold, best = times, [time.copy() for time in times]
            for member in members:  # now the optimizer state exists, so that it can be restored
                member.save()
        else:
            for index, now in enumerate(times):
                before = best[index][:batches]
                stationary[index] = stationary[index] or float(np.median(now / before)) > 1 - STATIONARY
                best[index][:batches] = np.minimum(now, before)
        spent = perf_counter() - begun
        if passes == 1:
            first = spent  # the first pass may compile, for any length of time
        warm = spent >= least * len(members) and all(stationary)
        if warm or spent - first >= WARM_MOST * len(members):
            break
    # The last pass, and the other batches of the first pass, as much faster as those of the last have become.
    warm_times = [
        np.concatenate([now, one[len(now) :] * float(np.median(now / one[: len(now)]))])
        for one, now in zip(cold, times, strict=True)
    ]
    medians, means = [float(np.median(one)) for one in warm_times], [float(one.mean()) for one in warm_times]
    return WarmUp(passes, steps, spent, medians, means, stationary)


def results(
    members: Sequence[BuiltMember], buffers: Sequence[SampleBuffer], warmed: WarmUp, states: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The samples as JSON values; `states` are the states of the GPU before and after. Raises TrialFailed if the last
    step of a member is not finite."""
    throttled = ["throttled"] if any(state.get("forced_down") for state in states) else []
    for member in members:
        member.check()
    return [
        {
            "level": member.level,
            "role": member.role,
            "data": {
                **buffer.columns(),
                "counts": member.counts(),
                "warm_up": {"passes": warmed.passes, "seconds": warmed.seconds},
                "steps_before": warmed.steps,
                "flags": [
                    *([] if stationary else ["not_stationary"]),
                    *(["counters_restored"] if member.restarts else []),
                    *throttled,
                    *member.flags,
                ],
                "gpu": [state for state in states if state],
            },
        }
        for member, buffer, stationary in zip(members, buffers, warmed.stationary, strict=True)
    ]
