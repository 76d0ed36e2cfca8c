"""Two runs compared by scores over seeds, by exact amounts, and by answers to claims."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.analysis import seed_stats as seeds
from harness.analysis import stats
from harness.analysis.claims import ClaimResult
from harness.analysis.finding import failure_in_words
from harness.analysis.learning import Learned, RateDifference
from harness.analysis.quantities import QuantityFinding, exact_verdict
from harness.analysis.stats import Estimate
from harness.analysis.verdicts import Flag, Verdict
from harness.records.plan import LEARNING, Claim
from harness.tools.across.comparability import Kind
from harness.tools.across.pairs import Change, Pair, Side


def scores_of(a: Side, b: Side, pair: Pair, metrics: Sequence[str]) -> list[Change]:
    """Scores of every level including the baseline, by the metrics that decide in either run, or by those named. Under
    the same seeds no baseline is needed."""
    learned = [
        next((one for one in side.findings.learning.learned if one.block.id == block.id), None)
        for side, block in ((a, pair.a), (b, pair.b))
    ]
    first, second = learned
    if first is None or second is None:
        return []
    deciding = list(dict.fromkeys((first.settings.metric, second.settings.metric)))
    wanted = [name for name in (metrics or deciding) if name in first.scores and name in second.scores]
    return [score_of(first, second, pair, level, name) for name in wanted for level in pair.kept]


def score_of(a: Learned, b: Learned, pair: Pair, level: str, metric: str) -> Change:
    """One level's score in both runs. Common seeds are pairs; with too few of them the runs are two samples."""
    score = b.scores[metric]
    change = Change(kind="scores", block=pair.b, level=level, mode=LEARNING, metric=metric, scale=score.compared)
    if alone := pair.in_one_alone(change):
        return alone
    under = [one.seeds_of(level) for one in (a, b)]
    for name, one, there in zip("AB", (a, b), under, strict=True):
        if level in one.broken:
            return replace(change, reason=f"in {name}: {failure_in_words(one.broken[level])}")
        if not there:
            return replace(change, reason=f"in {name}: not trained")
    common = tuple(seed for seed in under[0] if seed in under[1])
    paired = len(common) >= stats.LEAST or set(under[0]) == set(under[1])
    used = [common, common] if paired else under
    ours, theirs = a.values(level, metric, used[0]), b.values(level, metric, used[1])
    change = replace(change, a=seeds.average(ours, score.compared), b=seeds.average(theirs, score.compared))
    if reason := why_not_scores(a, b, pair, level):
        return replace(change, verdict=Verdict.NOT_COMPARABLE, reason=reason)
    flags = [Flag.OTHER_MACHINE] if pair.marked(level, "scores") else []
    flags += [Flag.EXTENDED] if a.settings.extended or b.settings.extended else []
    if paired and np.array_equal(ours, theirs):
        reason = f"to the last digit, {len(common)} seeds"
        return replace(change, verdict=Verdict.SAME, reason=reason, flags=tuple(flags))
    estimate = change_of_scores(ours, theirs, metric, score.compared, paired)
    margins = [margin for one in (a, b) if (margin := one.margin(metric)) is not None]
    verdict, reason = seeds.decide_seeds(estimate, min(margins) if len(margins) == 2 else None, score.better)
    if not paired:
        flags.append(Flag.OTHER_SEEDS)
    return replace(change, estimate=estimate, verdict=verdict, reason=reason, flags=tuple(flags))


def change_of_scores(a: stats.Array, b: stats.Array, metric: str, scale: seeds.Scale, paired: bool) -> Estimate:
    """B minus A over seeds: of pairs, or of two samples (Welch)."""
    if paired:
        if metric in ("diverged", "reached"):
            return RateDifference.of((a > 0.5).tolist(), (b > 0.5).tolist())
        return stats.estimate(seeds.differences(a, b, scale).tolist())
    first, second = (stats.estimate(seeds.as_estimated(values, scale).tolist()) for values in (a, b))
    if min(first.k, second.k) < 2:
        return Estimate(second.mean - first.mean, math.inf, 0, min(first.k, second.k))
    variance = first.error**2 + second.error**2
    lost = sum(one.error**4 / one.df for one in (first, second))
    df = variance**2 / lost if lost else 1.0
    return Estimate(second.mean - first.mean, math.sqrt(variance), df, min(first.k, second.k))


def why_not_scores(a: Learned, b: Learned, pair: Pair, level: str) -> str:
    """Why a level's scores cannot be compared; empty where they can."""
    if reason := pair.why_not(level, "scores"):
        return reason
    if (a.settings.seconds or b.settings.seconds) and (reason := pair.why_not(level, "times")):
        return f"trained for a time, so the machine is part of the score: {reason}"
    return ""


