"""Where a level breaks even with the baseline along numbers: levels of an axis, or an amount that the data have.

Between two contexts the log of the ratio, and each end of its interval, is taken as a straight line. The range of a
break-even is where the interval includes a ratio of 1.
"""

from __future__ import annotations

import itertools
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
    blocks = [b for b in plan.blocks if mode in b.measures.timed_modes]
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
        pairs = {axis: [(g[0].id, b.id) for g in along([axis], blocks).values() for b in g] for axis in axes_of(blocks)}
        axes = [
            axis
            for axis, those in pairs.items()
            if any(not math.isclose(places[a], places[b], rel_tol=1e-3, abs_tol=1e-6) for a, b in those)
        ]
        if axes:
            yield name, axes, places


def _curves(
    group: Sequence[Block], mode: str, places: Mapping[str, float],
    compared: Mapping[tuple[str, str, str], Comparison], log: bool,
) -> Iterator[RatioCurve]:  # fmt: skip
    """The curve of each level that has enough different numbers."""
    for level in dict.fromkeys(trial.level for block in group for trial in block.trials[1:]):
        points = []
        for block in group:
            one = compared.get((block.id, mode, level))
            if one and one.estimate is not None and one.verdict not in EXCLUDED:
                mean, bounds = one.estimate.mean, one.interval
                low, high = map(math.log, bounds) if bounds else (mean, mean)
                points.append(RatioPoint(places[block.id], mean, low, high, one.verdict))
        points.sort(key=lambda point: point.x)
        if len({point.x for point in points}) >= FEWEST:
            yield RatioCurve(level, tuple(points), tuple(crossings(points, log)))


def crossings(points: Sequence[RatioPoint], log: bool = False) -> list[BreakEven]:
    """Where the line through the means crosses 0, points (n,) sorted by x, unless all intervals include 0. Points with
    the same x count as one, whose interval includes all of theirs. With `log`, x is spaced by logs."""
    groups = grouped(points, lambda point: point.x)
    means = [sum(point.mean for point in those) / len(those) for those in groups.values()]
    lows = [min(point.low for point in those) for those in groups.values()]
    highs = [max(point.high for point in those) for those in groups.values()]
    scale, back = (math.log, math.exp) if log else (float, float)
    u = [scale(x) for x in groups]
    found = []
    for i, (first, last) in enumerate(itertools.pairwise(means)):
        if (first > 0) == (last > 0):
            continue
        at = u[i] + (u[i + 1] - u[i]) * first / (first - last)
        edges = [_edge(u, lows, highs, i, at, step) for step in (-1, 1)]
        low, high = (None if edge is None else back(edge) for edge in edges)
        # Where all intervals include 1, nothing shows that it is crossed at all.
        if low is not None or high is not None:
            found.append(BreakEven(back(at), low, high, "above" if first > last else "below"))
    return found


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
