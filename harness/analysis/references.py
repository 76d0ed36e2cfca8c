"""Whether anything was learned: scores after training against those of the untrained model and of a constant answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness.analysis import seed_stats, stats
from harness.analysis.stats import Array
from harness.plugins.parts import Score
from harness.plugins.scores import TARGETED
from harness.records.record import Record
from harness.records.settings import Learning


def score_behind(metric: str, settings: Learning) -> str:
    """The score that a metric is computed from; empty for the share of diverged runs."""
    if metric in TARGETED:
        return settings.score
    if metric == "diverged":
        return ""
    return metric if metric in settings.scores else metric.removeprefix("mean_")


def final_score(run: Record, score: str) -> float:
    """The last score of a run; that of the untrained model if the run diverged."""
    series = run.data["scores"][score]
    return float(series[0] if run.outcome == "diverged" else series[-1])


def untrained(runs: Sequence[Record], score: str) -> Array:
    """The score of each run before its first step, shape (runs,)."""
    return np.array([run.data["scores"][score][0] for run in runs])


def constant(runs: Mapping[int, Record], score: str) -> dict[int, float]:
    """The score of a constant answer by seed, from the runs of the baseline; empty if it is not known."""
    known = {seed: run.data.get("constant", {}) for seed, run in runs.items()}
    return {seed: float(scores[score]) for seed, scores in known.items() if score in scores}


def learned_something(runs: Mapping[int, Record], score: str, kind: Score, constants: Mapping[int, float]) -> bool:
    """Whether the runs of a level, by seed, are better than its untrained model, and than the constant answer where
    that is known: each 95 % interval over seeds excludes no difference."""
    if not beats([final_score(run, score) for run in runs.values()], untrained([*runs.values()], score), kind):
        return False
    seeds = [seed for seed in runs if seed in constants]
    return not constants or beats(
        [final_score(runs[seed], score) for seed in seeds], [constants[seed] for seed in seeds], kind
    )


def beats(values: Sequence[float], references: Sequence[float] | Array, kind: Score) -> bool:
    """Whether the interval of the paired differences lies on the better side of zero; not with too few of them."""
    if len(values) < stats.MIN_REPLICATES:
        return False
    gains = seed_stats.differences(np.array(references), np.array(values), kind.compared)
    estimate = stats.estimate((gains if kind.better == "higher" else -gains).tolist())
    return estimate.interval()[0] > 0
