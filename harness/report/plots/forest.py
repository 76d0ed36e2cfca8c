"""A forest plot: sizes with intervals, one row each, in groups. It draws the effects of an ablation design, one
plot for each of their tables, and comparisons in many contexts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.analysis.effects import Effect
from harness.analysis.finding import Finding, Scale, scaled_in_words
from harness.analysis.grouping import grouped
from harness.analysis.verdicts import DECIDED
from harness.records import designs
from harness.records.plan import LEARNING
from harness.report.cells import block_title, in_words
from harness.report.plots import figures as fig
from harness.report.plots.figures import Plot
from harness.report.report import Report
from harness.report.tables.effects import with_effects

#: The colours of estimands.
EFFECT_COLOURS = {
    designs.AVERAGE: fig.BLUE, designs.INTERACTION: fig.VERMILION, designs.ADDED: fig.ORANGE,
    designs.REMOVED: fig.BLUE, designs.BOTH: fig.BLACK, designs.REST: fig.VERMILION,
}  # fmt: skip


@dataclass(frozen=True)
class ForestRow:
    """A size and its interval. Rows of a group are beside its name, or below it where they have a `name` of their own.
    The colour shows the `kind`; a row that is not `decided` is hollow."""

    group: str
    kind: str
    size: float
    interval: tuple[float, float] | None
    decided: bool
    name: str = ""

    @classmethod
    def of(cls, finding: Finding, group: str, kind: str, decided: bool | None = None, name: str = "") -> ForestRow:
        """The row of a finding that has a size."""
        assert finding.size is not None
        return cls(
            group, kind, finding.size, finding.interval,
            finding.verdict in DECIDED if decided is None else decided, name,
        )  # fmt: skip


@dataclass
class Forest(fig.Drawing):
    """Rows of one scale. `colours` are those of the kinds; `margin` is the label and the range of what counts as equal;
    `hollow` says what an undecided row is, unless the kinds are `verdicts` themselves."""

    title: str
    rows: Sequence[ForestRow]
    colours: Mapping[str, str]
    scale: Scale
    unit: str
    margin: tuple[str, float, float] | None = None
    hollow: str = "no verdict"
    verdicts: bool = False

    def __post_init__(self) -> None:
        groups = len({row.group for row in self.rows})
        #: How many rows the name of a group takes above its rows; rows of a single group need none.
        self.head = float(any(row.name for row in self.rows) and groups > 1)
        # The height of a row is fixed, so that twenty are as easy to read as one.
        self.size = 8.0, 1.5 + 0.27 * len(self.rows) + 0.15 * groups + 0.27 * self.head * groups

    def draw(self, figure: fig.Figure) -> None:
        """A point and an interval per row, coloured by kind, hollow where nothing is decided; numbers to the right."""
        axes = figure.add_subplot()
        entries = self._legend()
        places, bands = self._places()
        bottom, top = bands[-1][1], bands[0][0]
        for low, high in bands[1::2]:
            axes.axhspan(high, low, color="#f4f4f4", linewidth=0)
        if self.margin:
            label, low, high = self.margin
            entries.append(axes.axvspan(low, high, color=fig.MARGIN, alpha=0.12, linewidth=0, label=label))
        axes.axvline(float(self.scale == "ratio"), color=fig.DARK, linewidth=1)
        for row, y in zip(self.rows, places, strict=True):
            colour = self.colours[row.kind]
            if row.interval:
                axes.hlines(y, *row.interval, color=colour, linewidth=1.8)
            inside = colour if row.decided else "white"
            axes.plot(row.size, y, "o", color=colour, markersize=6, markeredgewidth=1.5, markerfacecolor=inside)
        axes.set_ylim(bottom, top)
        self._names(axes, places, bands)
        self._scale(axes)
        numbers = axes.twinx()
        numbers.set_ylim(bottom, top)
        numbers.set_yticks(places, [self._number(row) for row in self.rows])
        numbers.tick_params(axis="y", length=0, labelsize=8)
        for each in (axes, numbers):
            fig.bare(each, "top", "left", "right")
        fig.heading(axes, self.title)
        fig.legend(figure, entries, 3)

    def _legend(self) -> list[fig.Entry]:
        found = []
        for kind, rows in grouped(self.rows, lambda row: row.kind).items():
            found.append(fig.entry(kind, color=self.colours[kind], marker="o", linewidth=1.8))
            if self.verdicts and not any(row.decided for row in rows):
                found[-1].set_markerfacecolor("white")
        if not self.verdicts and not all(row.decided for row in self.rows):
            found.append(fig.hollow(self.hollow))
        return found

    def _places(self) -> tuple[list[float], list[tuple[float, float]]]:
        """The height of each row, and the top and bottom of the band of each group, from the top down."""
        places, bands = [], []
        y = 0.0
        for rows in grouped(self.rows, lambda row: row.group).values():
            begin = y
            y -= 0.3 + self.head
            for _ in rows:
                places.append(y - 0.5)
                y -= 1.0
            y -= 0.3
            bands.append((begin, y))
        return places, bands

    def _names(self, axes: fig.Axes, places: Sequence[float], bands: Sequence[tuple[float, float]]) -> None:
        """The names of groups, and of rows that have one."""
        names = list(dict.fromkeys(row.group for row in self.rows))
        axes.tick_params(axis="y", length=0)
        if not any(row.name for row in self.rows):
            axes.set_yticks([(low + high) / 2 for low, high in bands], [textwrap.fill(name, 32) for name in names])
            return
        heads = dict(zip(names, bands, strict=True)) if self.head else {}
        texts = [*(row.name for row in self.rows), *heads]
        axes.set_yticks(
            [*places, *(high - 0.8 for high, _ in heads.values())],
            [textwrap.shorten(text, 40, placeholder="…") for text in texts],
        )
        for head in axes.get_yticklabels()[len(self.rows) :]:
            head.set_fontweight("bold")

    def _number(self, row: ForestRow) -> str:
        bounds = ", ".join(scaled_in_words(bound, self.scale) for bound in row.interval or ())
        return scaled_in_words(row.size, self.scale) + (f"  [{bounds}]" if bounds else "")

    def _scale(self, axes: fig.Axes) -> None:
        """The axis of sizes, wide enough for every interval: ratios on a logarithmic axis, differences in points."""
        ends = [float(self.scale == "ratio"), *(x for row in self.rows for x in (row.size, *(row.interval or ())))]
        low, high = min(ends), max(ends)
        if self.scale == "ratio":
            fig.log_scale(axes, "x", low, high)
        else:
            space = 0.06 * (high - low) or 0.01
            axes.set_xlim(low - space, high + space)
            unit = 1 if self.scale == "number" else 100
            axes.xaxis.set_major_formatter(lambda value, _: f"{unit * value:.4g}")
        axes.set_xlabel(self.unit)
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)


def effect_plots(report: Report) -> Iterator[Plot]:
    """What factors do to step time, and to what is learned."""
    for block, mode, metric in with_effects(report.findings):
        effects = [e for e in report.findings.effects_in(block, mode, metric) if e.size is not None]
        if effects:
            title = f"{block_title(block, mode)}: effects on {in_words(metric)}"
            yield Plot.of(effect_forest(title, effects), "Effects", "effects", block.name, mode)


def effect_forest(title: str, effects: Sequence[Effect]) -> Forest:
    """The effects of one block, mode and metric, grouped by factor and coloured by estimand."""
    first = effects[0]
    learned, speed = first.mode == LEARNING, first.block.measures.speed
    margin = fig.margin_range(speed.margin, "ratio") if speed and not learned else None
    rows = [ForestRow.of(effect, effect.level, effect.kind) for effect in effects]
    unit = f"{in_words(first.metric)}, on minus off (points)"
    if first.scale == "ratio":
        unit = f"{in_words(first.metric)}, on over off (ratio{'' if learned else '; below 1 takes less time'})"
    return Forest(title, rows, EFFECT_COLOURS, first.scale, unit, margin)
