"""Values of single levels with intervals of their own, for claims such as `at least 90%` or `at most 20 ms`.

A score is averaged over seeds, and a time over processes. A time is wall time, the mean over all samples, of this
machine only. docs/method.md gives the reasons.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.analysis import seed_stats, stats
from harness.analysis.finding import Finding, failure_in_words
from harness.analysis.learning import Learned
from harness.analysis.quantities import QuantityFinding
from harness.analysis.samples import View
from harness.analysis.stats import Estimate
from harness.analysis.time_verdicts import looks_of
from harness.analysis.timing import ANOTHER_ANSWER, Measured
from harness.analysis.verdicts import Flag, Verdict
from harness.records.plan import LEARNING, Claim
from harness.records.value_types import UNITS


@dataclass(frozen=True, kw_only=True)
class LevelValue(Finding):
    """A metric of one level by itself. `estimate` is of the logarithm of the value where `scale` is "ratio", else of
    the value; `size` is in seconds, bytes, or the metric's own unit, and shown in `unit`."""

    unit: str = ""

    def in_words(self, value: float) -> str:
        """See `Finding.in_words`."""
        return value_in_words(value, self.unit)


@dataclass(frozen=True)
class Rate(Estimate):
    """The share of seeds to which something happened, with the exact interval of Clopper and Pearson (1934)."""

    happened: int

    @classmethod
    def of(cls, happened: Sequence[bool]) -> Rate:
        """The rate over these seeds."""
        n, count = len(happened), sum(happened)
        low, high = seed_stats.clopper_pearson(count, n)
        return cls(count / n, (high - low) / 4, n - 1, n, count)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The interval of the rate."""
        return seed_stats.clopper_pearson(self.happened, self.k, confidence)

    def half_width(self, confidence: float = 0.95) -> float:
        """Half of the interval."""
        low, high = self.interval(confidence)
        return (high - low) / 2


def value_in_words(value: float, unit: str) -> str:
    """A value in this unit, with four digits."""
    return f"{value / UNITS[unit]:.4g}{' ' * bool(unit)}{unit}"


def level_values(
    claims: Sequence[Claim], measured: Sequence[Measured], views: Mapping[str, View], learned: Sequence[Learned],
    quantities: Sequence[QuantityFinding],
) -> list[LevelValue]:  # fmt: skip
    """The values that claims are about, each once."""
    found: list[LevelValue] = []
    for claim in {(c.level, c.of, c.metric, c.unit): c for c in claims if c.is_value}.values():
        if claim.of == LEARNING:
            found += (_score(one, claim) for one in learned)
        elif claim.exact:
            found += _exact_values(quantities, claim)
        elif claim.metric in views:
            found += (_time(one, claim, views[claim.metric]) for one in measured if one.mode == claim.of)
    return found


def _exact_values(quantities: Sequence[QuantityFinding], claim: Claim) -> Iterator[LevelValue]:
    """An exact quantity of each block."""
    for one in quantities:
        if (one.level, one.mode, one.metric) == (claim.level, claim.of, claim.metric):
            yield LevelValue(
                block=one.block, level=one.level, mode=one.mode, metric=one.metric, scale="difference", unit=claim.unit,
                estimate=Estimate(one.value, 0.0, math.inf, 1), verdict=one.verdict,
            )  # fmt: skip


def _score(one: Learned, claim: Claim) -> LevelValue:
    """A score of one level, with its mean over seeds; the geometric mean where scores are compared by their ratio."""
    metric, level = claim.metric, claim.level
    scale = one.scores[metric].compared if metric in one.scores else "difference"
    found = LevelValue(
        block=one.block, level=level, mode=LEARNING, metric=metric, scale=scale, unit=claim.unit, reason="not trained"
    )
    if level in one.broken:
        return replace(found, reason=failure_in_words(one.broken[level]))
    seeds = one.seeds_of(level) if level in one.runs else ()
    if not seeds or metric not in one.scores:
        return found
    values = one.values(level, metric, seeds)
    rate = metric in ("diverged", "reached")
    estimate = (
        Rate.of((values > 0.5).tolist()) if rate else stats.estimate(seed_stats.as_estimated(values, scale).tolist())
    )
    flags = {Flag.EXTENDED: one.settings.extended, Flag.DIVERGED: any(one.diverged(level)) and metric != "diverged"}
    given = tuple(flag for flag, applies in flags.items() if applies)
    return replace(found, estimate=estimate, verdict=Verdict.NONE, reason="", flags=given)


def _time(one: Measured, claim: Claim, view: View) -> LevelValue:
    """A time of one level: the mean over all samples of a process, then over processes (of logarithms)."""
    level, values = claim.level, []
    for process in one.processes:
        if (level, "variant") in process:
            samples = replace(process[level, "variant"], clock="wall")
            if (seconds := view(samples)) is not None and len(seconds) and seconds.min() > 0:
                values.append(math.log(stats.each_batch(seconds, samples.batch, stats.means).mean()))
    found = LevelValue(
        block=one.block, level=level, mode=one.mode, metric=claim.metric, unit=claim.unit, reason="not measured"
    )
    if level in one.broken:
        return replace(found, reason=failure_in_words(one.broken[level]))
    if not values:
        return found
    found = replace(found, estimate=stats.estimate(values))
    if one.mostly("throttled", level, len(values)):
        return replace(found, reason="throttled: the GPU lowered its clock")
    if any(trial.level == level and trial.changes == "answer" for trial in one.block.trials):
        return replace(found, verdict=Verdict.UNRANKED, reason=ANOTHER_ANSWER)
    if not one.settings.quick and len(values) < (least := looks_of(one.block)[0]):
        return replace(found, reason=f"{len(values)} of at least {least} processes")
    flags = {
        Flag.CONTENDED: one.contended or one.clock == "cpu",  # CPU time is no time of a step that a user waits for
        Flag.NOT_STATIONARY: one.mostly("not_stationary", level, len(values)),
    }
    return replace(found, verdict=Verdict.NONE, reason="", flags=tuple(flag for flag, given in flags.items() if given))
