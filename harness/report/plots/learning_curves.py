"""Learning curves: a score against training steps over seeds, with norms of gradients and learning rates."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.analysis import stats
from harness.analysis.learning import Learned, total_steps
from harness.analysis.seed_stats import SMALLEST, as_estimated
from harness.analysis.stats import Array
from harness.plugins.parts import Score
from harness.records.record import Record
from harness.records.settings import Learning
from harness.report.cells import in_words
from harness.report.plots import figures as fig


@dataclass(frozen=True)
class SeedCurve:
    """One training run as it is drawn. `x` are the steps (seconds where time ends runs) of its evaluations, including
    those that it lacks because it diverged; `scores` are what counts at each, `seen` is how many it had, `end` where it
    diverged. `norms` are the median norms of the gradient from each of `x` to the next."""

    x: Array
    scores: Array
    seen: int
    end: float | None
    norms: Array
    rates: Sequence[float]

    @classmethod
    def of(cls, record: Record, metric: str, settings: Learning) -> SeedCurve:
        """After a divergence a run counts with the score of its untrained model, as in the verdict."""
        data, count = record.data, settings.evaluations
        x = np.array(data["elapsed" if settings.seconds else "evaluated"], dtype=float)
        scores, seen, end = np.array(data["scores"][metric], dtype=float), len(x), None
        if record.outcome == "diverged":
            last = settings.seconds or total_steps(record)
            due = sorted({last * i / count if settings.seconds else round(last * i / count) for i in range(count + 1)})
            end = float(x[-1] if settings.seconds else data["steps"])
            x = np.concatenate([x, due[seen:]])
            scores = np.concatenate([scores, [scores[0]] * (len(x) - seen)])
        edges = [*data["evaluated"], *([data["steps"]] if end is not None else [])]
        norms = np.full(max(0, len(x) - 1), np.nan)
        for i, (begin, stop) in enumerate(itertools.pairwise(edges)):
            if there := [norm for norm in data.get("gradient_norm", ())[begin:stop] if norm is not None]:
                norms[i] = np.median(there)
        return cls(x, scores, seen, end, norms, data.get("learning_rate", ()))


Runs = Mapping[str, Sequence[SeedCurve]]
Styles = Mapping[str, fig.Style]


def across(series: Sequence[Array]) -> Array:
    """Series of several lengths as rows, shape (runs, longest), padded with nan."""
    table = np.full((len(series), max(map(len, series), default=0)), np.nan)
    for row, values in zip(table, series, strict=True):
        row[: len(values)] = values
    return table


def mean_and_interval(values: Array, score: Score) -> tuple[float, tuple[float, float] | None]:
    """The mean over seeds and its 95 % t interval, geometric for scores compared by ratio; none below 5 seeds."""
    estimate = stats.estimate(as_estimated(values, score.compared).tolist())
    bounds = estimate.interval() if estimate.k >= stats.MIN_REPLICATES else ()
    mean, *interval = (math.exp(x) if score.compared == "ratio" else x for x in (estimate.mean, *bounds))
    return mean, (interval[0], interval[1]) if interval else None


class Curves(fig.Drawing):
    """The training runs of a block."""

    def __init__(self, one: Learned, title: str, styles: Styles) -> None:
        self.one, self.title, self.styles = one, title, styles
        records = [record for runs in one.runs.values() for record in runs.values()]
        #: What draws each panel below the score's.
        self.lower: list[Any] = []
        self.heights = [fig.panel_height(sum(map(bool, one.runs.values())))]
        if any(norm is not None for record in records for norm in record.data.get("gradient_norm", ())):
            self.lower.append(draw_norms)
            self.heights.append(1.5)
        if any(len(record.data.get("learning_rate", ())) > 1 for record in records):
            self.lower.append(draw_rates)
            self.heights.append(1.0)
        self.size = 7.2, sum(self.heights) + 0.8

    @property
    def runs(self) -> dict[str, list[SeedCurve]]:
        """The curves of each level that has any, the baseline's first."""
        metric, settings = self.one.settings.score, self.one.settings
        return {
            level: [SeedCurve.of(run, metric, settings) for run in self.one.records(level)]
            for level, runs in self.one.runs.items()
            if runs
        }

    def draw(self, figure: fig.Figure) -> None:
        """The score on top, gradients and learning rates below."""
        from matplotlib.patches import Patch

        runs, styles = self.runs, self.styles
        panels = fig.panels(figure, self.heights)
        self._draw_scores(panels[0], runs, styles)
        for panel, draw in zip(panels[1:], self.lower, strict=True):
            draw(panel, runs, styles)
        fig.heading(panels[0], self.title)
        panels[-1].set_xlabel("seconds of training" if self.one.settings.seconds else "training steps")
        panels[-1].xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        figure.align_ylabels(panels)
        counts = [len(each) for each in runs.values()]
        many = max(counts) >= stats.MIN_REPLICATES
        number = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        mean = "geometric mean" if self.one.scores[self.one.settings.score].compared == "ratio" else "mean"
        entries = [fig.entry(f"{mean} of {number} seed{'s' if max(counts) > 1 else ''}", linewidth=2)]
        if many:
            entries.append(Patch(color=fig.GREY, alpha=0.25, linewidth=0, label="95 % t interval of the mean"))
        if max(counts) > 1:
            entries.append(fig.entry("a seed", alpha=0.4, linewidth=0.7))
        if any(run.end is not None for each in runs.values() for run in each):
            label = "a seed diverged; it counts as untrained from there"
            entries.append(fig.entry(label, marker="x", linewidth=0, markeredgewidth=1.6))
        fig.legend(figure, entries)

    def _draw_scores(self, axes: fig.Axes, runs: Runs, styles: Styles) -> None:
        score, target = self.one.scores[self.one.settings.score], self.one.settings.target
        ends: list[tuple[str, float, fig.Style]] = []
        shown: list[float] = [] if target is None else [target]
        for level, each in runs.items():
            style = styles[level]
            table, x = across([run.scores for run in each]), np.nanmean(across([run.x for run in each]), axis=0)
            found = [mean_and_interval(column[~np.isnan(column)], score) for column in table.T]
            means = [mean for mean, _ in found]
            if len(each) >= stats.MIN_REPLICATES:
                bands = np.array([bounds or (np.nan, np.nan) for _, bounds in found])
                axes.fill_between(x, bands[:, 0], bands[:, 1], color=style.colour, alpha=0.18, linewidth=0)
            for run in each if len(each) > 1 else ():
                seen = run.x[: run.seen], run.scores[: run.seen]
                axes.plot(*seen, color=style.colour, alpha=0.3, linewidth=0.6, linestyle=style.dashes)
                shown += seen[1].tolist()
            axes.plot(x, means, color=style.colour, linewidth=2, linestyle=style.dashes, zorder=3)
            shown += means
            gone = [run for run in each if run.end is not None]
            for run in gone:
                end, last = run.end, run.scores[run.seen - 1]
                axes.plot([run.x[run.seen - 1], end], [last, last], color=style.colour, alpha=0.3, linewidth=0.6)
                axes.plot(end, last, "x", color=style.colour, markersize=6, markeredgewidth=1.6, zorder=4)
            text = textwrap.fill(level, 22) + (f"\n{len(gone)} of {len(each)} diverged" if gone else "")
            ends.append((text, means[-1], style))
        axes.set_xlim(0, max(run.x[-1] for each in runs.values() for run in each))
        score_axis(axes, self.one.settings.score, score, shown)
        if target is not None:
            axes.axhline(target, color=fig.DARK, linewidth=1, linestyle=(0, (6, 3)), zorder=1)
            axes.annotate(
                "target", (0, target), (3, 2), xycoords=("axes fraction", "data"), textcoords="offset points",
                fontsize=8, color=fig.DARK,
            )  # fmt: skip
        fig.label_ends(axes, ends, fig.line_height(self.heights[0]))


