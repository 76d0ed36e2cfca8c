"""Where a level breaks even with the baseline along numbers: levels of an axis, or an amount that the data have.

Between two contexts the log of the ratio is taken to be a straight line; so are the ends of its interval, and the range
of a break-even is where these hold a ratio of 1. Pure: no torch, no printing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.analysis.findings import Findings
from harness.analysis.timing import Comparison
from harness.records.plan import Block

#: Fewer different numbers than this are no axis to follow.
FEWEST = 3
#: From this ratio of the largest number to the smallest on, numbers are spaced by their logs.
WIDE = 10.0


@dataclass(frozen=True)
class Point:
    """The ratio of one level in one context: logs of it and of its interval, which is the ratio itself where there is
    too little for one. `x` is the context's number."""

    x: float
    mean: float
    low: float
    high: float
    where: str
    verdict: str


@dataclass(frozen=True)
class BreakEven:
    """Where a ratio crosses 1, and the range in which it may; an end of it is None where the data do not reach it.
    `faster` says on which side of it the level is faster."""

    at: float
    low: float | None
    high: float | None
    faster: str


@dataclass(frozen=True)
class Line:
    """A level along the numbers, smallest first, and where it breaks even."""

    level: str
    points: tuple[Point, ...]
    crossings: tuple[BreakEven, ...]


@dataclass(frozen=True)
class Along:
    """The levels of some contexts that differ in a number alone. `what` is the axis or the amount it is of, `rest` are
    the levels of the other axes, `show` makes text of a number, and `log` says that numbers are spaced by logs."""

    what: str
    rest: Mapping[str, str]
    mode: str
    baseline: str
    lines: tuple[Line, ...]
    show: Callable[[float], str]
    log: bool

    @property
    def title(self) -> str:
        """The other axes, the mode, and what the numbers are."""
        return f"{' · '.join([*self.rest.values(), self.mode])}: along {self.what.replace('_', ' ')}"

    @property
    def numbers(self) -> list[float]:
        """Every number there is, smallest first."""
        return sorted({point.x for line in self.lines for point in line.points})


def find_break_evens(findings: Findings) -> tuple[Along, ...]:
    """Speed along each axis of numbers, and along each counted amount that differs between contexts by itself."""
    blocks = findings.plan.blocks
    modes = dict.fromkeys(mode for b in blocks if b.measures.speed for mode in b.measures.speed.of)
    return tuple(along for mode in modes for along in (*_of_axes(findings, mode), *_of_amounts(findings, mode)))


def numbers_of(axis: str, levels: Sequence[str]) -> list[float] | None:
    """The levels as numbers, where each is one, alone or after the axis's own name ("20", "lag 20"); else None. A name
    that merely ends in a number is no place on a scale."""
    try:
        found = [float(level.removeprefix(axis).strip(" _=")) for level in levels]
    except ValueError:
        return None
    return found if all(map(math.isfinite, found)) else None


def _of_axes(findings: Findings, mode: str) -> Iterator[Along]:
    """Along each axis whose levels are numbers, in each context that the other axes leave."""
    blocks = [b for b in findings.plan.blocks if b.measures.speed and mode in b.measures.speed.of]
    for axis in dict.fromkeys(axis for block in blocks for axis in block.context):
        numbers = numbers_of(axis, [block.context.get(axis, "") for block in blocks])
        if numbers is not None:
            places = dict(zip((block.id for block in blocks), numbers, strict=True))
            yield from _groups(findings, mode, axis, blocks, places, [axis], number_in_words)


def _of_amounts(findings: Findings, mode: str) -> Iterator[Along]:
    """Along each metric of counted amounts, as the baseline's work set has it. The axes that it does not depend on are
    kept apart."""
    for name, metric in findings.metrics.items():
        if metric.per != "counts":
            continue
        places = {
            block.id: value
            for block in findings.plan.blocks
            if (value := findings.numbers.get((block.id, block.baseline.level, mode, name))) is not None
        }
        blocks = [block for block in findings.plan.blocks if block.id in places]
        moved = [axis for axis in dict.fromkeys(a for b in blocks for a in b.context) if _moves(axis, blocks, places)]
        if moved:
            yield from _groups(findings, mode, name, blocks, places, moved, metric.show)


