"""Times of two runs: ratios to the baseline are compared, absolute times are shown. docs/method.md says why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from harness.analysis import stats
from harness.analysis.clocks import CPU_SHARE
from harness.analysis.stats import Estimate
from harness.analysis.timing import ANOTHER_ANSWER, Comparison
from harness.analysis.verdicts import CHANGE_FLAGS, CLOSE, Flag, Verdict, conclude
from harness.records.record import Record
from harness.tools.comparison.pairs import ContextPair, MetricChange, RunData

STEP_TIME = "step_time"

#: The standard deviation of ratios between runs, beyond that between processes (log units): of two levels that take
#: equally long, and the largest that is assumed. docs/method.md, "Across runs", gives its source.
SPREAD_OF_EQUAL, MOST_SPREAD = 0.004, 0.012
#: How fast it rises with the log of the ratio.
SPREAD_SLOPE = 0.013
#: Runs that began more than this many seconds apart are assumed to differ by this factor more, since machines drift.
FAR_APART, FAR_FACTOR = 3600.0, 2.0
#: With this many earlier runs, the spread between runs is estimated from them.
ENOUGH_RUNS = 6
#: Used for infinite degrees of freedom: Student's t is then the normal distribution to three digits.
NORMAL_DF = 1e4

#: Flags of a single run's comparison that also apply to the change.
_CARRIED = (Flag.CPU_CLOCK, Flag.NOT_STATIONARY, Flag.TAIL_EFFECT, *CHANGE_FLAGS.values())

#: Context, level and mode.
Coordinates = tuple[tuple[tuple[str, str], ...], str, str]


def coordinates_of(context: Mapping[str, str], level: str, mode: str) -> Coordinates:
    """The coordinates of a comparison, which are the same in all runs of a suite."""
    return tuple(sorted(context.items())), level, mode


@dataclass(frozen=True)
class EarlierRuns:
    """Earlier comparable runs: log ratios to the baseline and step times, by coordinates, and the number of runs."""

    ratios: Mapping[Coordinates, Sequence[Estimate]] = field(default_factory=dict)
    seconds: Mapping[Coordinates, Sequence[float]] = field(default_factory=dict)
    runs: int = 0


@dataclass(frozen=True)
class Spread:
    """How much runs differ beyond their own intervals: a standard deviation with its degrees of freedom."""

    sd: float
    df: float = NORMAL_DF


def assumed_spread(log_ratio: float, *, far: bool = False) -> Spread:
    """The spread that is assumed without earlier runs. The larger the difference of two levels, the more their ratio
    depends on the machine. `far`: the runs are more than an hour apart."""
    sd = min(MOST_SPREAD, SPREAD_OF_EQUAL + SPREAD_SLOPE * abs(log_ratio))
    return Spread(sd * (FAR_FACTOR if far else 1.0))


def spread_of(earlier: Sequence[Estimate], log_ratio: float, *, far: bool = False) -> Spread:
    """How much runs differ: estimated from enough earlier runs, otherwise assumed. The estimate uses differences of
    consecutive runs, so that a lasting change of the code counts only once."""
    if len(earlier) < ENOUGH_RUNS:
        return assumed_spread(log_ratio, far=far)
    means = np.array([estimate.mean for estimate in earlier])
    within = float(np.mean([estimate.error**2 for estimate in earlier]))
    between = float(np.mean(np.diff(means) ** 2)) / 2 - within
    return Spread(math.sqrt(max(SPREAD_OF_EQUAL**2, between)), df_of_differences(len(means)))


def df_of_differences(n: int) -> float:
    """The degrees of freedom of a variance that is estimated by the mean square of the n - 1 differences of neighbours.

    For numbers with variance 1, a squared difference has mean 2 and variance 8, and two that share a number have
    covariance 2. The sum of all n - 1 thus has mean 2 (n - 1) and variance 8 (n - 1) + 4 (n - 2) = 4 (3n - 4). A
    variance with df degrees of freedom has 2 mean^2 / variance = df."""
    return 2 * (n - 1) ** 2 / (3 * n - 4)


def are_far_apart(a: Sequence[Record], b: Sequence[Record]) -> bool:
    """Whether two runs began more than an hour apart, or it is not known when they began."""
    try:
        begun = [min(datetime.fromisoformat(record.at) for record in records) for records in (a, b)]
        return abs((begun[1] - begun[0]).total_seconds()) > FAR_APART
    except (ValueError, TypeError):  # no records, without a time, or one of them without a zone
        return True


def difference(a: Estimate, b: Estimate, spread: Spread) -> Estimate:
    """B minus A: two means over processes (Welch), with the spread between runs added for each run."""
    found = stats.welch(a, b, (2 * spread.sd**2, spread.df))
    # Rounded down, so that many comparisons need few quantiles of t.
    return replace(found, df=math.floor(10 * min(NORMAL_DF, found.df) + 1e-6) / 10)


def decide_change(estimate: Estimate, margin: float, floor: float) -> tuple[Verdict, str]:
    """The verdict on a change of log times, and the reason if it is undecided."""
    verdict = conclude(estimate, math.log1p(margin), floor, 0.05, Verdict.FASTER, Verdict.SLOWER)
    if verdict != Verdict.UNDECIDED:
        return verdict, ""
    half = estimate.half_width()
    return verdict, f"interval is ±{100 * half:.1f} %, margin {100 * margin:.1f} %" if half > margin else CLOSE


class PairedTimes:
    """The times of one context and mode in both runs, by the same clock."""

    def __init__(
        self, a: RunData, b: RunData, pair: ContextPair, mode: str, earlier: EarlierRuns, margin: float | None
    ) -> None:
        self.runs, self.pair, self.mode, self.earlier = (a, b), pair, mode, earlier
        # Copies, since the common clock may not be that of the findings.
        self.measured = [copy(run.findings.timed(block, mode)) for run, block in ((a, pair.a), (b, pair.b))]
        self.clocks_differ = self.measured[0].clock != self.measured[1].clock
        if self.clocks_differ:  # one run needs CPU time, so both use it
            for one in self.measured:
                one.clock = "cpu"
        settings = [one.settings for one in self.measured]
        self.quick = [name for name, one in zip("AB", settings, strict=True) if one.quick]
        self.margin = min(one.margin for one in settings) if margin is None else margin
        self.far = are_far_apart(a.records, b.records)
        self.floor = max(a.findings.floor, b.findings.floor)

    def ratio(self, level: str, metric: str) -> MetricChange:
        """The change of a level's ratio to the baseline."""
        blocks = self.pair.a, self.pair.b
        compared = [self.runs[i].findings.of(blocks[i], self.mode, metric).get(level) for i in (0, 1)]
        estimates = [self._log_ratio(i, level, metric, compared[i]) for i in (0, 1)]
        a, b = (math.exp(one.mean) if one else None for one in estimates)
        change = MetricChange(
            kind="ratios", block=self.pair.b, level=level, mode=self.mode, metric=metric, a=a, b=b,
        )  # fmt: skip
        if alone := self.pair.only_in_one(change):
            return alone
        if reason := self.pair.why_not(level, "ratios"):
            return replace(change, verdict=Verdict.NOT_COMPARABLE, reason=reason)
        valid: list[tuple[Comparison, Estimate]] = []
        for name, one, estimate in zip("AB", compared, estimates, strict=True):
            if one is None or one.verdict == Verdict.INVALID or estimate is None:
                return replace(change, reason=f"in {name}: {one.reason if one else 'not measured'}")
            valid.append((one, estimate))
        (in_a, first), (in_b, second) = valid
        coordinates = coordinates_of(self.pair.b.context, level, self.mode)
        earlier = self.earlier.ratios.get(coordinates, ()) if metric == STEP_TIME else ()
        estimate = difference(first, second, spread_of(earlier, first.mean, far=self.far))
        verdict, reason = self._verdict(estimate, in_a, in_b)
        carried = {*in_a.flags, *in_b.flags, *([Flag.CPU_CLOCK] if self.clocks_differ else [])}
        flags = [Flag.OTHER_MACHINE] if self.pair.of_two_machines(level, "ratios") else []
        flags += [Flag.FAR_APART] if self.far and len(earlier) < ENOUGH_RUNS else []
        flags += [flag for flag in _CARRIED if flag in carried]
        return replace(change, estimate=estimate, verdict=verdict, reason=reason, flags=tuple(flags))

    def time(self, level: str, metric: str) -> MetricChange:
        """The change of a level's own time: shown, and decided only by the spread of earlier runs."""
        change = MetricChange(
            kind="times", block=self.pair.b, level=level, mode=self.mode, metric=metric, verdict=Verdict.SHOWN
        )
        if alone := self.pair.only_in_one(change):
            return alone
        first, second = (self._seconds(index, level, metric) for index in (0, 1))
        if first is None or second is None:
            return replace(change, verdict=Verdict.INVALID, reason="not measured")
        flags = (Flag.CPU_CLOCK,) if self.measured[1].clock == "cpu" else ()
        change = replace(change, a=first, b=second, flags=flags)
        if reason := self.pair.why_not(level, "times"):
            return replace(change, verdict=Verdict.NOT_COMPARABLE, reason=reason)
        earlier = self.earlier.seconds.get(coordinates_of(self.pair.b.context, level, self.mode), ())
        if metric != STEP_TIME or len(earlier) < ENOUGH_RUNS or self.quick:
            return change
        logs = np.log(earlier)
        error = float(logs.std(ddof=1)) * math.sqrt(1 + 1 / len(logs))
        estimate = Estimate(math.log(second) - float(logs.mean()), error, len(logs) - 1, len(logs))
        verdict, reason = decide_change(estimate, self.margin, stats.FLOOR)
        return replace(change, estimate=estimate, verdict=verdict, reason=reason)

    def _log_ratio(self, index: int, level: str, metric: str, compared: Comparison | None) -> Estimate | None:
        """The log ratio of one run, on the common clock. Its variance is not pooled: a gate may depend on it."""
        if compared is None or compared.estimate is None:
            return None
        if not self.clocks_differ:
            return compared.estimate if compared.estimate.k < 2 else stats.estimate(compared.values)
        view = self.runs[index].findings.views[metric]
        values = self.measured[index].log_ratios(level, "variant", view)
        return stats.estimate(values) if values else None

    def _seconds(self, index: int, level: str, metric: str) -> float | None:
        findings = self.runs[index].findings
        if metric not in findings.metrics:
            return None
        return self.measured[index].number(level, findings.metrics[metric], findings.views[metric])

    def _verdict(self, estimate: Estimate, in_a: Comparison, in_b: Comparison) -> tuple[Verdict, str]:
        if Verdict.UNRANKED in (in_a.verdict, in_b.verdict):
            return Verdict.UNRANKED, ANOTHER_ANSWER
        if self.quick:
            return Verdict.UNDECIDED, f"a first look: {' and '.join(self.quick)}"
        for name, one in (("A", in_a), ("B", in_b)):
            if Flag.NULL_BIASED in one.flags:
                return Verdict.UNDECIDED, f"in {name} the baseline differs from itself"
            several_threads = one.block.threads > 1 and all(trial.device == "cpu" for trial in one.block.trials)
            if several_threads and one.clock == "wall" and one.cpu_share < CPU_SHARE:
                return Verdict.UNDECIDED, f"in {name} cores were shared, and several threads have no CPU clock"
        return decide_change(estimate, self.margin, self.floor)
