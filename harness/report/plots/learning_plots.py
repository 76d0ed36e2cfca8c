"""What was learned as plots: curves, speed beside quality, scores along an axis of numbers, comparisons in many
contexts."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.analysis import seed_stats as seeds
from harness.analysis.grouping import FEWEST, along, axes_of, grouped, numbers_of, spaced_by_logs
from harness.analysis.learning import Learned, LearningComparison
from harness.analysis.learning_results import LearningResults
from harness.analysis.verdicts import DECIDED, Flag
from harness.report.cells import in_words, place_in_words
from harness.report.plots.figures import (
    DARK,
    Plot,
    Style,
    bare,
    entry,
    heading,
    hollow,
    label_ends,
    legend,
    line_height,
    margin_in_words,
    number_axis,
    panel_height,
    per_cent,
    point,
    styles_of,
)
from harness.report.plots.forest import Forest, ForestRow
from harness.report.plots.learning_curves import Curves, aside, mean_and_interval, score_axis
from harness.report.plots.pareto_plot import ParetoPlot
from harness.report.report import Report
from harness.report.tables.learning import title_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: A point whose difference to the baseline is not clear.
HOLLOW = "no verdict, or perhaps chance"
SECTION = "Learning"


def learning_plots(report: Report) -> Iterator[Plot]:
    """Everything there is to draw of what was learned."""
    findings, results = report.findings, report.findings.learning
    learned = [one for one in results.learned if any(one.runs.values())]
    for one in learned:
        yield Plot.of(Curves(one, title_of(one)), SECTION, "curves", one.block.name)
    for one in learned:
        if one.block.measures.speed and "train" in one.block.measures.speed.of:
            pareto = ParetoPlot.of(results, one, findings.of(one.block, "train"))
            if len(pareto.points) > 1:
                yield Plot.of(pareto, SECTION, "pareto", one.block.name)
    for scores in score_plots(results, learned):
        yield Plot.of(scores, SECTION, "score", scores.axis, *scores.rest.values())
    for forest in () if findings.plan.factors else forests(results, learned):
        yield Plot.of(forest, SECTION, "comparisons", forest.title.partition(":")[0])


def is_clear(comparison: LearningComparison) -> bool:
    """Whether it has a verdict that stands after correction for all comparisons by its score."""
    return comparison.verdict in DECIDED and Flag.ONE_OF_MANY not in comparison.flags


@dataclass(frozen=True)
class ScorePlot:
    """The scores of blocks that differ in one axis of numbers. `rest` are the levels of the other axes, `places` the
    blocks by their number, smallest first."""

    axis: str
    rest: Mapping[str, str]
    places: Mapping[float, Learned]
    results: LearningResults

    @property
    def first(self) -> Learned:
        """The block with the smallest number."""
        return next(iter(self.places.values()))

    @property
    def title(self) -> str:
        """The context and what is shown of it."""
        metric = in_words(self.first.settings.metric)
        return f"{place_in_words(*self.rest.values())} · learning: {metric} by {self.axis}"

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        return 6.8, sum(self._heights()) + 0.9

    def _heights(self) -> list[float]:
        """The panel of scores, and where a run diverged that of failures."""
        runs = [run for one in self.places.values() for by_seed in one.runs.values() for run in by_seed.values()]
        score = panel_height(max(len(one.block.trials) for one in self.places.values()))
        return [score, 1.5] if any(run.outcome == "diverged" for run in runs) else [score]

    def draw(self, figure: Figure) -> None:
        """A line per level through its means over seeds; below it the share of seeds that diverged, if any did."""
        heights, numbers = self._heights(), list(self.places)
        panels = list(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0])
        settings, score = self.first.settings, self.first.scores[self.first.settings.metric]
        levels = dict.fromkeys(trial.level for one in self.places.values() for trial in one.block.trials)
        log = spaced_by_logs(numbers)
        shown: list[float] = [] if settings.target is None else [settings.target]
        ends: list[tuple[str, float, Style]] = []
        all_clear = True
        for index, (level, style) in enumerate(styles_of(levels).items()):
            line = []
            shift = 0.01 * (index - (len(levels) - 1) / 2)  # so that intervals do not hide each other
            for x, one in self.places.items():
                under = one.seeds_of(level) if level in one.runs else ()
                if not under:
                    continue
                low, high = numbers[0], numbers[-1]
                at = x * (high / low) ** shift if log else x + shift * (high - low)
                mean, interval = mean_and_interval(one.values(level, settings.metric, under), score)
                comparison = self.results.of(one).get(level)
                clear = comparison is None or is_clear(comparison)
                all_clear &= clear
                point(panels[0], at, mean, interval, style, filled=clear)
                shown += [mean, *(interval or ())]
                line.append((at, mean))
                if len(panels) > 1:
                    failed = sum(one.diverged(level, under))
                    bounds = seeds.clopper_pearson(failed, len(under))
                    point(panels[1], at, failed / len(under), bounds, style, filled=True)
            if line:
                panels[0].plot(*zip(*line, strict=True), color=style.colour, linewidth=1.2, linestyle=style.dashes)
                ends.append((textwrap.fill(level, 22), line[-1][1], style))
        number_axis(panels, numbers, log=log, show="{:,.10g}".format)
        for panel in panels:
            bare(panel, "top", "right")
            panel.grid(color="#e4e4e4", linewidth=0.6)
        score_axis(panels[0], settings.metric, score, shown)
        mean_word = "geometric mean" if score.compared == "ratio" else "mean"
        entries = [entry(f"{mean_word} and 95 % t interval over seeds", marker="o")]
        entries += [] if all_clear else [hollow(HOLLOW)]
        if settings.target is not None:
            looks: dict[str, Any] = {"color": DARK, "linewidth": 1, "linestyle": (0, (6, 3))}
            panels[0].axhline(settings.target, zorder=1, **looks)
            entries.append(entry("target", **looks))
        for panel in panels[1:]:
            panel.set_ylim(-0.06, 1.06)
            panel.yaxis.set_major_formatter(per_cent)
            panel.set_ylabel("seeds that\ndiverged")
            aside(panel, "share and 95 % Clopper-Pearson interval")
        label_ends(panels[0], ends, line_height(heights[0]))
        panels[-1].set_xlabel(in_words(self.axis))
        figure.align_ylabels(panels)
        heading(panels[0], self.title)
        legend(figure, entries)


def score_plots(results: LearningResults, learned: Sequence[Learned]) -> Iterator[ScorePlot]:
    """One for each axis of numbers, deciding score and context of the other axes, where at least three of the axis's
    levels have run."""
    by_block = {one.block.id: one for one in learned}
    by_metric = grouped(learned, lambda one: one.settings.metric)
    for axis in axes_of(one.block for one in learned):
        for those in by_metric.values():
            for rest, blocks in along([axis], (one.block for one in those)).items():
                numbers = numbers_of(axis, (block.context.get(axis, "") for block in blocks))
                if numbers is not None and len(set(numbers)) >= FEWEST:
                    places = {
                        x: by_block[b.id] for x, b in sorted(zip(numbers, blocks, strict=True), key=lambda p: p[0])
                    }
                    yield ScorePlot(axis, dict(rest), places, results)


def forests(results: LearningResults, learned: Sequence[Learned]) -> Iterator[Forest]:
    """The comparisons by each deciding score in all contexts, where there are several."""
    for metric, those in grouped(learned, lambda one: one.settings.metric).items():
        first, rows, colours = those[0], list[ForestRow](), dict[str, str]()
        score = first.scores[metric]
        for one in those:
            styles = styles_of(trial.level for trial in one.block.trials)
            for level, c in results.of(one).items():
                if c.size is not None:
                    rows.append(ForestRow.of(c, context_of(one), level, is_clear(c)))
                    colours.setdefault(level, styles[level].colour)
        if len({row.group for row in rows}) < 2:
            continue
        ratio, bound, margin = score.compared == "ratio", first.margin(metric), None
        if bound is not None and ratio:
            margin = margin_in_words(math.expm1(bound)), math.exp(-bound), math.exp(bound)
        elif bound is not None:
            margin = margin_in_words(bound, "point" if bound == 0.01 else "points"), -bound, bound
        baseline, name = first.block.baseline.level, in_words(metric)
        better = f"{'right' if score.better == 'higher' else 'left'} is better"
        unit = f"{name}, ratio to {baseline} ({better})" if ratio else f"{name}, points above {baseline} ({better})"
        title = f"{name}: learning against {baseline} in all contexts"
        yield Forest(title, rows, colours, score.compared, unit, margin, HOLLOW)


def context_of(one: Learned) -> str:
    """A block's context in words; a number gets the name of its axis."""
    given = one.block.context.items()
    return " · ".join(f"{axis} {level}" if level[:1].isdigit() and numbers_of("", [level]) else level
                      for axis, level in given)  # fmt: skip
