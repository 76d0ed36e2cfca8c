"""How quantities grow along an axis whose levels are numbers: the exponent b of quantity ~ level^b, with its interval.

On logarithms a power law is a straight line, so b is the slope of a least-squares line of log(quantity) on log(level).
Its interval is Student's t with n - 2 degrees of freedom for n contexts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis.finding import Finding
from harness.analysis.grouping import FEWEST, axes_of, groups_along
from harness.analysis.quantities import Place, QuantityFinding
from harness.analysis.stats import Array, Estimate
from harness.analysis.verdicts import Verdict
from harness.records.plan import Block, Plan

#: The metric of speed whose growth is fitted. Of quantities it is fitted where their declaration says so.
STEP_TIME = "step_time"
#: Residuals of logarithms below this, and decimals of a slope beyond it, are rounding errors.
NOISE, DIGITS = 1e-12, 12


@dataclass(frozen=True, kw_only=True)
class Growth(Finding):
    """How one quantity of a level grows along `axis`, with all other axes fixed.

    `block` is the context with the largest level and represents all `contexts`. `exponent` is the level's own, `base`
    the baseline's, and `estimate` is of their difference, fitted to the ratio of the two quantities; the last two are
    None for the baseline, and where too few contexts have both. `fitted` is in how many contexts the quantity is known.
    The verdict is empty, INVALID where a context is missing, or UNRANKED where the answer is a different one."""

    axis: str
    quantity: str
    title: str
    contexts: int
    fitted: int
    exponent: Estimate
    base: Estimate | None = None

    @property
    def context(self) -> dict[str, str]:
        """The levels of the other axes."""
        return {axis: level for axis, level in self.block.context.items() if axis != self.axis}


def growth_metric(quantity: str, axis: str) -> str:
    """The metric of a quantity's growth along an axis."""
    return f"{quantity} along {axis}"


def slope(x: Array, y: Array) -> Estimate:
    """The slope of the least-squares line through at least three points, x and y (n,), with its standard error and
    n - 2 degrees of freedom. Points on a line up to rounding have an error of 0."""
    from_mean = x - x.mean()
    spread = float(from_mean @ from_mean)
    found = float(from_mean @ y) / spread
    residuals = y - y.mean() - found * from_mean
    df = len(x) - 2
    if np.abs(residuals).max() <= NOISE:
        return Estimate(round(found, DIGITS) + 0.0, 0.0, df, len(x))
    return Estimate(found, math.sqrt(float(residuals @ residuals) / df / spread), df, len(x))


def find_growth(
    plan: Plan, quantities: Sequence[QuantityFinding], step_times: Mapping[Place, float]
) -> tuple[Growth, ...]:
    """Every exponent that at least three contexts give; `step_times` are seconds per step."""
    growing = [q for q in quantities if q.quantity.grows and "/" not in q.metric]
    values = {(q.block.id, q.level, q.mode, q.metric): q.value for q in growing}
    values |= {(*place, STEP_TIME): seconds for place, seconds in step_times.items()}
    titles = {q.metric: q.quantity.title for q in growing} | {STEP_TIME: "time of a step"}
    return tuple(
        growth
        for axis in axes_of(plan.blocks)
        for group in groups_along(axis, plan.blocks)
        for mode in dict.fromkeys(mode for block in group for mode in block.measures.modes)
        for quantity, title in titles.items()
        for growth in _in_group(axis, group, mode, quantity, title, values)
    )


def _in_group(
    axis: str, group: Sequence[Block], mode: str, quantity: str, title: str,
    values: Mapping[tuple[str, str, str, str], float],
) -> Iterator[Growth]:  # fmt: skip
    """The exponents of one quantity, the baseline's first."""
    block, at = group[-1], np.log([float(each.context[axis]) for each in group])

    def logs(level: str) -> Array:
        return np.array([math.log(values.get((each.id, level, mode, quantity)) or math.nan) for each in group])

    def fit(y: Array) -> Estimate | None:
        there = ~np.isnan(y)
        return slope(at[there], y[there]) if len(set(at[there])) >= FEWEST else None

    baseline = logs(block.baseline.level)
    for level in dict.fromkeys(trial.level for each in group for trial in each.trials):
        own = logs(level)
        exponent, fitted = fit(own), int((~np.isnan(own)).sum())
        if exponent is None:
            continue
        difference = base = None
        missing = fitted < len(group)
        if level != block.baseline.level:
            # The baseline's slope is over the same contexts, so that the difference of the slopes is the one shown.
            difference, base = fit(own - baseline), fit(np.where(np.isnan(own), math.nan, baseline))
            missing |= bool(np.isnan(baseline).any())
        answers = any(t.level == level and t.changes == "answer" for each in group for t in each.trials)
        yield Growth(
            block=block, level=level, mode=mode, metric=growth_metric(quantity, axis), scale="exponent",
            estimate=difference, verdict=Verdict.UNRANKED if answers else Verdict.INVALID if missing else Verdict.NONE,
            axis=axis, quantity=quantity, title=title, contexts=len(group), fitted=fitted, exponent=exponent, base=base,
        )  # fmt: skip
