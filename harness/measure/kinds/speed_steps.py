"""What both ways of timing share: warm-up, rounds, results."""

from __future__ import annotations

import gc
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from time import perf_counter
from typing import Any

import numpy as np

from harness.measure.runtime.clock import Clock, SampleBuffer, run_rounds
from harness.measure.runtime.failure import TrialFailed, blaming
from harness.measure.runtime.member import BuiltMember
from harness.records.settings import Speed

#: A sample lasts at least this many seconds; shorter steps are repeated within it.
LEAST_SAMPLE = 1e-3


#: Warm-up ends when a pass over the work set is no longer faster than the best before it by more than this.
STATIONARY = 0.03


#: After its first pass, warm-up lasts at most this many seconds a member.
WARM_MOST = 3.0


#: A GPU raises its clock under load, so there each member warms up at least this many seconds.
GPU_WARM_UP = 0.5


#: A quick look measures this long in all.
QUICK_SECONDS = 5.0


def make_ready(
    members: Sequence[BuiltMember], settings: Speed, clock: Clock, random: Random
) -> tuple[WarmUpResult, list[SampleBuffer], list[float]]:
    """Warm the members up; returns how that went, a buffer for each, and the mean seconds of a sample of each."""
    gc.collect()
    gc.freeze()
    result = warm_up(members, settings, clock, random)
    buffers = [SampleBuffer(repeats=max(1, math.ceil(LEAST_SAMPLE / median))) for median in result.medians]
    return result, buffers, [mean * buffer.repeats for mean, buffer in zip(result.means, buffers, strict=True)]


def results(
    members: Sequence[BuiltMember],
    buffers: Sequence[SampleBuffer],
    warm_up_result: WarmUpResult,
    card: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
    """What was measured, as JSON values; `card` is what a GPU said before and after. Raises TrialFailed where a
    member's last step is not finite."""
    throttled = ["throttled"] if any(told.get("forced_down") for told in card) else []
    for member in members:
        member.check()
    return [
        {
            "level": member.level,
            "role": member.role,
            "data": {
                **buffer.columns(),
                "counts": member.counts(),
                "warm_up": {"passes": warm_up_result.passes, "seconds": warm_up_result.spent},
                "flags": throttled if stationary else ["not_stationary", *throttled],
                "gpu": [told for told in card if told],
            },
        }
        for member, buffer, stationary in zip(members, buffers, warm_up_result.stationary, strict=True)
    ]


def run_guarded(
    members: Sequence[BuiltMember],
    buffers: Sequence[SampleBuffer],
    batches: int,
    rounds: range,
    clock: Clock,
    random: Random,
) -> None:
    """`run_rounds`, naming the member whose step raised."""
    try:
        run_rounds(members, buffers, batches, rounds, clock, random)
    except (TrialFailed, KeyboardInterrupt):
        raise
    except BaseException as error:  # a trial's code may raise anything
        level, what = members[0].watchdog.last_words()
        with blaming(level, what):
            raise error


@dataclass
class WarmUpResult:
    """What warming up came to: how many passes and seconds, and of each member its median and mean seconds a step
    in the last pass and whether it had become stationary."""

    passes: int
    spent: float
    medians: list[float]
    means: list[float]
    stationary: list[bool]


def warm_up(members: Sequence[BuiltMember], settings: Speed, clock: Clock, random: Random) -> WarmUpResult:
    """Passes over the work set, thrown away, until no member gets faster.

    The first pass meets every shape for the first time. A member is warm when it no longer gets faster: when the
    median over batches of its time over the best so far is above 1 - `STATIONARY`. (Asking two passes to agree
    both ways mistakes a noisy machine for a cold one.)
    """
    begun = perf_counter()
    least = max(settings.warm_up, GPU_WARM_UP) if members[0].built.device.type == "cuda" else settings.warm_up
    for member in members:
        member.save()
    stationary, first = [False] * len(members), 0.0
    best: list[Any] = []
    for passes in itertools.count(1):
        buffers = [SampleBuffer() for _ in members]
        run_guarded(members, buffers, settings.batches, range(settings.batches), clock, random)
        times = [np.array(buffer.wall) * 1e-9 for buffer in buffers]
        if passes == 1:
            best = times
            for member in members:  # from here on, restoring finds an optimizer state that exists
                member.save()
        else:
            for index, now in enumerate(times):
                stationary[index] = stationary[index] or float(np.median(now / best[index])) > 1 - STATIONARY
            best = [np.minimum(now, then) for now, then in zip(times, best, strict=True)]
        spent = perf_counter() - begun
        if passes == 1:
            first = spent  # it may compile, for as long as that takes
        warm = spent >= least * len(members) and all(stationary)
        if warm or spent - first >= WARM_MOST * len(members):
            break
    medians, means = [float(np.median(t)) for t in times], [float(t.mean()) for t in times]
    return WarmUpResult(passes, spent, medians, means, stationary)


def rounds_for(seconds: Sequence[float], settings: Speed) -> int:
    """How many rounds one process runs: whole passes, at least `visits` of them, and at least `seconds` a member
    on average. `seconds` are the members' times for one sample."""
    wanted = QUICK_SECONDS if settings.quick else settings.seconds * len(seconds)
    passes = math.ceil(wanted / (sum(seconds) * settings.batches))
    return max(settings.visits, passes) * settings.batches
