"""Where a level breaks even with the baseline along numbers: levels of an axis, or an amount that the data have.

Between two contexts the log of the ratio, and each end of its interval, is taken as a straight line. The range of a
break-even is where the interval includes a ratio of 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.analysis.grouping import FEWEST, along, axes_of, grouped, numbers_of, spaced_by_logs
from harness.analysis.timing import Comparison
from harness.analysis.verdicts import EXCLUDED, Verdict
from harness.plugins.parts import Metric
from harness.records.plan import Block, Plan

#: Metrics of single trials by (block id, level, mode, metric).
Numbers = Mapping[tuple[str, str, str, str], float]


@dataclass(frozen=True)
class RatioPoint:
    """The ratio of one level in one context: logs of it and of its interval, which is the ratio itself where there is
    no interval. `x` is the context's number."""

    x: float
    mean: float
    low: float
    high: float
    verdict: Verdict

    @classmethod
    def of(cls, x: float, comparison: Comparison) -> RatioPoint:
        """A comparison that has an estimate, at its context's number."""
        assert comparison.estimate is not None
        mean, bounds = comparison.estimate.mean, comparison.interval
        low, high = map(math.log, bounds) if bounds else (mean, mean)
        return cls(x, mean, low, high, comparison.verdict)


@dataclass(frozen=True)
class BreakEven:
    """Where a ratio crosses 1, and the range in which it may; an end of the range is None where the data do not reach
    it. The level is `faster` "above" or "below" this number."""

    at: float
    low: float | None
    high: float | None
    faster: str


@dataclass(frozen=True)
class RatioCurve:
    """A level's ratios along the numbers, smallest number first, and where it breaks even."""

    level: str
    points: tuple[RatioPoint, ...]
    crossings: tuple[BreakEven, ...]


@dataclass(frozen=True)
class RatioCurves:
    """The levels of some contexts that differ in a number alone. `what` gives the number: an axis, or a counted amount
    by its `metric`. `rest` are the levels of the other axes. `log`: the numbers are spaced by logs."""

    what: str
    rest: Mapping[str, str]
    mode: str
    baseline: str
    curves: tuple[RatioCurve, ...]
    log: bool
    metric: Metric | None = None

    @property
    def numbers(self) -> list[float]:
        """Every number, smallest first."""
        return sorted({point.x for curve in self.curves for point in curve.points})


def find_break_evens(
    plan: Plan, comparisons: Sequence[Comparison], numbers: Numbers, metrics: Mapping[str, Metric]
) -> tuple[RatioCurves, ...]:
    """Step times along each axis of numbers, and along each counted amount that differs between contexts by itself."""
    compared = {(c.block.id, c.mode, c.level): c for c in comparisons if c.metric == "step_time"}
    found = []
    for mode in dict.fromkeys(mode for b in plan.blocks if b.measures.speed for mode in b.measures.speed.of):
        amounts = {name: metric for name, metric in metrics.items() if metric.per == "counts"}
        for what, axes, places in (*_axes(plan, mode), *_amounts(plan, mode, numbers, amounts)):
            blocks = [block for block in plan.blocks if block.id in places]
            for rest, group in along(axes, blocks).items():
                log = spaced_by_logs(sorted(places[block.id] for block in group))
                baseline = " or ".join(dict.fromkeys(block.baseline.level for block in group))
                curves = tuple(_curves(group, mode, places, compared, log))
                metric = None if what in axes else amounts[what]
                found.append(RatioCurves(what, dict(rest), mode, baseline, curves, log, metric))
    return tuple(one for one in found if one.curves)


def _axes(plan: Plan, mode: str) -> Iterator[tuple[str, list[str], dict[str, float]]]:
    """Each axis whose levels are numbers, and the number of each block by its id."""
    blocks = [b for b in plan.blocks if b.measures.speed and mode in b.measures.speed.of]
    for axis in axes_of(blocks):
        numbers = numbers_of(axis, [block.context.get(axis, "") for block in blocks])
        if numbers is not None:
            yield axis, [axis], dict(zip((block.id for block in blocks), numbers, strict=True))


