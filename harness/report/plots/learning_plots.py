"""What was learned as plots: curves, speed beside quality, scores along an axis of numbers, comparisons in many
contexts."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis import seed_stats as seeds
from harness.analysis.learning import Learned, LearningComparison
from harness.analysis.learning_results import Lessons
from harness.report.plots.figures import (
    DECIDED,
    Plot,
    Style,
    bare,
    file_name,
    heading,
    label_ends,
    log_scale,
    per_cent,
    styles_of,
)
from harness.report.plots.forest import Forest, Row
from harness.report.plots.learning_curves import Curves, aside, line_height, middle, panel_height, score_axis
from harness.report.plots.pareto_plot import Plane
from harness.report.report import Report
from harness.report.tables.learning import title_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
#: A point whose difference to the baseline is not clear.
HOLLOW = "no verdict, or perhaps chance"


def learning_plots(report: Report) -> Iterator[Plot]:
    """Everything there is to draw of what was learned."""
    findings, lessons = report.findings, report.findings.lessons
    learned = [one for one in lessons.learned if any(one.runs.values())]
    for one in learned:
        curves = Curves(one, title_of(one))
        yield Plot(file_name("curves", one.block.name), curves.title, curves.size, curves.draw, "Learning")
    for one in learned:
        if one.block.measures.speed and "train" in one.block.measures.speed.of:
            plane = Plane.of(lessons, one, findings.of(one.block, "train"))
            if len(plane.points) > 1:
                yield Plot(file_name("pareto", one.block.name), plane.title, plane.size, plane.draw, "Learning")
    for along in alongs(lessons, learned):
        name = file_name("score", along.axis, *along.rest.values())
        yield Plot(name, along.title, along.size, along.draw, "Learning")
    if not findings.plan.factors:
        for forest in forests(lessons, learned):
            name = file_name("comparisons", *forest.title.split(":")[:1])
            yield Plot(name, forest.title, forest.size, forest.draw, "Learning")


def is_clear(comparison: LearningComparison) -> bool:
    """Whether it has a verdict that also stands among all comparisons of its score."""
    return comparison.verdict in DECIDED and "one-of-many" not in comparison.flags


@dataclass(frozen=True)
class Along:
    """The blocks that differ in one axis, whose levels are numbers, in the order of these. `rest` is what they have in
    common of the other axes."""

    axis: str
    rest: Mapping[str, str]
    places: Mapping[float, Learned]
    lessons: Lessons

    @property
    def title(self) -> str:
        """The context and what is shown of it."""
        one = next(iter(self.places.values()))
        return f"{' · '.join(self.rest.values()) or 'all'} · learning: {self._metric(one)} by {self.axis}"

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        return 6.8, self._height() + 0.9 + (1.5 if self._diverged() else 0)

    def _height(self) -> float:
        return panel_height(max(len(one.block.trials) for one in self.places.values()))

    @staticmethod
    def _metric(one: Learned) -> str:
        return one.settings.metric.replace("_", " ")

    def _diverged(self) -> bool:
        return any(
            run.outcome == "diverged"
            for one in self.places.values()
            for runs in one.runs.values()
            for run in runs.values()
        )

    def draw(self, figure: Figure) -> None:
        """A line a level: the mean over seeds at each number; below it the share that diverged, if any did."""
        from matplotlib.lines import Line2D
        from matplotlib.ticker import FixedLocator, NullLocator

        failures = self._diverged()
        heights = [self._height(), *([1.5] if failures else [])]
        panels = list(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0])
        first, xs = next(iter(self.places.values())), list(self.places)
        settings, score = first.settings, first.scores[first.settings.metric]
        levels = dict.fromkeys(trial.level for one in self.places.values() for trial in one.block.trials)
        styles, log = styles_of(levels), min(xs) > 0 and max(xs) > 10 * min(xs)
        shown: list[float] = [] if settings.target is None else [settings.target]
        ends: list[tuple[str, float, Style]] = []
        hollow = False
        for index, (level, style) in enumerate(styles.items()):
            shift = 0.01 * (index - (len(styles) - 1) / 2)  # so that intervals do not hide each other
            line = []
            for x, one in self.places.items():
                under = one.seeds_of(level) if level in one.runs else ()
                if not under:
                    continue
                at = x * (max(xs) / min(xs)) ** shift if log else x + shift * (max(xs) - min(xs))
                mean, low, high = middle(one.values(level, settings.metric, under), score)
                comparison = self.lessons.of(one).get(level)
                clear = comparison is None or is_clear(comparison)
                hollow |= not clear
                self._point(panels[0], at, mean, low, high, style, clear)
                shown += [y for y in (mean, low, high) if not math.isnan(y)]
                line.append((at, mean))
                if failures:
                    failed = sum(one.diverged(level, under))
                    self._point(
                        panels[1], at, failed / len(under), *seeds.clopper_pearson(failed, len(under)), style, True
                    )
            if line:
                panels[0].plot(*zip(*line, strict=True), color=style.colour, linewidth=1.2, linestyle=style.dashes)
                ends.append((textwrap.fill(level, 22), line[-1][1], style))
        if log:
            log_scale(panels[0], "x", min(xs), max(xs))
        for panel in panels:
            if len(xs) <= 8:
                panel.xaxis.set_major_locator(FixedLocator(xs))
                panel.xaxis.set_minor_locator(NullLocator())
                panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
            bare(panel, "top", "right")
            panel.grid(color="#e4e4e4", linewidth=0.6)
        score_axis(panels[0], settings.metric, score, shown)
        kind = "geometric mean" if score.compared == "ratio" else "mean"
        legend = [Line2D([], [], color="#777777", marker="o", label=f"{kind} and 95 % t interval over seeds")]
        if hollow:
            legend.append(Line2D([], [], color="#777777", marker="o", markerfacecolor="white", label=HOLLOW))
        if settings.target is not None:
            panels[0].axhline(settings.target, color="#444444", linewidth=1, linestyle=(0, (6, 3)), zorder=1)
            legend.append(Line2D([], [], color="#444444", linewidth=1, linestyle=(0, (6, 3)), label="target"))
        if failures:
            panels[1].set_ylim(-0.06, 1.06)
            panels[1].yaxis.set_major_formatter(per_cent)
            panels[1].set_ylabel("seeds that\ndiverged")
            aside(panels[1], "share and 95 % Clopper-Pearson interval")
        label_ends(panels[0], ends, line_height(heights[0]))
        panels[-1].set_xlabel(self.axis.replace("_", " "))
        figure.align_ylabels(panels)
        heading(panels[0], self.title)
        figure.legend(handles=legend, loc="outside lower center", ncols=2, frameon=False, fontsize=8)

    @staticmethod
    def _point(axes: Any, x: float, y: float, low: float, high: float, style: Style, filled: bool) -> None:
        axes.vlines(x, low, high, color=style.colour, linewidth=1.4, zorder=2)
        inside = style.colour if filled else "white"
        axes.plot(
            x,
            y,
            style.marker,
            color=style.colour,
            markersize=5.5,
            markeredgewidth=1.3,
            markerfacecolor=inside,
            zorder=3,
        )


def context_of(one: Learned) -> str:
    """A block's context in words; of a number it says of what."""
    given = one.block.context.items()
    return " · ".join(
        f"{axis} {level}" if numbers_in([level]) and level[0].isdigit() else level for axis, level in given
    )