def score_axis(axes: fig.Axes, metric: str, score: Score, shown: Sequence[float]) -> None:
    """The axis of a score, wide enough for what is shown: shares in per cent, ratios logarithmic."""
    low, high = min(shown), max(shown)
    if score.compared == "ratio":
        fig.log_scale(axes, "y", max(low, SMALLEST), max(high, SMALLEST))
    else:
        space = 0.05 * (high - low) or 0.01
        axes.set_ylim(low - space, high + space)
        if score.compared == "difference":
            axes.yaxis.set_major_formatter(fig.per_cent)
    axes.set_ylabel(f"{in_words(metric)} ({score.better} is better)")


def aside(axes: fig.Axes, text: str) -> None:
    """A remark above the right end of the axes."""
    axes.annotate(
        text, (1, 1), (-2, 2), xycoords="axes fraction", textcoords="offset points", ha="right", va="bottom",
        fontsize=7.5, color=fig.GREY,
    )  # fmt: skip


def draw_norms(axes: fig.Axes, runs: Runs, styles: Styles) -> None:
    """The gradient's norm in each interval between evaluations: the median over seeds, and the middle half of them."""
    shown: list[float] = []
    for level, each in runs.items():
        table = np.maximum(across([run.norms for run in each]), SMALLEST)
        edges = np.nanmean(across([run.x for run in each]), axis=0)
        there = np.isfinite(table).any(axis=0)
        if not there.any():
            continue
        x, style = ((edges[1:] + edges[:-1]) / 2)[there], styles[level]
        low, half, high = np.nanpercentile(table[:, there], (25, 50, 75), axis=0)
        axes.fill_between(x, low, high, color=style.colour, alpha=0.18, linewidth=0)
        axes.plot(x, half, color=style.colour, linewidth=1.4, linestyle=style.dashes)
        shown += [*low, *high]
    fig.log_scale(axes, "y", min(shown), max(shown))
    axes.set_ylabel("gradient norm\n(before clipping)")
    aside(axes, "median and middle half of seeds")


def draw_rates(axes: fig.Axes, runs: Runs, styles: Styles) -> None:
    """The learning rate of each level, of its longest run; grey where several levels have the same."""
    longest = {level: max(each, key=lambda run: len(run.rates)) for level, each in runs.items()}
    longest = {level: run for level, run in longest.items() if len(run.rates)}
    peaks = [max(run.rates) for run in longest.values()]
    for level, run in longest.items():
        alike = [other for other, its in longest.items() if its.rates == run.rates]
        if level != alike[0]:
            continue
        last, style = run.end or run.x[-1], styles[level]
        x = np.linspace(0, last, len(run.rates)) if len(run.rates) > 1 else [0, last]
        y = run.rates if len(run.rates) > 1 else [*run.rates, *run.rates]
        colour, dashes = (style.colour, style.dashes) if len(alike) == 1 else (fig.GREY, "-")
        axes.plot(x, y, color=colour, linewidth=1.4, linestyle=dashes)
    if min(peaks) > 0 and max(peaks) > 10 * min(peaks):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    else:
        axes.set_ylim(0, None)
    axes.set_ylabel("learning\nrate")
