"""What trials learned over seeds: paired comparisons with intervals and verdicts. Pure; docs/method.md says why."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import NormalDist

import numpy as np

from harness.analysis import seed_stats as seeds
from harness.analysis import stats
from harness.analysis.stats import Array, Estimate
from harness.plugins.parts import Score
from harness.plugins.scores import scores_of
from harness.records.plan import LEARNING, Block
from harness.records.record import Record
from harness.records.settings import Learning

#: What each flag means to the one who reads it.
FLAGS = {
    "extended": "seeds were added after a look at the others: such intervals are too narrow, so take them as a hint",
    "diverged": "some of these seeds diverged; each counts with the score of the untrained model",
    "flips-disagree": "the sign-flip test and the t interval do not say the same: a few seeds decide",
}


@dataclass(frozen=True)
class RateDifference(Estimate):
    """The difference of two rates over the same seeds, with an interval of its own (Bonett and Price 2012)."""

    baseline: tuple[bool, ...] = ()
    variant: tuple[bool, ...] = ()

    @classmethod
    def of(cls, baseline: Sequence[bool], variant: Sequence[bool]) -> RateDifference:
        """Paired outcomes, index i of both the same seed."""
        mean, low, high = seeds.failure_difference(baseline, variant)
        error = (high - low) / 2 / NormalDist().inv_cdf(0.975)
        return cls(mean, error, math.inf, len(baseline), tuple(baseline), tuple(variant))

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The interval of the difference."""
        return seeds.failure_difference(self.baseline, self.variant, confidence)[1:]

    def half_width(self, confidence: float = 0.95) -> float:
        """Half of it."""
        low, high = self.interval(confidence)
        return (high - low) / 2

    def p_value(self, floor: float = 0.0) -> float:
        """McNemar's exact p."""
        return seeds.mcnemar(self.baseline, self.variant)


@dataclass(frozen=True)
class LearningComparison:
    """A level against the baseline in one block by one score, a value a seed.

    `baseline` and `variant` are the values themselves, `estimate` is of their differences, or of the logs of their
    ratios; `survivors` of the same without seeds that diverged, where any did. `sign_flip` is that test's p."""

    block: Block
    level: str
    metric: str
    score: Score
    seeds: tuple[int, ...]
    baseline: tuple[float, ...]
    variant: tuple[float, ...]
    estimate: Estimate | None
    verdict: str
    reason: str = ""
    flags: tuple[str, ...] = ()
    sign_flip: float | None = None
    survivors: Estimate | None = None
    adjusted: float | None = None
    mode: str = LEARNING

    @property
    def scale(self) -> str:
        """Whether differences or ratios are compared."""
        return self.score.compared

    @property
    def ratio(self) -> float | None:
        """Its size as people read it: a ratio, or the mean difference."""
        return None if self.estimate is None else self.on_scale(self.estimate.mean)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of `ratio`; None where there is too little for one."""
        if self.estimate is None or not math.isfinite(self.estimate.error):
            return None
        low, high = self.estimate.interval()
        return self.on_scale(low), self.on_scale(high)

    def on_scale(self, value: float) -> float:
        """A difference as it is, a log as its ratio."""
        return math.exp(value) if self.scale == "ratio" else value


class Learned:
    """What was learned in one block: its runs by level and seed."""

    def __init__(self, block: Block, records: Iterable[Record]) -> None:
        assert block.measures.learning is not None
        self.block, self.settings = block, block.measures.learning
        self.runs: dict[str, dict[int, Record]] = {trial.level: {} for trial in block.trials}
        self.broken: dict[str, Record] = {}
        for record in records:
            if record.block != block.id:
                continue
            if record.measure == LEARNING and record.outcome in ("ok", "diverged"):
                self.runs[record.level][record.data["seed"]] = record
            elif record.outcome != "ok" and (record.measure == LEARNING or not record.after_the_clock):
                self.broken.setdefault(record.level, record)

    @cached_property
    def scores(self) -> dict[str, Score]:
        """Everything that is compared but the time to the target."""
        return scores_of(self.settings)

    def seeds_of(self, *levels: str) -> tuple[int, ...]:
        """The seeds under which all of these levels have run, in the order of the settings."""
        return tuple(seed for seed in self.settings.seeds if all(seed in self.runs[level] for level in levels))

    @cached_property
    def limit(self) -> int:
        """How many steps a run was to have; where time ends them, the most that any run made."""
        return max((total_steps(record) for runs in self.runs.values() for record in runs.values()), default=0)

    def values(self, level: str, metric: str, under: Sequence[int]) -> Array:
        """A score of a level, a value a seed."""
        return np.array([value_of(self.runs[level][seed], metric, self.settings, self.limit) for seed in under])

    def diverged(self, level: str, under: Sequence[int]) -> list[bool]:
        """Which seeds diverged."""
        return [self.runs[level][seed].outcome == "diverged" for seed in under]

    def compare(self, level: str, metric: str) -> LearningComparison:
        """A level against the baseline by one score."""
        baseline, score = self.block.baseline.level, self.scores[metric]
        under = self.seeds_of(baseline, level)
        ours, theirs = (self.values(one, metric, under) for one in (level, baseline))
        comparison = LearningComparison(
            self.block, level, metric, score, under, tuple(theirs.tolist()), tuple(ours.tolist()), None, "invalid",
            "not trained",
        )  # fmt: skip
        broken = self.broken.get(level) or self.broken.get(baseline)
        if broken is not None:
            return replace(comparison, reason=f"{broken.outcome}: {broken.reason}")
        if not under:
            return comparison
        differences = seeds.differences(theirs, ours, score.compared)
        rate = metric in ("diverged", "reached")
        estimate = RateDifference.of(theirs > 0.5, ours > 0.5) if rate else stats.estimate(differences)  # type: ignore[arg-type]
        verdict, reason = seeds.decide_seeds(estimate, self.margin(metric), score.better)
        failed = [a or b for a, b in zip(self.diverged(baseline, under), self.diverged(level, under), strict=True)]
        flip = None if rate else seeds.sign_flip(differences)
        survivors = differences[~np.array(failed)]
        flags = ["extended"] if self.settings.extended else []
        if any(failed) and metric != "diverged":
            flags.append("diverged")
        if flip is not None and verdict != "equivalent" and (verdict in ("better", "worse")) != (flip <= 0.05):
            flags.append("flips-disagree")
        return replace(
            comparison,
            estimate=estimate,
            verdict=verdict,
            reason=reason,
            flags=tuple(flags),
            sign_flip=flip,
            survivors=stats.estimate(survivors.tolist()) if any(failed) and len(survivors) > 1 else None,
        )

    def margin(self, metric: str) -> float | None:
        """What still counts as equal, in the estimate's units; the suite gives it for its own metric alone."""
        if not self.settings.margin or metric.removeprefix("mean_") != self.settings.score:
            return None
        return math.log1p(self.settings.margin) if self.settings.margin_of == "ratio" else self.settings.margin

    def comparisons(self) -> list[LearningComparison]:
        """Every level against the baseline by every score."""
        return [self.compare(trial.level, metric) for trial in self.block.trials[1:] for metric in self.scores]

    def reached(self, level: str) -> list[int | None]:
        """The steps to the target of each seed of a level; None for those that never got there."""
        settings = self.settings
        if settings.target is None:
            return []
        return [steps_to_target(self.runs[level][seed], settings) for seed in self.seeds_of(level)]


