"""Ratios along numbers: each level's ratio against a length, a size or an amount, and where it breaks even."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np

from harness.analysis.break_even import BreakEven, RatioCurve, RatioCurves
from harness.analysis.grouping import grouped
from harness.analysis.verdicts import DECIDED
from harness.report.cells import in_words, place_in_words
from harness.report.plots import figures as fig
from harness.report.plots.figures import Plot
from harness.report.report import Report
from harness.report.tables.break_even import number_format, range_in_words

#: This many contexts are drawn along each number; the table has all of them.
MOST = 12
#: A plot names so many break-evens of a level; where there are more, the number alone does not say what is faster.
WRITTEN = 2


def break_even_plots(report: Report) -> Iterator[Plot]:
    """Those in which most levels break even come first."""
    groups = grouped(report.findings.break_evens, lambda one: (one.what, one.mode))
    chosen = [one for those in groups.values() for one in sorted(those, key=_flatness)[:MOST]]
    for one in sorted(chosen, key=_flatness):
        yield Plot.of(BreakEvenPlot(one), "Break-even", "break-even", one.what, *one.rest.values(), one.mode)


def _flatness(found: RatioCurves) -> int:
    return -sum(bool(curve.crossings) for curve in found.curves)


class BreakEvenPlot(fig.Drawing):
    """The levels of some contexts that differ in a number."""

    def __init__(self, found: RatioCurves) -> None:
        self.found, self.height = found, fig.panel_height(len(found.curves))
        place = place_in_words(*found.rest.values(), found.mode)
        self.title = f"{place}: along {in_words(found.what)}, against {found.baseline}"
        self.size = 7.2, self.height + 0.9

    def draw(self, figure: fig.Figure) -> None:
        """A line per level through its ratios, with their intervals; the break-evens on the line of 1."""
        found, (axes,), show = self.found, fig.panels(figure), number_format(self.found)
        styles = fig.styles_of([found.baseline, *(curve.level for curve in found.curves)])
        points = [one for curve in found.curves for one in curve.points]
        fig.log_scale(axes, "y", *np.exp([min(0.0, *(p.low for p in points)), max(0.0, *(p.high for p in points))]))
        fig.number_axis([axes], found.numbers, log=found.log, show=show)
        axes.axhline(1.0, color=fig.DARK, linewidth=1, zorder=1)
        entries = [fig.entry("ratio and its interval", marker="o")]
        if not all(one.verdict in DECIDED for one in points):
            entries.append(fig.hollow("no verdict"))
        for curve in found.curves:
            self._curve(axes, curve, styles[curve.level])
            for one in curve.crossings if len(curve.crossings) <= WRITTEN else ():
                entries.append(self._crossing(axes, curve.level, one, styles[curve.level]))
        if any(len(curve.crossings) > WRITTEN for curve in found.curves):
            entries.append(fig.entry("crosses 1 more than twice: see the table", linewidth=0))
        axes.set_xlabel(in_words(found.what))
        axes.set_ylabel("time over the baseline's\n(below 1 is faster)")
        fig.heading(axes, self.title)
        ends = [
            (textwrap.fill(curve.level, 22), float(np.exp(curve.points[-1].mean)), styles[curve.level])
            for curve in found.curves
        ]
        fig.label_ends(axes, ends, fig.line_height(self.height))
        fig.legend(figure, entries)

    @staticmethod
    def _curve(axes: fig.Axes, curve: RatioCurve, style: fig.Style) -> None:
        x = np.array([p.x for p in curve.points])
        y, low, high = (np.exp([getattr(p, name) for p in curve.points]) for name in ("mean", "low", "high"))
        axes.plot(x, y, color=style.colour, linewidth=1.4, linestyle=style.dashes, zorder=2)
        fig.points(axes, x, y, low, high, style, np.array([p.verdict in DECIDED for p in curve.points]))

    def _crossing(self, axes: fig.Axes, level: str, one: BreakEven, style: fig.Style) -> Any:
        """Draw a mark at the break-even, and its range as a bar on the line of 1, which runs to the last context where
        an end is open; the entry of the legend."""
        numbers, show = self.found.numbers, number_format(self.found)
        low = numbers[0] if one.low is None else one.low
        high = numbers[-1] if one.high is None else one.high
        axes.plot([low, high], [1.0, 1.0], color=style.colour, linewidth=4, alpha=0.35, solid_capstyle="butt", zorder=4)
        axes.plot(one.at, 1.0, "|", color=style.colour, markersize=11, markeredgewidth=1.8, zorder=5)
        text = f"{level}: faster {one.faster} {show(one.at)} ({range_in_words(one, show)})"
        looks = {"color": style.colour, "marker": "|", "markersize": 11, "linewidth": 4, "alpha": 0.6}
        return fig.entry(textwrap.fill(text, 44), **looks)
