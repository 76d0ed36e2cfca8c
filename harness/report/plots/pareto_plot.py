"""Speed beside quality: the levels of a block that was both timed and trained."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.learning import Learned
from harness.analysis.learning_results import Lessons
from harness.analysis.stats import Array
from harness.analysis.timing import Comparison
from harness.report.plots.figures import bare, heading, label_points, log_scale, styles_of
from harness.report.plots.learning_curves import middle, score_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Point:
    """A level's step time over the baseline's and its score, with intervals; `dominated` by another level."""

    level: str
    time: float
    times: tuple[float, float] | None
    score: float
    scores: tuple[float, float] | None
    dominated: bool


@dataclass(frozen=True)
class Plane:
    """The levels of a block by speed and quality."""

    one: Learned
    points: Sequence[Point]
    confidence: float
    title: str
    size: tuple[float, float] = (6.4, 4.8)

    @classmethod
    def of(cls, lessons: Lessons, one: Learned, timed: Mapping[str, Comparison]) -> Plane:
        """The levels that were timed and have learned."""
        metric, points = one.settings.metric, []
        for trial in one.block.trials:
            comparison, under = timed.get(trial.level), one.seeds_of(trial.level)
            time = 1.0 if trial is one.block.baseline else comparison.ratio if comparison else None
            if time is None or not under or trial.level in one.broken:
                continue
            score, low, high = middle(one.values(trial.level, metric, under), one.scores[metric])
            times = comparison.interval if comparison else None
            dominated = (one.block.id, trial.level) in lessons.dominated
            scores = None if math.isnan(low) else (low, high)
            points.append(Point(trial.level, time, times, score, scores, dominated))
        confidence = next((comparison.confidence for comparison in timed.values()), 0.95)
        return cls(one, points, confidence, f"{one.block.name}: speed and quality")

    def front(self) -> list[Point]:
        """From the fastest on, each that scores better than all before it."""
        sign = 1 if self.one.scores[self.one.settings.metric].better == "higher" else -1
        found: list[Point] = []
        for point in sorted(self.points, key=lambda p: (p.time, -sign * p.score)):
            if not found or sign * point.score > sign * found[-1].score:
                found.append(point)
        return found

    def draw(self, figure: Figure) -> None:
        """A point a level, the front as a step line, what is dominated hollow."""
        from matplotlib.lines import Line2D

        axes, metric = figure.add_subplot(), self.one.settings.metric
        score = self.one.scores[metric]
        styles = styles_of(trial.level for trial in self.one.block.trials)
        score_axis(axes, metric, score, [y for p in self.points for y in (p.score, *(p.scores or ()))])
        ends = [x for p in self.points for x in (p.time, *(p.times or ()))]
        log_scale(axes, "x", min(ends), max(ends), 0.1)
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
        bare(axes, "top", "right")
        axes.grid(color="#e4e4e4", linewidth=0.6)
        heading(axes, self.title)
        intervals = f"{100 * self.confidence:.3g} % of the ratio"
        if any(p.scores for p in self.points):
            intervals += " and 95 % t of the mean over seeds"
        legend = [
            Line2D([], [], color="#777777", linewidth=1.4, label=f"intervals: {intervals}"),
            Line2D([], [], color="#999999", linewidth=1.2, drawstyle="steps", label="the best there is in the time"),
        ]
        if any(p.dominated for p in self.points):
            label = "dominated: another is no slower, no worse, and clear in one of the two"
            legend.append(
                Line2D([], [], color="#777777", marker="o", markerfacecolor="white", linewidth=0, label=label)
            )
        figure.legend(handles=legend, loc="outside lower center", ncols=1, frameon=False, fontsize=8)
        texts = [(p.time, p.score, textwrap.fill(p.level, 18), styles[p.level].colour) for p in self.points]
        label_points(figure, axes, texts, lines)
