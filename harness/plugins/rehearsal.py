"""What a rehearsal of a block found: the seconds from which the time of a run is estimated. Does not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
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

    @classmethod
    def mean(cls, several: list[LevelTimes]) -> LevelTimes:
        """The means of several levels, of which there is at least one."""

        def mean_of(values: list[Any]) -> Any:
            if isinstance(values[0], Mapping):
                return {name: mean_of([value[name] for value in values if name in value]) for name in values[0]}
            return sum(values) / len(values)

        return cls(*(mean_of([getattr(one, name.name) for one in several]) for name in fields(cls)))


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
