"""What a rehearsal of a block found: the seconds from which the time of a run is estimated. Does not import torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple


class TimeRange(NamedTuple):
    """An estimated time in seconds: the least, the expected and the most."""

    least: float
    expected: float
    most: float

    def plus(self, other: TimeRange) -> TimeRange:
        """The time of both, one after the other."""
        return TimeRange(*(a + b for a, b in zip(self, other, strict=True)))


@dataclass(frozen=True)
class LevelTimes:
    """The seconds that the trial of one level took. Without a rehearsal they are assumed.

    `build` is until its model is built and its work set is in batches. `step` is a step of the work set by mode, and
    `first` the same for the first steps, which are slower. `profiled` is a step under the profiler by mode, until its
    events are read. `training` is a step of a training run while as many runs as usual train, and `evaluation` one
    evaluation on all held-out examples; 0 if nothing is learned."""

    build: float = 0.02
    step: Mapping[str, float] = field(default_factory=dict)
    first: Mapping[str, float] = field(default_factory=dict)
    profiled: Mapping[str, float] = field(default_factory=dict)
    training: float = 0.0
    evaluation: float = 0.0

    @classmethod
    def assumed(cls, modes: tuple[str, ...], *, learns: bool) -> LevelTimes:
        """Times for steps of a few milliseconds."""
        step, first, profiled = (dict.fromkeys(modes, seconds) for seconds in (0.01, 0.03, 0.05))
        return cls(0.02, step, first, profiled, 0.01 * learns, 0.5 * learns)


@dataclass(frozen=True)
class Rehearsal:
    """The times of a block in seconds.

    `levels` has those of each trial by its level. `load` is until the data and the parts are loaded, `fork` until a
    process begins to build its trials, and `verify` for the verification of the block. `jobs` is how many training runs
    run at the same time, and `steps` the number of training steps of a run, if it is known."""

    levels: Mapping[str, LevelTimes]
    load: float = 0.5
    fork: float = 0.03
    verify: float = 1.0
    jobs: int = 1
    steps: int | None = None
    #: Whether nothing was measured: all times are assumed.
    assumed: bool = False

    def of_step(self, mode: str) -> float:
        """The seconds of one step of every trial of the block."""
        return sum(level.step.get(mode, 0.0) for level in self.levels.values())

    def between(self, other: Rehearsal, share: float) -> Rehearsal:
        """The times at this share of the way from this block to another one, if they grow by equal factors."""
        weights = (1 - share, share)
        levels = mean([self.levels, other.levels], weights)
        load, fork, verify = (mean([getattr(self, n), getattr(other, n)], weights) for n in ("load", "fork", "verify"))
        return replace(self, levels=levels, load=load, fork=fork, verify=verify)


def mean(values: Sequence[Any], weights: Sequence[float]) -> Any:
    """The weighted geometric mean of numbers, of each entry of mappings, or of each field of `LevelTimes`. An entry
    that only some mappings have is the mean of these."""
    total = sum(weights)
    if isinstance(values[0], LevelTimes):
        return LevelTimes(
            *(mean([getattr(value, one.name) for value in values], weights) for one in fields(LevelTimes))
        )
    if isinstance(values[0], Mapping):
        found = {}
        for name in dict.fromkeys(name for value in values for name in value):
            pairs = [(value[name], weight) for value, weight in zip(values, weights, strict=True) if name in value]
            found[name] = mean([value for value, _ in pairs], [weight for _, weight in pairs])
        return found
    if total == 0 or min(values) <= 0:
        return max(values)
    return math.exp(sum(weight * math.log(value) for value, weight in zip(values, weights, strict=True)) / total)
