"""Speed beside quality: the levels of a block that was both timed and trained."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis.learning import Learned
from harness.analysis.learning_results import LearningResults
from harness.analysis.stats import Array
from harness.analysis.timing import Comparison
from harness.report.plots import figures as fig
from harness.report.plots.learning_curves import mean_and_interval, score_axis


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

    def __init__(self, one: Learned, points: Sequence[ParetoPoint], confidence: float) -> None:
        self.one, self.points, self.confidence = one, points, confidence
        self.title = f"{one.block.name}: speed and quality"

    @classmethod
    def of(cls, results: LearningResults, one: Learned, timed: Mapping[str, Comparison]) -> ParetoPlot:
        """The levels that were timed and have learned."""
        metric, points = one.settings.metric, []
        for trial in one.block.trials:
            comparison, under = timed.get(trial.level), one.seeds_of(trial.level)
            time = 1.0 if trial is one.block.baseline else comparison.size if comparison else None
            if time is None or not under or trial.level in one.broken:
                continue
            score, scores = mean_and_interval(one.values(trial.level, metric, under), one.scores[metric])
            times = comparison.interval if comparison else None
            dominated = (one.block.id, trial.level) in results.dominated
            points.append(ParetoPoint(trial.level, time, times, score, scores, dominated))
        confidence = next((comparison.confidence for comparison in timed.values()), 0.95)
        return cls(one, points, confidence)

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
        styles = fig.styles_of(trial.level for trial in self.one.block.trials)
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
