"""Two runs compared by scores over seeds, and by exact amounts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.analysis import seed_stats, stats
from harness.analysis.finding import failure_in_words
from harness.analysis.learning import Learned, RateDifference
from harness.analysis.quantities import QuantityFinding, exact_verdict
from harness.analysis.stats import Estimate
from harness.analysis.verdicts import Flag, Verdict
from harness.records.plan import LEARNING
from harness.tools.comparison.pairs import ContextPair, MetricChange, RunData


def scores_of(a: RunData, b: RunData, pair: ContextPair, metrics: Sequence[str]) -> list[MetricChange]:
    """Scores of every level including the baseline, by `metrics`, or by those that decide in either run. No baseline is
    needed, since training with the same seed gives the same result."""
    first, second = (
        next((one for one in run.findings.learning.learned if one.block.id == block.id), None)
        for run, block in ((a, pair.a), (b, pair.b))
    )
    if first is None or second is None:
        return []
    wanted = metrics or dict.fromkeys((first.settings.metric, second.settings.metric))
    names = [name for name in wanted if name in first.scores and name in second.scores]
    return [score_of(first, second, pair, level, name) for name in names for level in pair.levels]


def score_of(a: Learned, b: Learned, pair: ContextPair, level: str, metric: str) -> MetricChange:
    """One level's score in both runs. Common seeds are pairs; with too few of them the runs are two samples."""
    score = b.scores[metric]
    change = MetricChange(
        kind="scores", block=pair.b, level=level, mode=LEARNING, metric=metric, scale=score.compared
    )  # fmt: skip
    if alone := pair.only_in_one(change):
        return alone
    trained = [one.seeds_of(level) for one in (a, b)]
    for name, one, with_seeds in zip("AB", (a, b), trained, strict=True):
        if level in one.broken:
            return replace(change, reason=f"in {name}: {failure_in_words(one.broken[level])}")
        if not with_seeds:
            return replace(change, reason=f"in {name}: not trained")
    common = tuple(seed for seed in trained[0] if seed in trained[1])
    paired = len(common) >= stats.MIN_REPLICATES or set(trained[0]) == set(trained[1])
    used = [common, common] if paired else trained
    ours, theirs = a.values(level, metric, used[0]), b.values(level, metric, used[1])
    change = replace(change, a=seed_stats.average(ours, score.compared), b=seed_stats.average(theirs, score.compared))
    if reason := why_not(a, b, pair, level):
        return replace(change, verdict=Verdict.NOT_COMPARABLE, reason=reason)
    flags = {
        Flag.OTHER_MACHINE: pair.of_two_machines(level, "scores"),
        Flag.EXTENDED: a.settings.extended or b.settings.extended,
        Flag.OTHER_SEEDS: not paired,
    }
    change = replace(change, flags=tuple(flag for flag, applies in flags.items() if applies))
    if paired and np.array_equal(ours, theirs):
        return replace(change, verdict=Verdict.SAME, reason=f"to the last digit, {len(common)} seeds")
    estimate = estimated(ours, theirs, metric, score.compared, paired)
    margins = [margin for one in (a, b) if (margin := one.margin(metric)) is not None]
    verdict, reason = seed_stats.decide_seeds(estimate, min(margins) if len(margins) == 2 else None, score.better)
    return replace(change, estimate=estimate, verdict=verdict, reason=reason)


def estimated(a: stats.Array, b: stats.Array, metric: str, scale: seed_stats.Scale, paired: bool) -> Estimate:
    """B minus A over seeds: of pairs, or of two samples (Welch). Both are (seeds,)."""
    if not paired:
        first, second = (stats.estimate(seed_stats.as_estimated(values, scale).tolist()) for values in (a, b))
        return stats.welch(first, second)
    if metric in ("diverged", "reached"):
        return RateDifference.of((a > 0.5).tolist(), (b > 0.5).tolist())
    return stats.estimate(seed_stats.differences(a, b, scale).tolist())


def why_not(a: Learned, b: Learned, pair: ContextPair, level: str) -> str:
    """Why a level's scores cannot be compared; empty if they can."""
    if reason := pair.why_not(level, "scores"):
        return reason
    if (a.settings.seconds or b.settings.seconds) and (reason := pair.why_not(level, "times")):
        return f"training ends after a time, so the score depends on the machine: {reason}"
    return ""


def amounts_of(a: RunData, b: RunData, pair: ContextPair, metrics: Sequence[str]) -> list[MetricChange]:
    """Every exact amount of every level in both runs."""
    found = []
    for mode in dict.fromkeys((*pair.a.measures.modes, *pair.b.measures.modes)):
        ours, theirs = (
            {(q.level, q.metric): q for q in run.findings.quantities_of(block, mode) if q.quantity.judged == "exact"}
            for run, block in ((a, pair.a), (b, pair.b))
        )
        for level, name in dict.fromkeys((*ours, *theirs)):
            if level in pair.levels and (not metrics or name in metrics):
                found.append(amount_of(pair, ours.get((level, name)), theirs.get((level, name))))
    return found


def amount_of(pair: ContextPair, a: QuantityFinding | None, b: QuantityFinding | None) -> MetricChange:
    """One exact amount in both runs."""
    known = b or a
    assert known is not None
    first, second = (None if one is None else float(one.value) for one in (a, b))
    change = MetricChange(
        kind="amounts", block=pair.b, level=known.level, mode=known.mode, metric=known.metric, a=first, b=second,
        quantity=known.quantity,
    )  # fmt: skip
    if first is None or second is None:
        return change.only_in("A" if second is None else "B")
    if reason := pair.why_not(known.level, "amounts"):
        return replace(change, verdict=Verdict.NOT_COMPARABLE, reason=reason)
    estimate = Estimate(math.log(second / first), 0.0, math.inf, 1) if first > 0 and second > 0 else None
    return replace(change, verdict=exact_verdict(second, first), estimate=estimate)
