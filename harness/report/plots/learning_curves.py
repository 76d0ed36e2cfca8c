"""Learning curves: a score against training steps over seeds, and what the gradients and the learning rate did."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis import stats
from harness.analysis.learning import Learned, total_steps
from harness.analysis.seed_stats import SMALLEST, as_estimated
from harness.analysis.stats import Array
from harness.plugins.parts import Score
from harness.records.record import Record
from harness.records.settings import Learning
from harness.report.plots.figures import Style, bare, heading, label_ends, log_scale, per_cent, styles_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def panel_height(levels: int) -> float:
    """Inches for a panel whose lines are labelled at their ends."""
    return max(3.6, 0.3 * levels)


def line_height(panel: float) -> float:
    """A line of text as a share of a panel of so many inches, of which some go to what stands around the axes."""
    return 0.17 / (panel - 0.4)


@dataclass(frozen=True)
class Run:
    """One run as it is drawn. `x` are the steps (or, where time ended the runs, seconds) of its evaluations, also of
    those that it would have had, had it not diverged; `scores` are what counts at each of them; `seen` is how many it
    had; `end` is where it diverged. `norms` are the median norms of the gradient from each of `x` to the next."""

    x: Array
    scores: Array
    seen: int
    end: float | None
    norms: Array
    rates: Sequence[float]

    @classmethod
    def of(cls, record: Record, metric: str, settings: Learning) -> Run:
        """A run that diverged counts from then on with the score of its untrained model, as in the verdict."""
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


def across(series: Sequence[Array]) -> Array:
    """Series of several lengths as rows, shape (runs, longest), nan where one has ended."""
    table = np.full((len(series), max(map(len, series), default=0)), np.nan)
    for row, values in zip(table, series, strict=True):
        row[: len(values)] = values
    return table


def middle(values: Array, score: Score) -> tuple[float, float, float]:
    """The mean over seeds and its 95 % t interval, of what is compared by ratio the geometric ones; the interval is nan
    below five seeds, where each seed says more."""
    ratio = score.compared == "ratio"
    estimate = stats.estimate(as_estimated(values, score.compared).tolist())
    low, high = estimate.interval() if estimate.k >= stats.LEAST else (np.nan, np.nan)
    found = (estimate.mean, low, high)
    return tuple(map(float, np.exp(found) if ratio else found))  # type: ignore[return-value]


@dataclass(frozen=True)
class Curves:
    """The runs of a block by level, the baseline's first."""

    one: Learned
    title: str

    @property
    def runs(self) -> dict[str, list[Run]]:
        """Those of the levels that have any."""
        metric, settings = self.one.settings.score, self.one.settings
        return {
            level: [Run.of(runs[seed], metric, settings) for seed in self.one.seeds_of(level)]
            for level, runs in self.one.runs.items()
            if runs
        }

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        return 7.2, self._height() + 0.8 + sum(height for _, height in self._lower())

    def _height(self) -> float:
        return panel_height(sum(map(bool, self.one.runs.values())))

    def _lower(self) -> list[tuple[Any, float]]:
        """What draws each panel below the score's, and its height in inches."""
        records = [record for runs in self.one.runs.values() for record in runs.values()]
        found: list[tuple[Any, float]] = []
        if any(norm is not None for record in records for norm in record.data.get("gradient_norm", ())):
            found.append((draw_norms, 1.5))
        if any(len(record.data.get("learning_rate", ())) > 1 for record in records):
            found.append((draw_rates, 1.0))
        return found

    def draw(self, figure: Figure) -> None:
        """The score on top, gradients and learning rates below."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        runs, styles = self.runs, styles_of(trial.level for trial in self.one.block.trials)
        lower = self._lower()
        heights = [self._height(), *(height for _, height in lower)]
        panels = list(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0])
        self._draw_scores(panels[0], runs, styles)
        for panel, (draw, _) in zip(panels[1:], lower, strict=True):
            draw(panel, runs, styles)
        for panel in panels:
            bare(panel, "top", "right")
            panel.grid(color="#e4e4e4", linewidth=0.6)
        heading(panels[0], self.title)
        panels[-1].set_xlabel("seconds of training" if self.one.settings.seconds else "training steps")
        panels[-1].xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        figure.align_ylabels(panels)
        grey, counts = "#777777", [len(each) for each in runs.values()]
        many = max(counts) >= stats.LEAST
        number = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        mean = "geometric mean" if self.one.scores[self.one.settings.score].compared == "ratio" else "mean"
        legend: list[Any] = [
            Line2D([], [], color=grey, linewidth=2, label=f"{mean} of {number} seed{'s' if max(counts) > 1 else ''}")
        ]
        if many:
            legend.append(Patch(color=grey, alpha=0.25, linewidth=0, label="95 % t interval of the mean"))
        if max(counts) > 1:
            legend.append(Line2D([], [], color=grey, alpha=0.4, linewidth=0.7, label="a seed"))
        if any(run.end is not None for each in runs.values() for run in each):
            label = "a seed diverged; it counts as untrained from there"
            legend.append(Line2D([], [], color=grey, marker="x", linewidth=0, markeredgewidth=1.6, label=label))
        figure.legend(handles=legend, loc="outside lower center", ncols=2, frameon=False, fontsize=8)

    def _draw_scores(self, axes: Any, runs: Mapping[str, Sequence[Run]], styles: Mapping[str, Style]) -> None:
        score, target = self.one.scores[self.one.settings.score], self.one.settings.target
        ends: list[tuple[str, float, Style]] = []
        shown: list[float] = [] if target is None else [target]
        for level, each in runs.items():
            style = styles[level]
            table, x = across([run.scores for run in each]), np.nanmean(across([run.x for run in each]), axis=0)
            bands = np.array([middle(column[~np.isnan(column)], score) for column in table.T])
            if len(each) >= stats.LEAST:
                axes.fill_between(x, bands[:, 1], bands[:, 2], color=style.colour, alpha=0.18, linewidth=0)
            for run in each if len(each) > 1 else ():
                seen = run.x[: run.seen], run.scores[: run.seen]
                axes.plot(*seen, color=style.colour, alpha=0.3, linewidth=0.6, linestyle=style.dashes)
                shown += seen[1].tolist()
            axes.plot(x, bands[:, 0], color=style.colour, linewidth=2, linestyle=style.dashes, zorder=3)
            shown += bands[:, 0].tolist()
            gone = [run for run in each if run.end is not None]
            for run in gone:
                end, last = run.end, run.scores[run.seen - 1]
                axes.plot([run.x[run.seen - 1], end], [last, last], color=style.colour, alpha=0.3, linewidth=0.6)
                axes.plot(end, last, "x", color=style.colour, markersize=6, markeredgewidth=1.6, zorder=4)
            text = textwrap.fill(level, 22) + (f"\n{len(gone)} of {len(each)} diverged" if gone else "")
            ends.append((text, bands[-1, 0], style))
        axes.set_xlim(0, max(run.x[-1] for each in runs.values() for run in each))
        score_axis(axes, self.one.settings.score, score, shown)
        if target is not None:
            axes.axhline(target, color="#444444", linewidth=1, linestyle=(0, (6, 3)), zorder=1)
            axes.annotate(
                "target", (0, target), (3, 2), xycoords=("axes fraction", "data"), textcoords="offset points",
                fontsize=8, color="#444444",
            )  # fmt: skip
        label_ends(axes, ends, line_height(self._height()))


def score_axis(axes: Any, metric: str, score: Score, shown: Sequence[float]) -> None:
    """The axis of a score, wide enough for what is shown: shares in per cent, amounts by their logs."""
    low, high = min(shown), max(shown)
    if score.compared == "ratio":
        log_scale(axes, "y", max(low, SMALLEST), max(high, SMALLEST))
    else:
        space = 0.05 * (high - low) or 0.01
        axes.set_ylim(low - space, high + space)
        axes.yaxis.set_major_formatter(per_cent)
    axes.set_ylabel(f"{metric.replace('_', ' ')} ({score.better} is better)")


def aside(axes: Any, text: str) -> None:
    """A remark above the right end of the axes."""
    axes.annotate(
        text, (1, 1), (-2, 2), xycoords="axes fraction", textcoords="offset points", ha="right", va="bottom",
        fontsize=7.5, color="#777777",
    )  # fmt: skip


def draw_norms(axes: Any, runs: Mapping[str, Sequence[Run]], styles: Mapping[str, Style]) -> None:
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
    log_scale(axes, "y", min(shown), max(shown))
    axes.set_ylabel("gradient norm\n(before clipping)")
    aside(axes, "median and middle half of seeds")


def draw_rates(axes: Any, runs: Mapping[str, Sequence[Run]], styles: Mapping[str, Style]) -> None:
    """The learning rate of each level, by the run that had the most steps; grey where several have the same."""
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
        colour, dashes = (style.colour, style.dashes) if len(alike) == 1 else ("#777777", "-")
        axes.plot(x, y, color=colour, linewidth=1.4, linestyle=dashes)
    if min(peaks) > 0 and max(peaks) > 10 * min(peaks):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    else:
        axes.set_ylim(0, None)
    axes.set_ylabel("learning\nrate")