def _moves(axis: str, blocks: Sequence[Block], places: Mapping[str, float]) -> bool:
    """Whether the amount differs between contexts that differ in this axis alone."""
    first: dict[tuple[tuple[str, str], ...], float] = {}
    for block in blocks:
        rest = tuple(item for item in block.context.items() if item[0] != axis)
        if not math.isclose(first.setdefault(rest, places[block.id]), places[block.id], rel_tol=1e-3, abs_tol=1e-6):
            return True
    return False


def _groups(
    findings: Findings, mode: str, what: str, blocks: Sequence[Block], places: Mapping[str, float],
    moved: Sequence[str], show: Callable[[float], str],
) -> Iterator[Along]:  # fmt: skip
    """The contexts that share all axes but the moved ones, as far as they have numbers enough."""
    groups: dict[tuple[tuple[str, str], ...], list[Block]] = {}
    for block in blocks:
        groups.setdefault(tuple(item for item in block.context.items() if item[0] not in moved), []).append(block)
    for rest, group in groups.items():
        numbers = sorted({places[block.id] for block in group})
        log = numbers[0] > 0 and numbers[-1] >= WIDE * numbers[0]
        lines = []
        for level in dict.fromkeys(trial.level for block in group for trial in block.trials[1:]):
            points = [
                point_of(places[block.id], block, comparison)
                for block in group
                if (comparison := findings.of(block, mode).get(level)) is not None
                and comparison.estimate is not None
                and comparison.verdict not in ("invalid", "unranked")
            ]
            points.sort(key=lambda point: point.x)
            if len({point.x for point in points}) >= FEWEST:
                lines.append(Line(level, tuple(points), tuple(crossings(points, log))))
        baselines = dict.fromkeys(block.baseline.level for block in group)
        if lines:
            yield Along(what, dict(rest), mode, " or ".join(baselines), tuple(lines), show, log)


def point_of(x: float, block: Block, comparison: Comparison) -> Point:
    """A comparison at its context's number."""
    assert comparison.estimate is not None
    mean, bounds = comparison.estimate.mean, comparison.interval
    low, high = map(math.log, bounds) if bounds else (mean, mean)
    return Point(x, mean, low, high, block.name, comparison.verdict)


def crossings(points: Sequence[Point], log: bool = False) -> list[BreakEven]:
    """Where the line through the means crosses 0, points (n,) sorted by x, unless all intervals hold 0 as well. Points
    of the same x count as one, whose interval holds all of theirs. With `log`, x is spaced by logs."""
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
            continue  # the intervals hold 1 throughout: nothing shows that it is crossed at all
        faster = "above" if means[i] > means[i + 1] else "below"
        found.append(
            BreakEven(back(at), None if low is None else back(low), None if high is None else back(high), faster)
        )
    return found


def _merged(points: Sequence[Point]) -> tuple[list[float], list[float], list[float], list[float]]:
    groups: dict[float, list[Point]] = {}
    for point in points:
        groups.setdefault(point.x, []).append(point)
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
    u: Sequence[float], lows: Sequence[float], highs: Sequence[float], i: int, at: float, way: int
) -> float | None:
    """From `at` between the points i and i + 1 on, to the left or the right, where the band from `lows` to `highs` no
    longer holds 0; None where it still does at the last point."""
    j = i + 1 if way > 0 else i
    share = (at - u[i]) / (u[i + 1] - u[i])
    low, high = (band[i] + share * (band[i + 1] - band[i]) for band in (lows, highs))
    here = at
    while 0 <= j < len(u):
        if not lows[j] <= 0 <= highs[j]:
            # Of the two ends of the band, the one that passes 0 first on the way.
            first, last = (low, lows[j]) if lows[j] > 0 else (high, highs[j])
            return here + (u[j] - here) * first / (first - last) if first != last else here
        here, low, high = u[j], lows[j], highs[j]
        j += way
    return None


def number_in_words(number: float) -> str:
    """A number with as many digits as an interpolation deserves."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
