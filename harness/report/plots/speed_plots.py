"""Step times against the baseline's in all contexts: a forest plot, or, of very many, the contexts of each level."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from harness.analysis.grouping import grouped
from harness.analysis.timing import Comparison
from harness.analysis.verdicts import DECIDED, Verdict
from harness.report.plots import figures as fig
from harness.report.plots.figures import Plot
from harness.report.plots.forest import Forest, ForestRow
from harness.report.report import Report

#: This many rows can be read one by one; of more, only the spread can be seen.
READABLE = 60
#: Panels of levels in a row.
ABREAST = 4
#: Colours of verdicts that people with any kind of colour vision can distinguish (Okabe and Ito 2008).
COLOURS: dict[str, str] = {
    Verdict.FASTER: "#0072B2",
    Verdict.SLOWER: "#D55E00",
    Verdict.EQUIVALENT: fig.MARGIN,
    Verdict.UNDECIDED: fig.GREY,
}
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
    return f"{mode}: step time against {baselines[0] if len(baselines) == 1 else 'the baseline'}{several}"


def kind_of(comparison: Comparison) -> Verdict:
    """The verdict that gives the colour; a first look decides nothing."""
    speed = comparison.block.measures.speed
    quick = speed is not None and speed.quick
    return comparison.verdict if comparison.verdict in COLOURS and not quick else Verdict.UNDECIDED


def margin_of(comparisons: Sequence[Comparison]) -> tuple[str, float, float] | None:
    """What counts as equal, where it is the same for all."""
    margins = {c.block.measures.speed.margin for c in comparisons if c.block.measures.speed}
    if len(margins) != 1:
        return None
    margin = margins.pop()
    return fig.margin_in_words(margin), 1 / (1 + margin), 1 + margin


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
        self.size = 8.0, 1.3 + 3.2 * math.ceil(len(self.levels) / ABREAST)

    def draw(self, figure: fig.Figure) -> None:
        """Intervals as lines and ratios as dots, coloured by verdict, with the number of each verdict."""
        ends = [1.0, *(x for c in self.comparisons for x in (c.size or 1.0, *(c.interval or ())))]
        columns = min(ABREAST, len(self.levels))
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
