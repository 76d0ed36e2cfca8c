"""What was learned as plots: curves, speed beside quality, scores along an axis of numbers, comparisons in many
contexts."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.analysis import seed_stats
from harness.analysis.claim_words import place_of
from harness.analysis.grouping import FEWEST, along, axes_of, grouped, numbers_of, spaced_by_logs
from harness.analysis.learning import Learned, LearningComparison, LearningResults
from harness.analysis.stats import Array
from harness.analysis.timing import Comparison
from harness.analysis.verdicts import DECIDED, Flag
from harness.report.answer import leading_claim
from harness.report.cells import in_words, place_in_words
from harness.report.plots import figures as fig
from harness.report.plots.figures import Plot
from harness.report.plots.forest import Forest, ForestRow
from harness.report.plots.learning_curves import Curves, aside, mean_and_interval, score_axis
from harness.report.report import Report
from harness.report.tables.learning import title_of

#: A point whose difference to the baseline is not clear.
HOLLOW = "no verdict, or perhaps chance"
SECTION = "Learning"


def learning_plots(report: Report) -> Iterator[Plot]:
    """Everything there is to draw of what was learned."""
    findings, results = report.findings, report.findings.learning
    styles = fig.styles_in(findings.plan)
    learned = [one for one in results.learned if any(one.runs.values())]
    for one in learned:
        if one.settings.of_programs:  # which are not evaluated before their end
            continue
        yield Plot.of(Curves(one, title_of(one), styles), SECTION, "curves", one.block.name)
    for one in learned:
        if "train" in one.block.measures.timed_modes:
            pareto = ParetoPlot.of(results, one, findings.of(one.block, "train"), styles)
            if len(pareto.points) > 1:
                yield Plot.of(pareto, SECTION, "pareto", one.block.name)
    for scores in score_plots(results, learned, styles):
        yield Plot.of(scores, SECTION, "score", scores.axis, *scores.rest.values())
    leading = leading_claim(findings)
    asked = leading.claim.metric if leading else ""
    for forest in () if findings.plan.factors else forests(results, learned, styles, asked):
        yield Plot.of(forest, SECTION, "comparisons", forest.title.partition(":")[0])


def is_clear(comparison: LearningComparison) -> bool:
    """Whether it has a verdict that stands after correction for all comparisons by its score."""
    return comparison.verdict in DECIDED and Flag.ONE_OF_MANY not in comparison.flags


class ScorePlot(fig.Drawing):
    """The scores of blocks that differ in one axis of numbers. `rest` are the levels of the other axes, `places` the
    blocks by their number, smallest first."""

    def __init__(
        self, axis: str, rest: Mapping[str, str], places: Mapping[float, Learned], results: LearningResults,
        styles: Mapping[str, fig.Style],
    ) -> None:  # fmt: skip
        self.axis, self.rest, self.places, self.results, self.styles = axis, rest, places, results, styles
        self.first = next(iter(places.values()))
        self.title = f"{place_in_words(*rest.values())} · learning: {in_words(self.first.settings.metric)} by {axis}"
        runs = [run for one in places.values() for by_seed in one.runs.values() for run in by_seed.values()]
        #: Of the panel of scores, and where a run diverged that of failures.
        self.heights = [fig.panel_height(max(len(one.block.trials) for one in places.values()))]
        self.heights += [1.5] if any(run.outcome == "diverged" for run in runs) else []
        self.size = 6.8, sum(self.heights) + 0.9

    def draw(self, figure: fig.Figure) -> None:
        """A line per level through its means over seeds; below it the share of seeds that diverged, if any did."""
        panels, numbers = fig.panels(figure, self.heights), list(self.places)
        settings, score = self.first.settings, self.first.scores[self.first.settings.metric]
        levels = dict.fromkeys(trial.level for one in self.places.values() for trial in one.block.trials)
        log = spaced_by_logs(numbers)
        shown: list[float] = [] if settings.target is None else [settings.target]
        ends: list[tuple[str, float, fig.Style]] = []
        all_clear = True
        for index, level in enumerate(levels):
            rows, failures, style = [], [], self.styles[level]
            shift = 0.01 * (index - (len(levels) - 1) / 2)  # so that intervals do not hide each other
            for x, one in self.places.items():
                diverged = one.diverged(level) if level in one.runs else []
                if not diverged:
                    continue
                low, high = numbers[0], numbers[-1]
                at = x * (high / low) ** shift if log else x + shift * (high - low)
                mean, interval = mean_and_interval(one.values(level, settings.metric), score)
                comparison = self.results.of(one).get(level)
                rows.append((at, mean, *(interval or (mean, mean)), comparison is None or is_clear(comparison)))
                failed, of = sum(diverged), len(diverged)
                failures.append((failed / of, *seed_stats.clopper_pearson(failed, of)))
            if rows:
                places, means, lows, highs, clear = (np.array(column) for column in zip(*rows, strict=True))
                fig.points(panels[0], places, means, lows, highs, style, clear)
                panels[0].plot(places, means, color=style.colour, linewidth=1.2, linestyle=style.dashes)
                all_clear &= bool(clear.all())
                shown += [*lows, *highs]
                ends.append((textwrap.fill(level, 22), float(means[-1]), style))
                for panel in panels[1:]:
                    shares, lows, highs = np.array(failures).T
                    fig.points(panel, places, shares, lows, highs, style, np.ones(len(places), dtype=bool))
        fig.number_axis(panels, numbers, log=log, show="{:,.10g}".format)
        score_axis(panels[0], settings.metric, score, shown)
        mean_word = "geometric mean" if score.compared == "ratio" else "mean"
        entries = [fig.entry(f"{mean_word} and 95 % t interval over seeds", marker="o")]
        entries += [] if all_clear else [fig.hollow(HOLLOW)]
        if settings.target is not None:
            looks: dict[str, Any] = {"color": fig.DARK, "linewidth": 1, "linestyle": (0, (6, 3))}
            panels[0].axhline(settings.target, zorder=1, **looks)
            entries.append(fig.entry("target", **looks))
        for panel in panels[1:]:
            panel.set_ylim(-0.06, 1.06)
            panel.yaxis.set_major_formatter(fig.per_cent)
            panel.set_ylabel("seeds that\ndiverged")
            aside(panel, "share and 95 % Clopper-Pearson interval")
        fig.label_ends(panels[0], ends, fig.line_height(self.heights[0]))
        panels[-1].set_xlabel(in_words(self.axis))
        figure.align_ylabels(panels)
        fig.heading(panels[0], self.title)
        fig.legend(figure, entries)


def score_plots(
    results: LearningResults, learned: Sequence[Learned], styles: Mapping[str, fig.Style]
) -> Iterator[ScorePlot]:
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
                    yield ScorePlot(axis, dict(rest), places, results, styles)


def forests(
    results: LearningResults, learned: Sequence[Learned], styles: Mapping[str, fig.Style], asked: str = ""
) -> Iterator[Forest]:
    """The comparisons in all contexts by the score that is asked about, and by each score that decides."""
    scored = {asked: [one for one in learned if asked in one.scores]}
    scored |= grouped(learned, lambda one: one.settings.metric)
    for metric, those in scored.items():
        if not those:
            continue
        first, score = those[0], those[0].scores[metric]
        rows = [
            ForestRow.of(c, place_of(c), level, styles[level], is_clear(c))
            for one in those
            for level, c in results.of(one, metric).items()
            if c.size is not None
        ]
        if not rows:
            continue
        ratio, bound, margin = score.compared == "ratio", first.margin(metric), None
        if bound is not None:
            margin = fig.margin_range(math.expm1(bound) if ratio else bound, score.compared)
        baseline, name = first.block.baseline.level, in_words(metric)
        better = f"{'right' if score.better == 'higher' else 'left'} is better"
        words = {"ratio": "ratio to", "difference": "points above", "number": "difference to"}[score.compared]
        unit = f"{name}, {words} {baseline} ({better})"
        levels = {row.name for row in rows}
        of = f" of {rows[0].name}" if len(levels) == 1 else ""
        title = f"{name}: learning{of} against {baseline}"
        yield Forest(title, rows, score.compared, unit, baseline, margin, HOLLOW)


@dataclass(frozen=True)
class ParetoPoint:
    """A level's step time over the baseline's and its score, with intervals; `dominated` by another level."""

    level: str
    time: float
    times: tuple[float, float] | None
    score: float
    scores: tuple[float, float] | None
    dominated: bool


class ParetoPlot(fig.Drawing):
    """The levels of a block by speed and quality."""

    size = 6.4, 4.8

    def __init__(
        self, one: Learned, points: Sequence[ParetoPoint], confidence: float, styles: Mapping[str, fig.Style]
    ) -> None:
        self.one, self.points, self.confidence, self.styles = one, points, confidence, styles
        self.title = f"{one.block.name}: speed and quality"

    @classmethod
    def of(
        cls, results: LearningResults, one: Learned, timed: Mapping[str, Comparison], styles: Mapping[str, fig.Style]
    ) -> ParetoPlot:
        """The levels that were timed and have learned."""
        metric, points = one.settings.metric, []
        for trial in one.block.trials:
            comparison, values = timed.get(trial.level), one.values(trial.level, metric)
            time = 1.0 if trial is one.block.baseline else comparison.size if comparison else None
            if time is None or not len(values) or trial.level in one.broken:
                continue
            score, scores = mean_and_interval(values, one.scores[metric])
            times = comparison.interval if comparison else None
            dominated = (one.block.id, trial.level) in results.dominated
            points.append(ParetoPoint(trial.level, time, times, score, scores, dominated))
        confidence = next((comparison.confidence for comparison in timed.values()), 0.95)
        return cls(one, points, confidence, styles)

    def front(self) -> list[ParetoPoint]:
        """From the fastest on, each point that scores better than all before it."""
        sign = 1 if self.one.scores[self.one.settings.metric].better == "higher" else -1
        found: list[ParetoPoint] = []
        for point in sorted(self.points, key=lambda p: (p.time, -sign * p.score)):
            if not found or sign * point.score > sign * found[-1].score:
                found.append(point)
        return found

    def draw(self, figure: fig.Figure) -> None:
        """A point per level, the Pareto front as a step line; dominated points are hollow."""
        (axes,), metric = fig.panels(figure), self.one.settings.metric
        score = self.one.scores[metric]
        styles = self.styles
        score_axis(axes, metric, score, [y for p in self.points for y in (p.score, *(p.scores or ()))])
        ends = [x for p in self.points for x in (p.time, *(p.times or ()))]
        fig.log_scale(axes, "x", min(ends), max(ends), 0.1)
        bad, front = axes.get_ylim()[0 if score.better == "higher" else 1], self.front()
        x = [front[0].time, *(p.time for p in front), axes.get_xlim()[1]]
        y = [bad, *(p.score for p in front), front[-1].score]
        axes.fill_between(x[1:], y[1:], bad, step="post", color="#f5f5f5", linewidth=0, zorder=0)
        axes.step(x, y, where="post", color="#999999", linewidth=1.2, zorder=1)
        corners = np.column_stack([np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]])
        lines: list[Array] = [corners[i : i + 2] for i in range(len(corners) - 1)]
        for p in self.points:
            style = styles[p.level]
            for ends_x, ends_y in ((p.times or (), (p.score,) * 2), ((p.time,) * 2, p.scores or ())):
                if len(ends_x) == len(ends_y) == 2:
                    axes.plot(ends_x, ends_y, color=style.colour, linewidth=1.4, solid_capstyle="butt", zorder=2)
                    lines.append(np.column_stack([ends_x, ends_y]))
            axes.plot(
                p.time, p.score, style.marker, color=style.colour, markersize=7, markeredgewidth=1.5, zorder=3,
                markerfacecolor="white" if p.dominated else style.colour,
            )  # fmt: skip
        axes.set_xlabel(f"time of a training step over that of {self.one.block.baseline.level} (left is faster)")
        fig.heading(axes, self.title)
        intervals = f"{100 * self.confidence:.3g} % of the ratio"
        if any(p.scores for p in self.points):
            intervals += " and 95 % t of the mean over seeds"
        entries = [
            fig.entry(f"intervals: {intervals}", linewidth=1.4),
            fig.entry("Pareto front", color="#999999", linewidth=1.2, drawstyle="steps"),
        ]
        if any(p.dominated for p in self.points):
            label = "dominated: another level is no slower, no worse, and clearly better in one of the two"
            entries.append(fig.entry(label, marker="o", markerfacecolor="white", linewidth=0))
        fig.legend(figure, entries, 1)
        texts = [(p.time, p.score, textwrap.fill(p.level, 18), styles[p.level].colour) for p in self.points]
        fig.label_points(figure, axes, texts, lines)