def numbers_in(names: Sequence[str]) -> list[float] | None:
    """The number in each name, where all are alike but for it ("20", "lag 20"); None where they are not."""
    try:
        found = list(map(float, names))
    except ValueError:
        found = [float(number) for name in names for number in NUMBER.findall(name)]
        if len({NUMBER.sub("#", name) for name in names}) > 1 or len(found) != len(names):
            return None
    return found if all(map(math.isfinite, found)) else None


def alongs(lessons: Lessons, learned: Sequence[Learned]) -> Iterator[Along]:
    """Each axis of numbers, in each context that the other axes leave, where at least three of its levels have run."""
    for axis in dict.fromkeys(axis for one in learned for axis in one.block.context):
        groups: dict[tuple[tuple[str, str], ...], list[Learned]] = {}
        for one in learned:
            rest = tuple((name, level) for name, level in one.block.context.items() if name != axis)
            groups.setdefault((*rest, ("", one.settings.metric)), []).append(one)
        for rest, group in groups.items():
            numbers = numbers_in([one.block.context.get(axis, "") for one in group])
            if numbers is not None and len(set(numbers)) >= 3:
                places = sorted(zip(numbers, group, strict=True), key=lambda place: place[0])
                yield Along(axis, dict(rest[:-1]), dict(places), lessons)


def forests(lessons: Lessons, learned: Sequence[Learned]) -> Iterator[Forest]:
    """The deciding score's comparisons in all contexts, where there are several; one for each such score."""
    for metric in dict.fromkeys(one.settings.metric for one in learned):
        those = [one for one in learned if one.settings.metric == metric]
        first, rows = those[0], []
        score, levels = first.scores[metric], dict[str, str]()
        unit = 1.0 if score.compared == "ratio" else 100.0
        for one in those:
            styles = styles_of(trial.level for trial in one.block.trials)
            for level, c in lessons.of(one).items():
                if c.ratio is None:
                    continue
                interval = (unit * c.interval[0], unit * c.interval[1]) if c.interval else None
                rows.append(Row(context_of(one), level, unit * c.ratio, interval, is_clear(c)))
                levels.setdefault(level, styles[level].colour)
        if len({row.group for row in rows}) < 2:
            continue
        ratio, bound, margin = score.compared == "ratio", first.margin(metric), None
        if bound is not None:
            words = (
                f"within the margin of {np.expm1(bound):.3g}"
                if ratio
                else f"within the margin of {100 * bound:.3g} point{'s' if bound != 0.01 else ''}"
            )
            margin = (words, math.exp(-bound), math.exp(bound)) if ratio else (words, -100 * bound, 100 * bound)
        baseline, name = first.block.baseline.level, metric.replace("_", " ")
        way = "right" if score.better == "higher" else "left"
        text = f"{name}, ratio to {baseline}" if ratio else f"{name}, points above {baseline}"
        yield Forest(
            f"{name}: learning against {baseline} in all contexts", rows, levels, ratio, f"{text} ({way} is better)",
            margin, "{:.3f}".format if ratio else "{:+.1f}".format, HOLLOW,
        )  # fmt: skip
