"""A forest plot: sizes with intervals, row under row, in groups. It draws effects, and comparisons in many contexts."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.report.plots.figures import MARGIN, bare, heading, log_scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNDECIDED = "#777777"


@dataclass(frozen=True)
class Row:
    """A size and its interval. Rows of a group stand together beside its name, or below it where they have a `name` of
    their own; `kind` is what the colour says, and what is not `decided` is hollow."""

    group: str
    kind: str
    size: float
    interval: tuple[float, float] | None
    decided: bool
    name: str = ""


@dataclass(frozen=True)
class Forest:
    """Rows and what they are measured by. `colours` are those of the kinds; `margin` is what counts as equal, in the
    rows' units, and how that is called; `show` makes a number of a size; `hollow` says what an undecided row is,
    unless the kinds are `telling`: verdicts themselves."""

    title: str
    rows: Sequence[Row]
    colours: Mapping[str, str]
    ratio: bool
    unit: str
    margin: tuple[str, float, float] | None = None
    show: Callable[[float], str] = "{:.3f}".format
    hollow: str = "no verdict"
    telling: bool = False

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches: rows have a height of their own, so that twenty are as easy to read as one."""
        groups = len({row.group for row in self.rows})
        return 8.0, 1.5 + 0.27 * len(self.rows) + 0.15 * groups + 0.27 * self._head() * groups

    def _head(self) -> float:
        """How many rows a group's name takes above its rows: those of one group alone need none."""
        return float(any(row.name for row in self.rows) and len({row.group for row in self.rows}) > 1)

    def draw(self, figure: Figure) -> None:
        """A point and an interval each, grouped, coloured by kind, hollow where nothing is decided; numbers to the
        right."""
        from matplotlib.lines import Line2D

        axes = figure.add_subplot()
        legend: list[Any] = []
        for kind in dict.fromkeys(row.kind for row in self.rows):
            entry = Line2D([], [], color=self.colours[kind], marker="o", linewidth=1.8, label=kind)
            if self.telling and not any(row.decided for row in self.rows if row.kind == kind):
                entry.set_markerfacecolor("white")
            legend.append(entry)
        if not self.telling and not all(row.decided for row in self.rows):
            empty = Line2D([], [], color=UNDECIDED, marker="o", markerfacecolor="white", linewidth=1.8)
            empty.set_label(self.hollow)
            legend.append(empty)
        places, bands = self._places()
        bottom, top = bands[-1][1], bands[0][0]
        for low, high in bands[1::2]:
            axes.axhspan(high, low, color="#f4f4f4", linewidth=0)
        if self.margin:
            label, low, high = self.margin
            legend.append(axes.axvspan(low, high, color=MARGIN, alpha=0.12, linewidth=0, label=label))
        axes.axvline(1.0 if self.ratio else 0.0, color="#444444", linewidth=1)
        for row, y in zip(self.rows, places, strict=True):
            colour = self.colours[row.kind]
            if row.interval:
                axes.hlines(y, *row.interval, color=colour, linewidth=1.8)
            inside = colour if row.decided else "white"
            axes.plot(row.size, y, "o", color=colour, markersize=6, markeredgewidth=1.5, markerfacecolor=inside)
        axes.set_ylim(bottom, top)
        names = list(dict.fromkeys(row.group for row in self.rows))
        if any(row.name for row in self.rows):
            heads = dict(zip(names, bands, strict=True)) if self._head() else {}
            texts = [*(row.name for row in self.rows), *heads]
            axes.set_yticks(
                [*places, *(high - 0.8 for high, _ in heads.values())],
                [textwrap.shorten(text, 40, placeholder="…") for text in texts],
            )
            for head in axes.get_yticklabels()[len(self.rows) :]:
                head.set_fontweight("bold")
        else:
            axes.set_yticks([(low + high) / 2 for low, high in bands], [textwrap.fill(name, 32) for name in names])
        axes.tick_params(axis="y", length=0)
        self._scale(axes)
        numbers = axes.twinx()
        numbers.set_ylim(bottom, top)
        numbers.set_yticks(places, [self._number(row) for row in self.rows])
        numbers.tick_params(axis="y", length=0, labelsize=8)
        for each in (axes, numbers):
            bare(each, "top", "left", "right")
        heading(axes, self.title)
        figure.legend(handles=legend, loc="outside lower center", ncols=3, frameon=False, fontsize=8)

    def _places(self) -> tuple[list[float], list[tuple[float, float]]]:
        """The height of each row, and the top and bottom of the band of each group, from the top down."""
        places, bands = [], []
        y = 0.0
        for group in dict.fromkeys(row.group for row in self.rows):
            begin = y
            y -= 0.3 + self._head()
            for _ in range(sum(row.group == group for row in self.rows)):
                places.append(y - 0.5)
                y -= 1.0
            y -= 0.3
            bands.append((begin, y))
        return places, bands

    def _number(self, row: Row) -> str:
        size = self.show(row.size)
        return f"{size}  [{', '.join(map(self.show, row.interval))}]" if row.interval else size

    def _scale(self, axes: Any) -> None:
        """The axis of sizes: wide enough for every interval; ratios are spaced by their logs, and ticks are ratios."""
        reference = 1.0 if self.ratio else 0.0
        ends = [reference, *(x for row in self.rows for x in (row.size, *(row.interval or ())))]
        low, high = min(ends), max(ends)
        if self.ratio:
            log_scale(axes, "x", low, high)
        else:
            space = 0.06 * (high - low) or 0.01
            axes.set_xlim(low - space, high + space)
        axes.set_xlabel(self.unit)
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
