"""Step times over the baseline's: in all contexts as a forest plot, in very many as a panel for each level, and along
numbers (a length, a size or an amount) with the break-evens."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from harness.analysis.break_even import BreakEven, RatioCurve, RatioCurves
from harness.analysis.claim_words import place_of
from harness.analysis.grouping import grouped
from harness.analysis.timing import Comparison
from harness.analysis.verdicts import DECIDED, Verdict
from harness.modes import step_name
from harness.report.cells import common_baseline, in_words, place_in_words
from harness.report.plots import figures as fig
from harness.report.plots.figures import Plot
from harness.report.plots.forest import Forest, ForestRow
from harness.report.report import Report
from harness.report.tables.along_axes import number_format, range_in_words

#: This many rows can be read one by one; of more, only the spread can be seen.
READABLE = 60
PANELS_PER_ROW = 4
#: This many contexts are drawn along each number; the table has all of them.
MOST_CONTEXTS = 12
#: A plot names so many break-evens of a level; where there are more, the number alone does not say what is faster.
MOST_NAMED = 2
Margin: TypeAlias = tuple[str, float, float] | None
UNIT = "time over the baseline's (below 1 is faster)"


def speed_plots(report: Report) -> Iterator[Plot]:
    """The comparisons of step time of each mode."""
    styles = fig.styles_in(report.findings.plan)
    comparisons = [c for c in report.findings.comparisons if c.metric == "step_time" and c.size is not None]
    for mode, found in grouped(comparisons, lambda c: c.mode).items():
        those = [c for c in found if c.verdict != Verdict.INVALID]
        if those:
            rows = [ForestRow.of(c, place_of(c), c.level, styles[c.level]) for c in those]
            title, margin = title_of(mode, those), margin_of(those)
            drawing: fig.Drawing = Forest(title, rows, "ratio", UNIT, common_baseline(those), margin)
            if len(rows) > READABLE:
                drawing = Spread(title, rows, margin)
            yield Plot.of(drawing, "Comparisons", "speed", mode)


def title_of(mode: str, comparisons: Sequence[Comparison]) -> str:
    """What is compared with what."""
    levels = list(dict.fromkeys(c.level for c in comparisons))
    of = f" of {levels[0]}" if len(levels) == 1 else ""
    return f"{mode}: time of {step_name(mode)}{of} against {common_baseline(comparisons)}"


def margin_of(comparisons: Sequence[Comparison]) -> Margin:
    """What counts as equal, where it is the same for all."""
    margins = {c.block.measures.speed.margin for c in comparisons if c.block.measures.speed}
    return fig.margin_range(margins.pop(), "ratio") if len(margins) == 1 else None


class Spread(fig.Drawing):
    """Very many comparisons: a panel for each level, with its contexts in the order of their ratios."""

    def __init__(self, title: str, rows: Sequence[ForestRow], margin: Margin) -> None:
        self.title, self.rows, self.margin = title, rows, margin
        by_level = grouped(rows, lambda row: row.name)
        self.levels = {level: sorted(those, key=lambda row: row.size) for level, those in by_level.items()}
        self.size = 8.0, 1.3 + 3.2 * math.ceil(len(self.levels) / PANELS_PER_ROW)

    def draw(self, figure: fig.Figure) -> None:
        """Intervals as lines and ratios as dots in the colour of the level, with the number of each verdict."""
        ends = [1.0, *(x for row in self.rows for x in (row.size, *(row.interval or ())))]
        columns = min(PANELS_PER_ROW, len(self.levels))
        rows = math.ceil(len(self.levels) / columns)
        panels: list[Any] = list(figure.subplots(rows, columns, squeeze=False, sharex=True).ravel())
        for unused in panels[len(self.levels) :]:
            unused.set_axis_off()
        for axes, (level, those) in zip(panels, self.levels.items(), strict=False):
            self._panel(axes, level, those, (min(ends), max(ends)))
        figure.suptitle(textwrap.fill(self.title, 90), x=0.01, ha="left", fontsize=10.5)
        entries = [fig.entry("verdict", marker="o", markersize=4, linewidth=1.2), fig.hollow("no verdict")]
        fig.legend(figure, entries, 2, title=UNIT, title_fontsize=9)

    def _panel(self, axes: fig.Axes, level: str, those: Sequence[ForestRow], limits: tuple[float, float]) -> None:
        from matplotlib.ticker import FixedLocator

        if self.margin:
            axes.axvspan(*self.margin[1:], color=fig.GREY, alpha=0.16, linewidth=0)
        axes.axvline(1.0, color=fig.DARK, linewidth=1)
        places, colour = -np.arange(len(those), dtype=float), those[0].style.colour
        bounds = np.array([row.interval or (row.size,) * 2 for row in those])
        axes.hlines(places, bounds[:, 0], bounds[:, 1], color=colour, linewidth=0.8, alpha=0.6)
        sizes, decided = np.array([row.size for row in those]), np.array([row.decided for row in those])
        for which, inside in ((decided, colour), (~decided, "white")):
            axes.plot(
                sizes[which], places[which], "o", color=colour, markersize=3.0 if len(those) <= READABLE else 2.0,
                markeredgewidth=0.6, markerfacecolor=inside,
            )  # fmt: skip
        counts = [f"{count} {verdict}" for verdict, count in Counter(row.verdict for row in those).most_common()]
        fig.log_scale(axes, "x", *limits)
        axes.xaxis.set_major_locator(FixedLocator(fig.thinned(axes.get_xticks())))
        axes.tick_params(axis="x", labelsize=7.5)
        axes.set_yticks([])
        fig.bare(axes, "top", "left", "right")
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        axes.set_title(textwrap.fill(f"{level}: {', '.join(counts)}", 30), loc="left", fontsize=8)


def break_even_plots(report: Report) -> Iterator[Plot]:
    """Those in which most levels break even come first."""
    groups = grouped(report.findings.break_evens, lambda one: (one.what, one.mode))
    chosen = [one for those in groups.values() for one in sorted(those, key=_flatness)[:MOST_CONTEXTS]]
    styles = fig.styles_in(report.findings.plan)
    for one in sorted(chosen, key=_flatness):
        yield Plot.of(BreakEvenPlot(one, styles), "Break-even", "break-even", one.what, *one.rest.values(), one.mode)


def _flatness(found: RatioCurves) -> int:
    return -sum(bool(curve.crossings) for curve in found.curves)


class BreakEvenPlot(fig.Drawing):
    """The levels of some contexts that differ in a number."""

    def __init__(self, found: RatioCurves, styles: Mapping[str, fig.Style]) -> None:
        self.found, self.styles, self.height = found, styles, fig.panel_height(len(found.curves))
        place = place_in_words(*found.rest.values(), found.mode)
        self.title = f"{place}: along {in_words(found.what)}, against {found.baseline}"
        self.size = 7.2, self.height + 0.9

    def draw(self, figure: fig.Figure) -> None:
        """A line per level through its ratios, with their intervals; the break-evens on the line of 1."""
        found, (axes,), show = self.found, fig.panels(figure), number_format(self.found)
        styles = self.styles
        points = [one for curve in found.curves for one in curve.points]
        fig.log_scale(axes, "y", *np.exp([min(0.0, *(p.low for p in points)), max(0.0, *(p.high for p in points))]))
        fig.number_axis([axes], found.numbers, log=found.log, show=show)
        axes.axhline(1.0, color=fig.DARK, linewidth=1, zorder=1)
        entries = [fig.entry("ratio and its interval", marker="o")]
        if not all(one.verdict in DECIDED for one in points):
            entries.append(fig.hollow("no verdict"))
        for curve in found.curves:
            self._curve(axes, curve, styles[curve.level])
            for one in curve.crossings if len(curve.crossings) <= MOST_NAMED else ():
                entries.append(self._crossing(axes, curve.level, one, styles[curve.level]))
        if any(len(curve.crossings) > MOST_NAMED for curve in found.curves):
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
