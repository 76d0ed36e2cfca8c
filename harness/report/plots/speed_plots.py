"""Step times over the baseline's: in all contexts as a forest plot, in very many as a panel for each level, and along
numbers (a length, a size or an amount) with the break-evens."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from harness.analysis.break_even import BreakEven, RatioCurve, RatioCurves
from harness.analysis.grouping import grouped
from harness.analysis.timing import Comparison
from harness.analysis.verdicts import DECIDED, Verdict
from harness.modes import step_name
from harness.report.cells import in_words, place_in_words
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
#: The colours of verdicts.
COLOURS: dict[str, str] = {
    Verdict.FASTER: fig.BLUE, Verdict.SLOWER: fig.VERMILION, Verdict.EQUIVALENT: fig.GREEN, Verdict.UNDECIDED: fig.GREY,
}  # fmt: skip
UNIT = "time over the baseline's for the same examples (below 1 is faster)"


def speed_plots(report: Report) -> Iterator[Plot]:
    """The comparisons of step time of each mode that has at least two."""
    comparisons = [c for c in report.findings.comparisons if c.metric == "step_time" and c.size is not None]
    for mode, found in grouped(comparisons, lambda c: c.mode).items():
        those = [c for c in found if c.verdict != Verdict.INVALID]
        if len(those) < 2:
            continue
        many = len(those) > READABLE
        yield Plot.of(
            Spread(title_of(mode, those), those) if many else forest_of(mode, those), "Comparisons", "speed", mode
        )


def title_of(mode: str, comparisons: Sequence[Comparison]) -> str:
    """What is compared with what."""
    baselines = list(dict.fromkeys(c.baseline for c in comparisons))
    several = " in all contexts" if len({c.block.id for c in comparisons}) > 1 else ""
    return (
        f"{mode}: time of {step_name(mode)} against {baselines[0] if len(baselines) == 1 else 'the baseline'}{several}"
    )


def kind_of(comparison: Comparison) -> Verdict:
    """The verdict that gives the colour; a first look decides nothing."""
    speed = comparison.block.measures.speed
    quick = speed is not None and speed.quick
    return comparison.verdict if comparison.verdict in COLOURS and not quick else Verdict.UNDECIDED


def margin_of(comparisons: Sequence[Comparison]) -> tuple[str, float, float] | None:
    """What counts as equal, where it is the same for all."""
    margins = {c.block.measures.speed.margin for c in comparisons if c.block.measures.speed}
    return fig.margin_range(margins.pop(), "ratio") if len(margins) == 1 else None


def forest_of(mode: str, comparisons: Sequence[Comparison]) -> Forest:
    """A row for each comparison, grouped by context."""
    rows = [ForestRow.of(c, c.block.name, kind_of(c), kind_of(c) in DECIDED, c.level) for c in comparisons]
    title, margin = title_of(mode, comparisons), margin_of(comparisons)
    return Forest(title, rows, COLOURS, "ratio", UNIT, margin, verdicts=True)


class Spread(fig.Drawing):
    """Very many comparisons: a panel for each level, with its contexts in the order of their ratios."""

    def __init__(self, title: str, comparisons: Sequence[Comparison]) -> None:
        self.title, self.comparisons = title, comparisons
        by_level = grouped(comparisons, lambda c: c.level)
        self.levels = {level: sorted(those, key=lambda c: c.size or 0.0) for level, those in by_level.items()}
        self.size = 8.0, 1.3 + 3.2 * math.ceil(len(self.levels) / PANELS_PER_ROW)

    def draw(self, figure: fig.Figure) -> None:
        """Intervals as lines and ratios as dots, coloured by verdict, with the number of each verdict."""
        ends = [1.0, *(x for c in self.comparisons for x in (c.size or 1.0, *(c.interval or ())))]
        columns = min(PANELS_PER_ROW, len(self.levels))
        rows = math.ceil(len(self.levels) / columns)
        panels: list[Any] = list(figure.subplots(rows, columns, squeeze=False, sharex=True).ravel())
        for unused in panels[len(self.levels) :]:
            unused.set_axis_off()
        for axes, (level, those) in zip(panels, self.levels.items(), strict=False):
            self._panel(axes, level, those, (min(ends), max(ends)))
        figure.suptitle(textwrap.fill(self.title, 90), x=0.01, ha="left", fontsize=10.5)
        entries = [
            fig.entry(kind, color=colour, marker="o", markersize=4, linewidth=1.2)
            for kind, colour in COLOURS.items()
            if any(kind_of(c) == kind for c in self.comparisons)
        ]
        fig.legend(figure, entries, 4, title=UNIT, title_fontsize=9)

    def _panel(self, axes: fig.Axes, level: str, those: Sequence[Comparison], limits: tuple[float, float]) -> None:
        from matplotlib.ticker import FixedLocator

        margin = margin_of(self.comparisons)
        if margin:
            axes.axvspan(margin[1], margin[2], color=fig.MARGIN, alpha=0.12, linewidth=0)
        axes.axvline(1.0, color=fig.DARK, linewidth=1)
        places, counts = -np.arange(len(those), dtype=float), []
        for kind, colour in COLOURS.items():
            mine = [i for i, c in enumerate(those) if kind_of(c) == kind]
            if not mine:
                continue
            counts.append(f"{len(mine)} {kind}")
            bounds = np.array([those[i].interval or (those[i].size,) * 2 for i in mine], dtype=float)
            axes.hlines(places[mine], bounds[:, 0], bounds[:, 1], color=colour, linewidth=0.8, alpha=0.6)
            size = 5.0 if len(those) <= READABLE else 2.5
            axes.plot([those[i].size for i in mine], places[mine], ".", color=colour, markersize=size)
        fig.log_scale(axes, "x", *limits)
        axes.xaxis.set_major_locator(FixedLocator(thinned(axes.get_xticks())))
        axes.tick_params(axis="x", labelsize=7.5)
        axes.set_yticks([])
        fig.bare(axes, "top", "left", "right")
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        axes.set_title(textwrap.fill(f"{level}: {', '.join(counts)}", 30), loc="left", fontsize=8)


def thinned(ticks: Sequence[float], most: int = 5) -> list[float]:
    """The ticks of a narrow logarithmic axis that leave room for their labels; 1 is always one of them."""
    if len(ticks) < 2:
        return list(ticks)
    apart = math.log(max(ticks) / min(ticks)) / most
    kept = [tick for tick in ticks if tick == 1]
    for tick in ticks:
        if all(abs(math.log(tick / other)) >= apart for other in kept):
            kept.append(float(tick))
    return sorted(kept)


def break_even_plots(report: Report) -> Iterator[Plot]:
    """Those in which most levels break even come first."""
    groups = grouped(report.findings.break_evens, lambda one: (one.what, one.mode))
    chosen = [one for those in groups.values() for one in sorted(those, key=_flatness)[:MOST_CONTEXTS]]
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
