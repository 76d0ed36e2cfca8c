"""Step times against the baseline's in all contexts: a forest, or, of very many, each level's contexts by size."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.timing import Comparison
from harness.report.plots.figures import DECIDED, MARGIN, Plot, bare, file_name, log_scale
from harness.report.plots.forest import UNDECIDED, Forest, Row
from harness.report.report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: So many rows can be read one by one; of more, only their spread can be seen.
READABLE = 60
#: Panels of levels beside each other.
ABREAST = 4
#: Colours of verdicts that people with any kind of colour vision tell apart (Okabe and Ito 2008).
COLOURS = {"faster": "#0072B2", "slower": "#D55E00", "equivalent": MARGIN, "undecided": UNDECIDED}


def speed_plots(report: Report) -> Iterator[Plot]:
    """The comparisons of step time of each mode, of a single one none: a sentence says as much."""
    comparisons = [c for c in report.findings.comparisons if c.metric == "step_time" and c.ratio is not None]
    for mode in dict.fromkeys(c.mode for c in comparisons):
        those = [c for c in comparisons if c.mode == mode and c.verdict != "invalid"]
        if len(those) < 2:
            continue
        figure = forest_of(mode, those) if len(those) <= READABLE else Spread(title_of(mode, those), those)
        yield Plot(file_name("speed", mode), figure.title, figure.size, figure.draw, "Comparisons")


def title_of(mode: str, comparisons: Sequence[Comparison]) -> str:
    """What is compared with what."""
    baselines = list(dict.fromkeys(c.block.baseline.level for c in comparisons))
    several = " in all contexts" if len({c.block.id for c in comparisons}) > 1 else ""
    return f"{mode}: step time against {baselines[0] if len(baselines) == 1 else 'the baseline'}{several}"


def kind_of(comparison: Comparison) -> str:
    """What its colour says; without an interval or a rank nothing is decided."""
    speed = comparison.block.measures.speed
    quick = speed is not None and speed.quick
    return comparison.verdict if comparison.verdict in COLOURS and not quick else "undecided"


def margin_of(comparisons: Sequence[Comparison]) -> tuple[str, float, float] | None:
    """What counts as equal, where all have the same."""
    margins = {c.block.measures.speed.margin for c in comparisons if c.block.measures.speed}
    if len(margins) != 1:
        return None
    margin = margins.pop()
    return f"within the margin of {100 * margin:.3g} %", 1 / (1 + margin), 1 + margin


def forest_of(mode: str, comparisons: Sequence[Comparison]) -> Forest:
    """A row for each comparison, the contexts one below the other."""
    rows = [
        Row(c.block.name, kind_of(c), c.ratio, c.interval, kind_of(c) in DECIDED, c.level)
        for c in comparisons
        if c.ratio is not None
    ]
    unit = "time over the baseline's for the same examples (below 1 is faster)"
    return Forest(title_of(mode, comparisons), rows, COLOURS, True, unit, margin_of(comparisons), telling=True)


@dataclass(frozen=True)
class Spread:
    """Very many comparisons: for each level a panel, in which its contexts stand by the size of their ratios."""

    title: str
    comparisons: Sequence[Comparison]

    def levels(self) -> dict[str, list[Comparison]]:
        """The comparisons of each level, the smallest ratio first."""
        found: dict[str, list[Comparison]] = {}
        for c in sorted(self.comparisons, key=lambda c: c.ratio or 0.0):
            found.setdefault(c.level, []).append(c)
        return {level: found[level] for level in dict.fromkeys(c.level for c in self.comparisons)}

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        return 8.0, 1.3 + 3.2 * math.ceil(len(self.levels()) / ABREAST)

    def draw(self, figure: Figure) -> None:
        """Intervals as lines and ratios as dots, coloured by verdict, and how many have which."""
        from matplotlib.lines import Line2D
        from matplotlib.ticker import FixedLocator

        levels = self.levels()
        ends = [1.0, *(x for c in self.comparisons for x in (c.ratio or 1.0, *(c.interval or ())))]
        columns = min(ABREAST, len(levels))
        rows = math.ceil(len(levels) / columns)
        panels: list[Any] = list(figure.subplots(rows, columns, squeeze=False, sharex=True).ravel())
        for unused in panels[len(levels) :]:
            unused.set_axis_off()
        margin = margin_of(self.comparisons)
        for axes, (level, those) in zip(panels, levels.items(), strict=False):
            if margin:
                axes.axvspan(margin[1], margin[2], color=MARGIN, alpha=0.12, linewidth=0)
            axes.axvline(1.0, color="#444444", linewidth=1)
            places = -np.arange(len(those), dtype=float)
            for kind, colour in COLOURS.items():
                mine = [i for i, c in enumerate(those) if kind_of(c) == kind]
                if not mine:
                    continue
                bounds = np.array([those[i].interval or (those[i].ratio,) * 2 for i in mine], dtype=float)
                axes.hlines(places[mine], bounds[:, 0], bounds[:, 1], color=colour, linewidth=0.8, alpha=0.6)
                size = 5.0 if len(those) <= READABLE else 2.5
                axes.plot([those[i].ratio for i in mine], places[mine], ".", color=colour, markersize=size)
            log_scale(axes, "x", min(ends), max(ends))
            axes.xaxis.set_major_locator(FixedLocator(thinned(axes.get_xticks())))
            axes.tick_params(axis="x", labelsize=7.5)
            axes.set_yticks([])
            bare(axes, "top", "left", "right")
            axes.grid(axis="x", color="#dddddd", linewidth=0.6)
            counts = [(kind, sum(kind_of(c) == kind for c in those)) for kind in COLOURS]
            told = ", ".join(f"{count} {kind}" for kind, count in counts if count)
            axes.set_title(textwrap.fill(f"{level}: {told}", 30), loc="left", fontsize=8)
        figure.suptitle(textwrap.fill(self.title, 90), x=0.01, ha="left", fontsize=10.5)
        kinds = [kind for kind in COLOURS if any(kind_of(c) == kind for c in self.comparisons)]
        legend: list[Any] = [
            Line2D([], [], color=COLOURS[kind], marker="o", markersize=4, linewidth=1.2, label=kind) for kind in kinds
        ]
        unit = "time over the baseline's for the same examples (below 1 is faster)"
        figure.legend(
            handles=legend, loc="outside lower center", ncols=4, frameon=False, fontsize=8, title=unit, title_fontsize=9
        )


def thinned(ticks: Sequence[float], most: int = 5) -> list[float]:
    """Those of the ticks of a narrow axis spaced by logs that leave room for their texts; 1 is always one of them."""
    if len(ticks) < 2:
        return list(ticks)
    apart = math.log(max(ticks) / min(ticks)) / most
    kept = [tick for tick in ticks if tick == 1]
    for tick in ticks:
        if all(abs(math.log(tick / other)) >= apart for other in kept):
            kept.append(float(tick))
    return sorted(kept)
