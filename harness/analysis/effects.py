"""Effects of factors in an ablation design: contrasts of what a block's combinations show. Pure: no torch, no printing.

A contrast is taken in each replicate (a process, or a seed) and then averaged, so that what a replicate gives to all
its trials alike cancels. docs/method.md says what each estimand is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from harness.analysis import stats
from harness.analysis.stats import Array, Estimate
from harness.records import designs
from harness.records.designs import Contrast
from harness.records.plan import Block

Scale = Literal["ratio", "difference"]


@dataclass(frozen=True)
class Effect:
    """What a factor does, or how two interact, in one block, by one metric.

    `kind` is the estimand, in the words of `harness.records.designs`; `values` are the contrast in each replicate,
    logs where the `scale` is "ratio"; `adjusted` is the p value of an effect beyond the floor, adjusted for all effects
    of the same block, mode and metric (Holm). `verdict` is "invalid" and `estimate` None where what it needs is
    missing."""

    block: Block
    mode: str
    metric: str
    kind: str
    factors: tuple[str, ...]
    scale: Scale
    values: tuple[float, ...] = ()
    estimate: Estimate | None = None
    adjusted: float | None = None
    verdict: str = "invalid"
    reason: str = ""
    flags: tuple[str, ...] = ()
    confidence: float = 0.95

    @property
    def level(self) -> str:
        """Its name: the factor, or two with an x between them. A claim finds it by this, as it finds a level."""
        return designs.name_of(self.factors)

    @property
    def ratio(self) -> float | None:
        """Its size as people read it: a ratio, or in the scale "difference" the difference itself."""
        return None if self.estimate is None else self._shown(self.estimate.mean)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval of `ratio` that decides; None where there is too little for one."""
        if self.estimate is None or not math.isfinite(self.estimate.error):
            return None
        low, high = self.estimate.interval(self.confidence)
        return self._shown(low), self._shown(high)

    def _shown(self, value: float) -> float:
        return math.exp(value) if self.scale == "ratio" else value


def contrasts(
    design: str, factors: Sequence[str], levels: Mapping[str, Sequence[str]]
) -> list[tuple[str, tuple[str, ...], dict[str, float]]]:
    """Kind, factors and weights by level of each effect that these levels can estimate. `levels` says which factors are
    on in each; an effect that needs a combination that is not among them is left out."""
    names = {frozenset(on): level for level, on in levels.items()}
    return [
        (contrast.kind, contrast.factors, {names[on]: weight for on, weight in contrast.weights})
        for contrast in designs.contrasts(design, factors)
        if all(on in names for on, _ in contrast.weights)
    ]


@dataclass(frozen=True)
class Judge:
    """How the effects of one block, mode and metric are judged.

    `decide` gives verdict and reason of an estimate alone. One of its `significant` verdicts stands only where the
    adjusted p value is at most 1 - `confidence`; no effect below `floor` (in the estimate's own units) is one. `barred`
    says of some levels why what needs them is not judged: another verdict, and its reason. `flags` are marks of levels,
    which go over to what needs them."""

    decide: Callable[[Estimate], tuple[str, str]]
    significant: tuple[str, ...] = ("faster", "slower")
    floor: float = 0.0
    confidence: float = 0.95
    barred: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    flags: Mapping[str, Sequence[str]] = field(default_factory=dict)


def effects_of(
    block: Block, mode: str, metric: str, design: str, factors: Sequence[str], values: Mapping[str, Array],
    scale: Scale, judge: Judge,
) -> list[Effect]:  # fmt: skip
    """All effects of a block. `values` are those of its levels, shape (replicates,) each, aligned: the same position is
    the same process or seed. An effect that needs a combination without values has no estimate and says which."""
    levels = {trial.level: trial.on for trial in block.trials if len(values.get(trial.level, ()))}
    estimable = {(kind, of): weights for kind, of, weights in contrasts(design, factors, levels)}
    found = []
    for contrast in designs.contrasts(design, factors):
        effect = Effect(block, mode, metric, contrast.kind, contrast.factors, scale, confidence=judge.confidence)
        weights = estimable.get((contrast.kind, contrast.factors))
        if weights is None:
            found.append(replace(effect, reason=_what_it_lacks(contrast, design, factors, levels, judge)))
            continue
        each = sum((weight * values[level] for level, weight in weights.items()), np.zeros(1))
        estimate = stats.estimate(each.tolist())
        verdict, reason = judge.decide(estimate)
        for level in weights:
            if level in judge.barred and verdict != "invalid":
                verdict, reason = judge.barred[level]
        flags = tuple(dict.fromkeys(flag for level in weights for flag in judge.flags.get(level, ())))
        judged = replace(effect, estimate=estimate, verdict=verdict, reason=reason, flags=flags)
        found.append(replace(judged, values=tuple(each.tolist())))
    return _as_a_family(found, judge)


def _as_a_family(effects: Sequence[Effect], judge: Judge) -> list[Effect]:
    """The effects with adjusted p values; what may be chance among so many is undecided."""
    p_values = {i: effect.estimate.p_value(judge.floor) for i, effect in enumerate(effects) if effect.estimate}
    found = list(effects)
    for i, adjusted in zip(p_values, stats.holm_adjusted(list(p_values.values())), strict=True):
        found[i] = replace(found[i], adjusted=adjusted)
        if found[i].verdict in judge.significant and adjusted > 1 - judge.confidence:
            reason = f"{found[i].verdict} if it were alone; one of {len(p_values)} effects may seem so by chance"
            found[i] = replace(found[i], verdict="undecided", reason=reason)
    return found


def _what_it_lacks(
    contrast: Contrast, design: str, factors: Sequence[str], levels: Mapping[str, Sequence[str]], judge: Judge
) -> str:
    """Why a contrast cannot be estimated."""
    there = {frozenset(on) for on in levels.values()}
    names = {on: name for name, on in designs.combinations(design, factors).items()}
    lacking = [names[on] for on, _ in contrast.weights if on not in there]
    reasons = dict.fromkeys(judge.barred[name][1] for name in lacking if name in judge.barred)
    return f"needs {' and '.join(lacking)}{': ' if reasons else ', not measured'}{'; '.join(reasons)}"
