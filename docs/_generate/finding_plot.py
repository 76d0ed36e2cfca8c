"""The plot of a finding as an SVG file: ratios or differences with their intervals, by context.

It is drawn without matplotlib: narrow enough for a phone, with the numbers beside the points, and the same to the last
byte wherever the pages are generated.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from html import escape

from harness.analysis.finding import Finding
from harness.analysis.verdicts import DECIDED
from harness.modes import step_name
from harness.report.cells import in_words

WIDTH, LEFT, RIGHT = 500, 120, 355  # of the whole, and the ends of the axis
ROW, HEAD, TOP = 22, 24, 14
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
INK, GRID = "#222222", "#d0d0d0"
#: Ratios that may be marked on the axis.
MARKS = sorted({mark * 10.0**power for power in range(-4, 4) for mark in (1, 2, 5)} | {0.7, 1.5, 3.0})
MOST_MARKS = 6
#: Words that explain a metric.
METRICS = {
    "kept_bytes": "memory kept for the backward pass", "step_accuracy": "share of correct symbols",
    "mean_loss": "mean loss over training",
}  # fmt: skip


def plot(title: str, findings: Sequence[Finding]) -> str:
    """The plot. All findings have one scale and one metric."""
    names = {one.block.name: place_in_words(one) for one in findings}
    contexts = list(names)
    colours = dict(zip(dict.fromkeys(one.level for one in findings), itertools.cycle(COLOURS), strict=False))
    place, marks = axis_of(findings)
    heads = HEAD if len(contexts) > 1 and len(colours) > 1 else 0
    bottom = TOP + heads * len(contexts) + ROW * len(findings)
    unit = 100 if findings[0].scale == "difference" else 1
    zero = place(1.0 if findings[0].scale == "ratio" else 0.0)
    lines = []
    for mark in marks:
        lines.append(line(place(mark), TOP - 8, place(mark), bottom + 4, GRID, 1))
        lines.append(
            text(place(mark), bottom + 18, f"{unit * mark:+g}" if unit == 100 and mark else f"{mark:g}", "middle")
        )
    lines.append(line(zero, TOP - 8, zero, bottom + 4, INK, 1.5))
    y = float(TOP)
    for context in contexts:
        if heads:
            lines.append(text(10, y + 14, names[context], "start", bold=True))
            y += heads
        for one in (one for one in findings if one.block.name == context):
            name = names[context] if len(colours) == 1 and len(contexts) > 1 else one.level
            lines += row(one, name, y + ROW / 2, colours[one.level], place)
            y += ROW
    lines.append(text(WIDTH / 2, bottom + 40, caption(findings[0]), "middle"))
    height = bottom + 54
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="13" fill="{INK}">\n<title>{escape(title)}</title>\n'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>\n' + "\n".join(lines) + "\n</svg>\n"
    )


def row(one: Finding, name: str, y: float, colour: str, place: Callable[[float], float]) -> list[str]:
    """The name of a row, its interval, its point (hollow without a verdict), and its numbers."""
    assert one.size is not None
    low, high = one.interval or (one.size, one.size)
    inside = colour if one.verdict in DECIDED or low == high else "white"
    numbers = size_and_interval(one)
    return [
        text(LEFT - 12, y + 4, name, "end"),
        line(place(low), y, place(high), y, colour, 2.5),
        f'<circle cx="{place(one.size):.1f}" cy="{y:.1f}" r="5" fill="{inside}" stroke="{colour}" stroke-width="2"/>',
        text(RIGHT + 8, y + 4, numbers, "start", small=True),
    ]


def size_and_interval(one: Finding) -> str:
    """The size of a finding, and its interval in brackets unless it is exact."""
    assert one.size is not None
    low, high = one.interval or (one.size, one.size)
    size = one.in_words(one.size)
    return size if low == high else f"{size} ({one.in_words(low)} to {one.in_words(high)})"


def axis_of(findings: Sequence[Finding]) -> tuple[Callable[[float], float], list[float]]:
    """Where a value is on the axis, logarithmic for ratios; and the marks of the axis."""
    ratios = findings[0].scale == "ratio"
    ends = [1.0 if ratios else 0.0]
    ends += [value for one in findings for value in (one.size, *(one.interval or ())) if value is not None]
    scaled = [math.log(value) if ratios else value for value in ends]
    low, high = min(scaled), max(scaled)
    space = 0.08 * (high - low) or 0.1
    low, high = low - space, high + space

    def place(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * ((math.log(value) if ratios else value) - low) / (high - low)

    if ratios:
        inside = [mark for mark in MARKS if low <= math.log(mark) <= high]
        while len(inside) > MOST_MARKS:
            at = inside.index(1.0)
            inside = inside[at % 2 :: 2]  # 1 stays
        return place, inside
    step = next(
        step for step in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if (high - low) / step <= 5
    )
    return place, [step * i for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def place_in_words(one: Finding) -> str:
    """The context of a finding. A level that is a number has the name of its axis."""
    levels = (f"{axis} {level}" if level[0].isdigit() else level for axis, level in one.context.items())
    return " · ".join(levels) or one.block.name


def metric_in_words(one: Finding) -> str:
    """The metric of a finding in words that explain it."""
    if one.metric == "step_time":
        return f"time of {step_name(one.mode)}"
    return METRICS.get(one.metric) or in_words(one.metric)


def caption(one: Finding) -> str:
    """What the axis shows."""
    what = metric_in_words(one)
    if one.scale == "ratio":
        better = "; below 1 is faster" if one.metric == "step_time" else ""
        return f"{what}, relative to {one.baseline}{better}"
    return f"{what}: difference to {one.baseline}{' in points' if one.scale == 'difference' else ''}"


def text(x: float, y: float, words: str, anchor: str, *, bold: bool = False, small: bool = False) -> str:
    """A text."""
    weight, size = ' font-weight="600"' if bold else "", ' font-size="11"' if small else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight}{size}>{escape(words)}</text>'


def line(x: float, y: float, to_x: float, to_y: float, colour: str, width: float) -> str:
    """A straight line."""
    ends = f'x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width:g}"/>'