def _amounts(
    plan: Plan, mode: str, numbers: Numbers, metrics: Mapping[str, Metric]
) -> Iterator[tuple[str, list[str], dict[str, float]]]:
    """Each metric of counted amounts, the axes that it depends on, and the amount of each baseline by block id."""
    for name in metrics:
        places = {b.id: numbers[at] for b in plan.blocks if (at := (b.id, b.baseline.level, mode, name)) in numbers}
        blocks = [block for block in plan.blocks if block.id in places]
        if axes := [axis for axis in axes_of(blocks) if _depends_on(axis, blocks, places)]:
            yield name, axes, places


def _depends_on(axis: str, blocks: Sequence[Block], places: Mapping[str, float]) -> bool:
    """Whether the amount differs between contexts that differ in this axis alone."""
    return any(
        not math.isclose(places[group[0].id], places[block.id], rel_tol=1e-3, abs_tol=1e-6)
        for group in along([axis], blocks).values()
        for block in group
    )


def _curves(
    group: Sequence[Block], mode: str, places: Mapping[str, float],
    compared: Mapping[tuple[str, str, str], Comparison], log: bool,
) -> Iterator[RatioCurve]:  # fmt: skip
    """The curve of each level that has enough different numbers."""
    for level in dict.fromkeys(trial.level for block in group for trial in block.trials[1:]):
        known = ((places[block.id], compared.get((block.id, mode, level))) for block in group)
        those = [RatioPoint.of(x, c) for x, c in known if c and c.estimate is not None and c.verdict not in EXCLUDED]
        points = tuple(sorted(those, key=lambda point: point.x))
        if len({point.x for point in points}) >= FEWEST:
            yield RatioCurve(level, points, tuple(crossings(points, log)))


def crossings(points: Sequence[RatioPoint], log: bool = False) -> list[BreakEven]:
    """Where the line through the means crosses 0, points (n,) sorted by x, unless all intervals include 0. Points with
    the same x count as one, whose interval includes all of theirs. With `log`, x is spaced by logs."""
    xs, means, lows, highs = _merged(points)
    scale, back = (math.log, math.exp) if log else (float, float)
    u = [scale(x) for x in xs]
    found = []
    for i in range(len(u) - 1):
        at = _zero(u[i], u[i + 1], means[i], means[i + 1])
        if at is None:
            continue
        low = _edge(u, lows, highs, i, at, -1)
        high = _edge(u, lows, highs, i, at, 1)
        if low is None and high is None:
            continue  # all intervals include 1: nothing shows that it is crossed at all
        faster = "above" if means[i] > means[i + 1] else "below"
        found.append(
            BreakEven(back(at), None if low is None else back(low), None if high is None else back(high), faster)
        )
    return found


def _merged(points: Sequence[RatioPoint]) -> tuple[list[float], list[float], list[float], list[float]]:
    groups = grouped(points, lambda point: point.x)
    means = [sum(point.mean for point in those) / len(those) for those in groups.values()]
    lows = [min(point.low for point in those) for those in groups.values()]
    highs = [max(point.high for point in those) for those in groups.values()]
    return list(groups), means, lows, highs


def _zero(begin: float, end: float, first: float, last: float) -> float | None:
    """Where a straight line from (begin, first) to (end, last) changes its sign; None where it does not."""
    if (first > 0) == (last > 0):
        return None
    return begin + (end - begin) * first / (first - last)


def _edge(
    u: Sequence[float], lows: Sequence[float], highs: Sequence[float], i: int, at: float, step: int
) -> float | None:
    """Going left (`step` -1) or right (1) from `at`, between the points i and i + 1: where the band from `lows` to
    `highs` no longer includes 0; None where it still does at the last point."""
    j = i + 1 if step > 0 else i
    share = (at - u[i]) / (u[i + 1] - u[i])
    low, high = (band[i] + share * (band[i + 1] - band[i]) for band in (lows, highs))
    here = at
    while 0 <= j < len(u):
        if not lows[j] <= 0 <= highs[j]:
            # The end of the band that passes 0 first in this direction.
            first, last = (low, lows[j]) if lows[j] > 0 else (high, highs[j])
            return here + (u[j] - here) * first / (first - last) if first != last else here
        here, low, high = u[j], lows[j], highs[j]
        j += step
    return None
