"""A forest plot: sizes with intervals, one row each, in groups. It draws comparisons in all contexts, and the effects
of an ablation design, one plot for each of their tables."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.analysis.effects import Effect
from harness.analysis.finding import Finding, Scale, scaled_in_words
from harness.analysis.grouping import grouped
from harness.analysis.verdicts import DECIDED
from harness.records.plan import LEARNING
from harness.report.cells import FIRST_LOOK, block_title, in_words, verdict_word
from harness.report.plots import figures as fig
from harness.report.plots.figures import Plot
from harness.report.report import Report
from harness.report.tables.effects import with_effects

#: In inches: a row, a line of text, the space beside the text of a row, the space for an interval below its text, and
#: the space around a group.
ROW, LINE, BESIDE, BELOW, AROUND = 0.27, 0.15, 0.12, 0.17, 0.15
#: Characters in a line of a name, of the title and of the label of the axis: on a page, and on a phone.
WIDE, NARROW = (32, 90, 90), (24, 48, 54)


@dataclass(frozen=True)
class ForestRow:
    """A size and its interval in the style of its level. A row that is not `decided` is hollow; `verdict` is a word
    beside the numbers."""

    group: str
    name: str
    style: fig.Style
    size: float
    interval: tuple[float, float] | None
    decided: bool
    verdict: str = ""

    @classmethod
    def of(cls, finding: Finding, group: str, name: str, style: fig.Style, decided: bool | None = None) -> ForestRow:
        """The row of a finding that has a size."""
        assert finding.size is not None
        decided = finding.verdict in DECIDED if decided is None else decided
        word = verdict_word(finding)
        if word == FIRST_LOOK:
            decided = False
        elif finding.verdict in DECIDED and not decided:
            word += ", perhaps chance"
        return cls(group, name, style, finding.size, finding.interval, decided, word)


@dataclass
class Forest(fig.Drawing):
    """Rows of one scale. `baseline` is the name of what they are compared with; `margin` is the label and the range of
    what counts as equal; `hollow` says what an undecided row is. A narrow plot has the names above the intervals."""

    title: str
    rows: Sequence[ForestRow]
    scale: Scale
    unit: str
    baseline: str = ""
    margin: tuple[str, float, float] | None = None
    hollow: str = "no verdict"
    narrow: bool = False

    def __post_init__(self) -> None:
        groups = grouped(self.rows, lambda row: row.group)
        #: Whether each group has a heading above its rows; a single row has the name of its group instead.
        self.heads = len(groups) > 1 and any(len(rows) > 1 for rows in groups.values())
        self.widths = NARROW if self.narrow else WIDE
        #: The center of each row, the top and bottom of the band of each group, from 0 downwards in inches.
        self.places, self.bands = self._places(list(groups.values()))
        title = LINE * (self._fill(self.title, 1).count("\n") + self._fill(self.unit, 2).count("\n"))
        self.size = 3.7 if self.narrow else 8.0, 1.5 + title - self.bands[-1][1]

    def narrowed(self) -> Forest:
        """The same plot for a phone."""
        return replace(self, narrow=True)

    def draw(self, figure: fig.Figure) -> None:
        """A point and an interval per row; numbers and verdict to the right, on a phone above."""
        axes = figure.add_subplot()
        axes.set_ylim(self.bands[-1][1], self.bands[0][0])
        for low, high in () if self.narrow else self.bands[1::2]:
            axes.axhspan(high, low, color=fig.BAND, linewidth=0)
        entries = []
        if self.margin:
            label, low, high = self.margin
            entries.append(axes.axvspan(low, high, color=fig.GREY, alpha=0.16, linewidth=0, label=label))
        if not all(row.decided for row in self.rows):
            entries.append(fig.hollow(self.hollow))
        axes.axvline(self.reference, color=fig.DARK, linewidth=1.2)
        for row, y in zip(self.rows, self.places, strict=True):
            y -= LINE / 2 * (1 + self._name(row).count("\n")) - 0.02 if self.narrow else 0.0
            if row.interval:
                axes.hlines(y, *row.interval, color=row.style.colour, linewidth=1.8)
            inside = row.style.colour if row.decided else "white"
            axes.plot(
                row.size, y, row.style.marker, color=row.style.colour, markersize=6, markeredgewidth=1.5,
                markerfacecolor=inside,
            )  # fmt: skip
        self._texts(axes)
        self._scale(axes)
        fig.bare(axes, "top", "left", "right")
        axes.tick_params(axis="y", length=0)
        self._mark_baseline(axes)
        fig.heading(axes, self.title, self.widths[1], 18 if self.baseline else 6)
        if entries:
            fig.legend(figure, entries, 1 if self.narrow else 3)

    @property
    def reference(self) -> float:
        """The size of no difference."""
        return float(self.scale == "ratio")

    def _places(self, groups: Sequence[Sequence[ForestRow]]) -> tuple[list[float], list[tuple[float, float]]]:
        places, bands, y = [], [], 0.0
        for rows in groups:
            begin = y
            y -= AROUND / 2
            if self.heads:
                y -= LINE * (1 + self._fill(rows[0].group, 1 if self.narrow else 0).count("\n")) + 0.06
            for row in rows:
                text = LINE * (1 + self._name(row).count("\n"))
                height = text + BELOW if self.narrow else max(ROW, text + BESIDE)
                places.append(y - height / 2)
                y -= height
            y -= AROUND / 2
            bands.append((begin, y))
        return places, bands

    def _fill(self, text: str, width: int) -> str:
        return textwrap.fill(text, self.widths[width])

    def _name(self, row: ForestRow) -> str:
        """What a row is called: its own name, or that of its group where every group has one row."""
        alone = not self.heads and len({each.group for each in self.rows}) > 1
        return self._fill(row.group if alone else row.name, 0)

    def _texts(self, axes: fig.Axes) -> None:
        """The names of groups and rows, and the numbers of rows."""
        numbers = [self._number(row) for row in self.rows]
        names = [self._name(row) for row in self.rows]
        heads = [rows[0].group for rows in grouped(self.rows, lambda row: row.group).values()] if self.heads else []
        tops = [top - AROUND / 2 for top, _ in self.bands][: len(heads)]
        if self.narrow:
            axes.set_yticks([])
            across = axes.get_yaxis_transform()
            for place, name, number in zip(self.places, names, numbers, strict=True):
                top = place + LINE / 2 * (1 + name.count("\n")) + BELOW / 2
                behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
                axes.text(0, top, name, transform=across, fontsize=8, va="top", bbox=behind)
                axes.text(1, top, number, transform=across, fontsize=8, va="top", ha="right", bbox=behind)
            for top, head in zip(tops, heads, strict=True):
                axes.text(0, top, self._fill(head, 1), transform=across, fontsize=9, va="top", fontweight="bold")
            return
        heights = [
            top - LINE / 2 * (1 + self._fill(head, 0).count("\n")) for top, head in zip(tops, heads, strict=True)
        ]
        axes.set_yticks([*self.places, *heights], [*names, *(self._fill(head, 0) for head in heads)])
        for head in axes.get_yticklabels()[len(names) :]:
            head.set_fontweight("bold")
        right = axes.twinx()
        right.set_ylim(axes.get_ylim())
        right.set_yticks(self.places, numbers)
        right.tick_params(axis="y", length=0, labelsize=8)
        fig.bare(right, "top", "left", "right")

    def _number(self, row: ForestRow) -> str:
        bounds = ", ".join(scaled_in_words(bound, self.scale) for bound in row.interval or ())
        parts = (scaled_in_words(row.size, self.scale), f"[{bounds}]" if bounds else "", row.verdict)
        return "  ".join(filter(None, parts))

    def _scale(self, axes: fig.Axes) -> None:
        """The axis of sizes, wide enough for every interval: ratios on a logarithmic axis, differences in points."""
        ends = [self.reference, *(x for row in self.rows for x in (row.size, *(row.interval or ())))]
        low, high = min(ends), max(ends)
        if self.scale == "ratio":
            fig.log_scale(axes, "x", low, high)
            if self.narrow:
                axes.set_xticks(fig.thinned(axes.get_xticks()))
        else:
            space = 0.06 * (high - low) or 0.01
            axes.set_xlim(low - space, high + space)
            if self.narrow:
                axes.locator_params(axis="x", nbins=6)
            unit = 1 if self.scale == "number" else 100
            axes.xaxis.set_major_formatter(lambda value, _: f"{unit * value:.4g}")
        axes.set_xlabel(self._fill(self.unit, 2))
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)

    def _mark_baseline(self, axes: fig.Axes) -> None:
        """The name of the baseline above its line."""
        if not self.baseline:
            return
        at = axes.transAxes.inverted().transform(axes.transData.transform((self.reference, 0)))[0]
        side = "left" if at < 0.25 else "right" if at > 0.75 else "center"
        axes.annotate(
            textwrap.shorten(self.baseline, 40, placeholder="…") + f" = {self.reference:.0f}", (self.reference, 1),
            (0, 3), xycoords=("data", "axes fraction"), textcoords="offset points", ha=side, va="bottom", fontsize=8,
            color=fig.DARK,
        )  # fmt: skip


def effect_plots(report: Report) -> Iterator[Plot]:
    """What factors do to step time, and to what is learned."""
    styles = fig.styles_in(report.findings.plan)
    for block, mode, metric in with_effects(report.findings):
        effects = [e for e in report.findings.effects_in(block, mode, metric) if e.size is not None]
        if effects:
            title = f"{block_title(block, mode)}: effects on {in_words(metric)}"
            yield Plot.of(effect_forest(title, effects, styles), "Effects", "effects", block.name, mode)


def effect_forest(title: str, effects: Sequence[Effect], styles: Mapping[str, fig.Style]) -> Forest:
    """The effects of one block, mode and metric: one colour a factor, and a group for each where there are several
    estimands."""
    first = effects[0]
    learned, speed = first.mode == LEARNING, first.block.measures.speed
    margin = fig.margin_range(speed.margin, "ratio") if speed and not learned else None
    several = len({effect.kind for effect in effects}) > 1
    rows = [
        ForestRow.of(
            effect, effect.level if several else "", effect.kind if several else effect.level,
            styles.get(effect.level, fig.NEUTRAL),
        )
        for effect in effects
    ]  # fmt: skip
    unit = f"{in_words(first.metric)}, on minus off (points)"
    if first.scale == "ratio":
        unit = f"{in_words(first.metric)}, on over off (ratio{'' if learned else '; below 1 takes less time'})"
    return Forest(title, rows, first.scale, unit, "no effect", margin)
