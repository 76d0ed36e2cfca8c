"""Times of two runs: ratios to the baseline are compared, absolute times are shown. docs/method.md says why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np

from harness.analysis import stats
from harness.analysis.stats import Estimate
from harness.analysis.timing import ANOTHER_ANSWER, CPU_SHARE, Comparison, alpha_of
from harness.analysis.verdicts import CHANGE_FLAGS, CLOSE, Flag, Verdict, conclude
from harness.records.record import Record
from harness.tools.across.pairs import Change, Pair, Side

#: The standard deviation of ratios between runs, beyond that between processes (log units): of two levels that are
#: alike, and at most. docs/method.md, "Across runs", gives its source.
ALIKE, UNLIKE = 0.004, 0.012
#: How fast it rises with the log of the ratio.
RISE = 0.013
#: Runs that began more than `SOON` seconds apart are assumed to differ by this factor more, since machines drift.
SOON, LATER = 3600.0, 2.0
#: With this many earlier runs, the spread between runs is estimated from them.
ENOUGH = 6
#: Stands for infinite degrees of freedom: Student's t is then the normal distribution to three digits.
MANY = 1e4

#: Flags of a single run's comparison that also hold for the change.
_CARRIED = (Flag.CPU_CLOCK, Flag.NOT_STATIONARY, Flag.TAIL_EFFECT, *CHANGE_FLAGS.values())

#: Context, level and mode: the key of a history.
Where = tuple[tuple[tuple[str, str], ...], str, str]


@dataclass(frozen=True)
class Past:
    """Earlier runs under the same key, by place: log ratios to the baseline, and step times."""

    ratios: Mapping[Where, Sequence[Estimate]] = field(default_factory=dict)
    seconds: Mapping[Where, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Spread:
    """How much runs differ beyond their own intervals: a standard deviation with its degrees of freedom."""

    sd: float
    df: float = MANY


def where_of(context: Mapping[str, str], level: str, mode: str) -> Where:
    """The place of a comparison, the same in all runs of a suite."""
    return tuple(sorted(context.items())), level, mode


def assumed_spread(log_ratio: float, *, far: bool = False) -> Spread:
    """The spread that is assumed without a history. The less alike two levels are, the more their ratio depends on the
    machine. `far`: the runs are more than an hour apart."""
    return Spread(min(UNLIKE, ALIKE + RISE * abs(log_ratio)) * (LATER if far else 1.0))


def far_apart(a: Sequence[Record], b: Sequence[Record]) -> bool:
    """Whether two runs began more than an hour apart, or when they began is not known."""
    try:
        begun = [min(datetime.fromisoformat(record.at) for record in records) for records in (a, b)]
        return abs((begun[1] - begun[0]).total_seconds()) > SOON
    except (ValueError, TypeError):  # no records, without a time, or one of them without a zone
        return True


def spread_of(past: Sequence[Estimate], log_ratio: float, *, far: bool = False) -> Spread:
    """How much runs differ: estimated from enough earlier runs, else assumed. The estimate uses differences of
    consecutive runs, so that a lasting change of the code counts only once."""
    if len(past) < ENOUGH:
        return assumed_spread(log_ratio, far=far)
    means = np.array([estimate.mean for estimate in past])
    within = float(np.mean([estimate.error**2 for estimate in past]))
    between = float(np.mean(np.diff(means) ** 2)) / 2 - within
    return Spread(math.sqrt(max(ALIKE**2, between)), len(past) - 1)


def difference(a: Estimate, b: Estimate, spread: Spread) -> Estimate:
    """B minus A: two means over processes (Welch), and the spread between runs."""
    parts = [(a.error**2, a.df), (b.error**2, b.df), (2 * spread.sd**2, spread.df)]
    variance = sum(part for part, _ in parts)
    lost = sum(part**2 / df for part, df in parts if df > 0)  # Welch and Satterthwaite
    # Rounded down, so that many comparisons need few quantiles of t.
    df = min(MANY, math.floor(10 * variance**2 / lost + 1e-6) / 10) if lost else MANY
    return Estimate(b.mean - a.mean, math.sqrt(variance), df, min(a.k, b.k))


def decide(estimate: Estimate, margin: float, floor: float, alpha: float) -> tuple[Verdict, str]:
    """The verdict on a change of log times, and the reason where there is none."""
    verdict = conclude(estimate, math.log1p(margin), floor, alpha, Verdict.FASTER, Verdict.SLOWER)
    if verdict != Verdict.UNDECIDED:
        return verdict, ""
    half = estimate.half_width(1 - alpha)
    return verdict, f"interval is ±{100 * half:.1f} %, margin {100 * margin:.1f} %" if half > margin else CLOSE


class Times:
    """The times of one context and mode in both runs, by the same clock."""

    def __init__(self, a: Side, b: Side, pair: Pair, mode: str, past: Past, margin: float | None) -> None:
        self.a, self.b, self.pair, self.mode, self.past = a, b, pair, mode, past
        # Copies, since the common clock may not be that of the findings.
        self.measured = [copy(side.findings.timed(block, mode)) for side, block in ((a, pair.a), (b, pair.b))]
        self.clocks_differ = self.measured[0].clock != self.measured[1].clock
        if self.clocks_differ:  # one run needs CPU time, so both use it
            for one in self.measured:
                one.clock = "cpu"
        settings = [block.measures.speed for block in (pair.a, pair.b)]
        self.quick = [name for name, one in zip("AB", settings, strict=True) if one and one.quick]
        given = [one.margin for one in settings if one]
        self.margin = min(given) if margin is None else margin
        self.alpha = min(map(alpha_of, settings))
        self.far = far_apart(a.records, b.records)
        self.floor = max(a.findings.floor, b.findings.floor)

    def ratio(self, level: str, metric: str) -> Change:
        """The change of a level's ratio to the baseline."""
        compared = [side.findings.of(block, self.mode, metric).get(level) for side, block in self._sides()]
        estimates = [self._estimate(i, level, metric, compared[i]) for i in (0, 1)]
        a, b = (math.exp(one.mean) if one else None for one in estimates)
        change = Change(
            kind="ratios", block=self.pair.b, level=level, mode=self.mode, metric=metric, a=a, b=b,
            confidence=1 - self.alpha,
        )  # fmt: skip
        if alone := self.pair.in_one_alone(change):
            return alone
        if reason := self.pair.why_not(level, "ratios"):
            return replace(change, verdict=Verdict.NOT_COMPARABLE, reason=reason)
        for name, one, estimate in zip("AB", compared, estimates, strict=True):
            if one is None or one.verdict == Verdict.INVALID or estimate is None:
                return replace(change, reason=f"in {name}: {one.reason if one else 'not measured'}")
        first, second = estimates
        assert first is not None
        assert second is not None
        where = where_of(self.pair.b.context, level, self.mode)
        past = self.past.ratios.get(where, ()) if metric == "step_time" else ()
        estimate = difference(first, second, spread_of(past, first.mean, far=self.far))
        verdict, reason = self._judged(estimate, [one for one in compared if one])
        return replace(
            change, estimate=estimate, verdict=verdict, reason=reason, flags=self._flags(level, compared, past)
        )

    def time(self, level: str, metric: str) -> Change:
        """The change of a level's own time: shown, and judged only by the spread of earlier runs."""
        change = Change(
            kind="times", block=self.pair.b, level=level, mode=self.mode, metric=metric, verdict=Verdict.SHOWN
        )
        if alone := self.pair.in_one_alone(change):
            return alone
        first, second = (self._seconds(i, level, metric) for i in (0, 1))
        if first is None or second is None:
            return replace(change, verdict=Verdict.INVALID, reason="not measured")
        flags = (Flag.CPU_CLOCK,) if self.measured[1].clock == "cpu" else ()
        change = replace(change, a=first, b=second, flags=flags)
        if reason := self.pair.why_not(level, "times"):
            return replace(change, verdict=Verdict.NOT_COMPARABLE, reason=reason)
        past = self.past.seconds.get(where_of(self.pair.b.context, level, self.mode), ())
        if metric != "step_time" or len(past) < ENOUGH or self.quick:
            return change
        logs = np.log(past)
        error = float(logs.std(ddof=1)) * math.sqrt(1 + 1 / len(logs))
        estimate = Estimate(math.log(second) - float(logs.mean()), error, len(logs) - 1, len(logs))
        verdict, reason = decide(estimate, self.margin, stats.FLOOR, 0.05)
        return replace(change, estimate=estimate, verdict=verdict, reason=reason)

    def _sides(self) -> list[tuple[Side, Any]]:
        return [(self.a, self.pair.a), (self.b, self.pair.b)]

    def _view(self, index: int, metric: str) -> Any:
        return (self.a, self.b)[index].findings.views.get(metric)

    def _estimate(self, index: int, level: str, metric: str, compared: Comparison | None) -> Estimate | None:
        """The log ratio of one run, on the common clock."""
        if compared is None or compared.estimate is None:
            return None
        if not self.clocks_differ:
            return compared.estimate
        values = self.measured[index].log_ratios(level, "variant", self._view(index, metric))
        return stats.estimate(values) if values else None

    def _seconds(self, index: int, level: str, metric: str) -> float | None:
        of = (self.a, self.b)[index].findings.metrics.get(metric)
        return self.measured[index].number(level, of, self._view(index, metric)) if of else None

    def _judged(self, estimate: Estimate, compared: Sequence[Comparison]) -> tuple[Verdict, str]:
        if any(one.verdict == Verdict.UNRANKED for one in compared):
            return Verdict.UNRANKED, ANOTHER_ANSWER
        if self.quick:
            return Verdict.UNDECIDED, f"a first look: {' and '.join(self.quick)}"
        for name, one in zip("AB", compared, strict=True):
            if Flag.NULL_BIASED in one.flags:
                return Verdict.UNDECIDED, f"in {name} the baseline differs from itself"
            if one.clock == "wall" and one.cpu_share < CPU_SHARE and contended(one):
                return Verdict.UNDECIDED, f"in {name} cores were shared, and several threads have no CPU clock"
        return decide(estimate, self.margin, self.floor, self.alpha)

    def _flags(self, level: str, compared: Sequence[Comparison | None], past: Sequence[Estimate]) -> tuple[Flag, ...]:
        carried = {flag for one in compared if one for flag in one.flags}
        if self.clocks_differ:
            carried.add(Flag.CPU_CLOCK)
        found = [Flag.OTHER_MACHINE] if self.pair.marked(level, "ratios") else []
        if self.far and len(past) < ENOUGH:
            found.append(Flag.FAR_APART)
        return (*found, *(flag for flag in _CARRIED if flag in carried))


def contended(comparison: Comparison) -> bool:
    """Whether several threads computed on the CPU."""
    block = comparison.block
    return block.threads > 1 and all(trial.device == "cpu" for trial in block.trials)