def value_of(record: Record, metric: str, settings: Learning, limit: int) -> float:
    """A score of one run. A run that diverged is worth what it was before its first step, and one that never reached
    the target took the `limit` (so that means are restricted ones, Royston and Parmar 2013): its own length would
    reward it for making few steps in its time."""
    data, diverged = record.data, record.outcome == "diverged"
    if metric == "diverged":
        return float(diverged)
    if metric in ("reached", "steps_to_target"):
        step = steps_to_target(record, settings)
        if metric == "reached":
            return float(step is not None)
        return float(limit if step is None else max(step, 1))  # a ratio to no step at all would be infinite
    if metric in data["scores"]:
        series = data["scores"][metric]
        return float(series[0] if diverged else series[-1])
    series = data["scores"][metric.removeprefix("mean_")]
    missing = min(settings.evaluations, limit) - len(series) + 1 if diverged else 0
    return float(np.mean([*series[1:], *[series[0]] * missing]))


def steps_to_target(record: Record, settings: Learning) -> int | None:
    """The first evaluated step after which the metric was at the target; None for a run that never got there, or
    diverged later on."""
    if settings.target is None or record.outcome == "diverged":
        return None
    better: seeds.Better = "lower" if settings.scores[settings.score]["better"] == "lower" else "higher"
    data: Mapping[str, list[float]] = record.data["scores"]
    return seeds.first_reaching(record.data["evaluated"], data[settings.score], settings.target, better)


def total_steps(record: Record) -> int:
    """How many steps the run was to have, or did have where time ends it."""
    planned = record.data.get("planned_steps") or record.data["steps"]
    return int(planned)


def visible(comparison: LearningComparison) -> float | None:
    """The smallest difference (or log ratio) that so many seeds with this scatter would have shown in 8 of 10 cases."""
    estimate = comparison.estimate
    if estimate is None or isinstance(estimate, RateDifference) or estimate.k < stats.LEAST or not estimate.error:
        return None
    return seeds.smallest_effect(estimate.k) * estimate.error * math.sqrt(estimate.k)