def amounts_of(a: Side, b: Side, pair: Pair, metrics: Sequence[str]) -> list[Change]:
    """Every exact amount of every level in both runs."""
    found = []
    for mode in dict.fromkeys((*pair.a.measures.modes, *pair.b.measures.modes)):
        ours, theirs = (
            {(q.level, q.metric): q for q in side.findings.quantities_of(block, mode) if q.quantity.judged == "exact"}
            for side, block in ((a, pair.a), (b, pair.b))
        )
        for level, name in dict.fromkeys((*ours, *theirs)):
            if level in pair.kept and (not metrics or name in metrics):
                one, other = ours.get((level, name)), theirs.get((level, name))
                found.append(amount_of(pair, mode, level, name, one, other))
    return found


def amount_of(
    pair: Pair, mode: str, level: str, name: str, a: QuantityFinding | None, b: QuantityFinding | None
) -> Change:
    """One exact amount in both runs."""
    first, second = (None if one is None else float(one.value) for one in (a, b))
    quantity = b.quantity if b else a.quantity if a else None
    change = Change(
        kind="amounts", block=pair.b, level=level, mode=mode, metric=name, a=first, b=second, quantity=quantity
    )
    if first is None or second is None:
        return change.only_in("A" if second is None else "B")
    if reason := pair.why_not(level, "amounts"):
        return replace(change, verdict=Verdict.NOT_COMPARABLE, reason=reason)
    estimate = Estimate(math.log(second / first), 0.0, math.inf, 1) if first > 0 and second > 0 else None
    return replace(change, verdict=exact_verdict(second, first), estimate=estimate)


@dataclass(frozen=True)
class ClaimChange:
    """A claim's answer in each run (empty where the run has no such claim), and the reason in B. `not_comparable` says
    why the two answers are about different things. `marked`: they are of two machines."""

    says: str
    a: str
    b: str
    reason: str
    not_comparable: str = ""
    marked: bool = False

    @property
    def change(self) -> str:
        """The change of the answer in words."""
        if not self.a or not self.b:
            return f"new: {self.b}" if self.b else f"removed (was: {self.a})"
        return f"{self.a} in both" if self.a == self.b else f"{self.a}, now {self.b}"


def claims_of(
    a: Side, b: Side, pairs: Sequence[Pair], only: Mapping[str, Sequence[str]], metrics: Sequence[str]
) -> list[ClaimChange]:
    """Every claim of either run, matched by its sentence. With `only` or `metrics`, those about nothing else."""
    ours, theirs = ({result.claim.says: result for result in side.findings.claims} for side in (a, b))
    found = []
    for says in dict.fromkeys((*theirs, *ours)):
        one, other = ours.get(says), theirs.get(says)
        asked = other or one
        assert asked is not None
        sides = [side for side, result in ((a, one), (b, other)) if result]
        if asked_for(asked, pairs, sides, only, metrics):
            found.append(claim_of(says, one, other, pairs, (a, b)))
    return found


def asked_for(
    result: ClaimResult, pairs: Sequence[Pair], sides: Sequence[Side], only: Mapping[str, Sequence[str]],
    metrics: Sequence[str],
) -> bool:  # fmt: skip
    """Whether a claim is about what is compared and nothing else."""
    if metrics and result.claim.metric not in metrics:
        return False
    if not only:
        return True
    inside = {block.id for pair in pairs for block in (pair.a, pair.b)}
    axes = {side.plan.axis for side in sides}
    return all(
        result.claim.level in levels if axis in axes else True for axis, levels in only.items()
    ) and all(block.id in inside for side in sides for block in result.claim.blocks_in(side.plan.blocks))  # fmt: skip


def asks(claim: Claim) -> tuple[object, ...]:
    """What a claim asks, without what the planner adds, which another version may leave out."""
    where = {axis: tuple(levels) for axis, levels in claim.where.items()}
    return claim.level, claim.metric, claim.expect, claim.by, claim.of, where, claim.inside, claim.along


def claim_of(
    says: str, a: ClaimResult | None, b: ClaimResult | None, pairs: Sequence[Pair], sides: tuple[Side, Side]
) -> ClaimChange:
    """One claim in both runs."""
    change = ClaimChange(says, a.answer if a else "", b.answer if b else "", b.reason if b else "")
    if a is None or b is None:
        return change
    if asks(a.claim) != asks(b.claim):
        return replace(change, not_comparable="the claim itself was changed")
    kind: Kind = "scores" if b.claim.of == LEARNING else "amounts" if b.claim.exact else "ratios"
    blocks = [{block.id for block in b.claim.blocks_in(side.plan.blocks)} for side in sides]
    spoken = [pair for pair in pairs if pair.a.id in blocks[0] and pair.b.id in blocks[1]]
    if len(spoken) != len(blocks[0]) or len(spoken) != len(blocks[1]):
        return replace(change, not_comparable="it is about other contexts")
    for pair in spoken:
        # An effect of an ablation depends on several levels; all of them must be comparable.
        levels = [b.claim.level] if b.claim.level in pair.kept else list(pair.kept)
        for level in (pair.kept[0], *levels):
            if reason := pair.why_not(level, kind):
                return replace(change, not_comparable=f"{pair.name}: {reason}")
    marked = any(pair.marked(level, kind) for pair in spoken for level in pair.kept) and kind == "ratios"
    return replace(change, marked=marked)
