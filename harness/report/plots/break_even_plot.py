"""Speed along numbers: the ratio of each level against a length, a size or an amount, and where it breaks even."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.break_even import Along, BreakEven, Line, find_break_evens
from harness.report.plots.figures import (
    DECIDED,
    Plot,
    Style,
    bare,
    file_name,
    heading,
    label_ends,
    log_scale,
    styles_of,
)
from harness.report.plots.learning_curves import line_height, panel_height
from harness.report.report import Report
from harness.report.tables.break_even import range_in_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: So many contexts are drawn along each number; where a run has more, the table tells of the others.
MOST = 12
#: So many break-evens of a level are written into a plot; where there are more, the number alone does not tell.
WRITTEN = 2


def break_even_plots(report: Report) -> Iterator[Plot]:
    """Those in which most levels break even come first."""
    groups: dict[tuple[str, str], list[Along]] = {}
    for along in find_break_evens(report.findings):
        groups.setdefault((along.what, along.mode), []).append(along)
    chosen = [along for those in groups.values() for along in sorted(those, key=_flatness)[:MOST]]
    for along in sorted(chosen, key=_flatness):
        lines = Lines(along)
        name = file_name("break-even", along.what, *along.rest.values(), along.mode)
        yield Plot(name, lines.title, lines.size, lines.draw, "Break-even")


def _flatness(along: Along) -> int:
    return -sum(bool(line.crossings) for line in along.lines)


@dataclass(frozen=True)
class Lines:
    """The levels of some contexts that differ in a number."""

    along: Along

    @property
    def title(self) -> str:
        """What is drawn."""
        return f"{self.along.title}, against {self.along.baseline}"

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        return 7.2, self._height() + 0.9

    def _height(self) -> float:
        return panel_height(len(self.along.lines))

    def draw(self, figure: Figure) -> None:
        """A line a level through its ratios, with their intervals; the break-evens on the line of 1."""
        from matplotlib.lines import Line2D
        from matplotlib.ticker import FixedLocator, NullLocator

        along, axes = self.along, figure.add_subplot()
        styles = styles_of([along.baseline, *(line.level for line in along.lines)])
        points = [point for line in along.lines for point in line.points]
        log_scale(axes, "y", *np.exp([min(0.0, *(p.low for p in points)), max(0.0, *(p.high for p in points))]))
        first, last = along.numbers[0], along.numbers[-1]
        if along.log:
            log_scale(axes, "x", first, last)
        else:
            axes.set_xlim(first - 0.04 * (last - first), last + 0.04 * (last - first))
        axes.axhline(1.0, color="#444444", linewidth=1, zorder=1)
        hollow, many = False, False
        for line in along.lines:
            hollow |= self._line(axes, line, styles[line.level])
            many |= len(line.crossings) > WRITTEN
        written = [
            (one, styles[line.level], line.level)
            for line in along.lines
            if len(line.crossings) <= WRITTEN
            for one in line.crossings
        ]
        for one, style, _ in written:
            self._crossing(axes, one, style)
        if not along.log:
            axes.xaxis.set_major_locator(FixedLocator(ticks_of(along)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda value, _: along.show(value))
        axes.set_xlabel(along.what.replace("_", " "))
        axes.set_ylabel("time over the baseline's\n(below 1 is faster)")
        bare(axes, "top", "right")
        axes.grid(color="#e4e4e4", linewidth=0.6)
        heading(axes, self.title)
        ends = [
            (textwrap.fill(line.level, 22), float(np.exp(line.points[-1].mean)), styles[line.level])
            for line in along.lines
        ]
        label_ends(axes, ends, line_height(self._height()))
        legend: list[Any] = [Line2D([], [], color="#777777", marker="o", label="ratio and its interval")]
        if hollow:
            legend.append(Line2D([], [], color="#777777", marker="o", markerfacecolor="white", label="no verdict"))
        legend += [
            Line2D([], [], color=style.colour, marker="|", markersize=11, linewidth=4, alpha=0.6, label=text)
            for one, style, level in written
            if (text := textwrap.fill(break_even_in_words(level, one, along), 44))
        ]
        if many:
            text = "crosses 1 more than twice: see the table"
            legend.append(Line2D([], [], color="#777777", linewidth=0, label=text))
        figure.legend(handles=legend, loc="outside lower center", ncols=2, frameon=False, fontsize=8)

    @staticmethod
    def _line(axes: Any, line: Line, style: Style) -> bool:
        """Draw a level; whether any of its points is hollow."""
        x = np.array([point.x for point in line.points])
        y, low, high = (np.exp([getattr(p, name) for p in line.points]) for name in ("mean", "low", "high"))
        axes.plot(x, y, color=style.colour, linewidth=1.4, linestyle=style.dashes, zorder=2)
        axes.vlines(x, low, high, color=style.colour, linewidth=1.4, zorder=2)
        decided = np.array([point.verdict in DECIDED for point in line.points])
        for which, inside in ((decided, style.colour), (~decided, "white")):
            axes.plot(
                x[which], y[which], style.marker, color=style.colour, markersize=5.5, markeredgewidth=1.3,
                markerfacecolor=inside, linestyle="none", zorder=3,
            )  # fmt: skip
        return bool((~decided).any())

    def _crossing(self, axes: Any, one: BreakEven, style: Style) -> None:
        """A mark at the break-even, and its range as a bar on the line of 1; an open end runs to the last context."""
        low = self.along.numbers[0] if one.low is None else one.low
        high = self.along.numbers[-1] if one.high is None else one.high
        axes.plot([low, high], [1.0, 1.0], color=style.colour, linewidth=4, alpha=0.35, solid_capstyle="butt", zorder=4)
        axes.plot(one.at, 1.0, "|", color=style.colour, markersize=11, markeredgewidth=1.8, zorder=5)


def break_even_in_words(level: str, one: BreakEven, along: Along) -> str:
    """A break-even as the legend says it."""
    return f"{level}: faster {one.faster} {along.show(one.at)} ({range_in_words(one, along.show)})"


def ticks_of(along: Along) -> list[float]:
    """The levels' own numbers where they are few and of an axis, and else round ones."""
    from matplotlib.ticker import MaxNLocator

    numbers = along.numbers
    if len(numbers) <= 8 and not any(number % 1 for number in numbers):
        return numbers
    return [float(t) for t in MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]).tick_values(numbers[0], numbers[-1])]
