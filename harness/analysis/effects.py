"""Effects of factors in an ablation design: contrasts of a block's combinations.

A contrast is taken in each replicate (a process, or a seed) and then averaged, so that what all trials of a replicate
have in common cancels. docs/method.md defines each estimand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness.analysis import stats
from harness.analysis.finding import Finding, Scale, control_familywise_errors
from harness.analysis.stats import Array, Estimate
from harness.analysis.verdicts import Flag, Verdict
from harness.records import designs
from harness.records.plan import Block


@dataclass(frozen=True, kw_only=True)
class Effect(Finding):
    """What a factor does, or how two factors interact; `level` is its name.

    `kind` is the estimand, in the words of `harness.records.designs`. `values` are the contrast in each replicate, in
    log units where the scale is "ratio". `adjusted` is the p value of an effect beyond the floor, corrected for all
    effects of the same block, mode and metric (Holm). Where a combination is missing, `estimate` is None."""

    kind: str
    values: tuple[float, ...] = ()


@dataclass(frozen=True)
class Judge:
    """How the effects of one block, mode and metric are judged.

    `decide` gives verdict and reason of one estimate. Effects smaller than `floor` (in the estimate's units) are not
    called different. ``share(k)`` is the share of the error rate that an interval from k replicates may use. `excluded`
    gives the verdict and reason for levels whose effects are not judged. `flags` of levels pass on to their effects."""

    decide: Callable[[Estimate], tuple[Verdict, str]]
    floor: float = 0.0
    share: Callable[[int], float] = lambda k: 1.0
    excluded: Mapping[str, tuple[Verdict, str]] = field(default_factory=dict)
    flags: Mapping[str, Sequence[Flag]] = field(default_factory=dict)


def effects_of(
    block: Block, mode: str, metric: str, design: str, factors: Sequence[str], values: Mapping[str, Array],
    scale: Scale, judge: Judge,
) -> list[Effect]:  # fmt: skip
    """All effects of a block. `values` are those of its levels, shape (replicates,) each; the same position is the same
    process or seed. An effect that needs a combination without values has no estimate and says which."""
    names = {on: name for name, on in designs.combinations(design, factors).items()}
    levels = {frozenset(trial.on): trial.level for trial in block.trials if len(values.get(trial.level, ()))}
    found = []
    for contrast in designs.contrasts(design, factors):
        effect = Effect(
            block=block, level=designs.name_of(contrast.factors), mode=mode, metric=metric, scale=scale,
            kind=contrast.kind,
        )  # fmt: skip
        if missing := [names[on] for on, _ in contrast.weights if on not in levels]:
            reasons = dict.fromkeys(judge.excluded[name][1] for name in missing if name in judge.excluded)
            why = f": {'; '.join(reasons)}" if reasons else ", not measured"
            found.append(replace(effect, reason=f"needs {' and '.join(missing)}{why}"))
        else:
            found.append(_judged(effect, {levels[on]: weight for on, weight in contrast.weights}, values, judge))
    return control_familywise_errors(found, judge.floor)


def _judged(effect: Effect, weights: Mapping[str, float], values: Mapping[str, Array], judge: Judge) -> Effect:
    """The effect with the estimate of the weighted sum of its levels, and the verdict on it."""
    each = sum((weight * values[level] for level, weight in weights.items()), np.zeros(1)).tolist()
    estimate = stats.estimate(each, judge.share(len(each)))
    verdict, reason = judge.decide(estimate)
    for level in weights:
        if level in judge.excluded and verdict != Verdict.INVALID:
            verdict, reason = judge.excluded[level]
    flags = tuple(dict.fromkeys(flag for level in weights for flag in judge.flags.get(level, ())))
    return replace(effect, estimate=estimate, verdict=verdict, reason=reason, flags=flags, values=tuple(each))
