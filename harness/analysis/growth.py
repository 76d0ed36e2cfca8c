"""How quantities grow along an axis whose levels are numbers: the exponent b of quantity ~ level^b, with its interval.

A power law is a straight line on logarithms, so b is the slope of ordinary least squares of log(quantity) on
log(level), and its interval is Student's t with n - 2 degrees of freedom for n contexts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.analysis.resources import Place, Resources
from harness.analysis.stats import Estimate
from harness.records.plan import Block, Plan

#: The quantities whose growth is fitted, and what heads their columns.
GROWN = {
    "kept_bytes": "kept for backward",
    "peak_bytes": "peak of a step",
    "flops": "operations a step",
    "step_time": "time of a step",
}
#: Fewer contexts than this leave nothing to judge a line by.
FEWEST = 3
#: Residuals of logarithms below this, and decimals of a slope beyond it, are the arithmetic's own.
NOISE, DIGITS = 1e-12, 12


Logs = NDArray[np.float64]


@dataclass(frozen=True)
class Growth:
    """How one quantity of a level grows along `axis`, all other axes fixed.

    `block` is the context with the largest level, and stands for all `contexts` of them. `exponent` is the level's own,
    `base` the baseline's, and `estimate` the level's less the baseline's, fitted to the ratio of the two; both are None
    for the baseline, and where too few contexts have both. `fitted` is in how many contexts the quantity is known. The
    verdict is empty, or says why no claim is settled by this: "invalid" where a context is missing, "unranked" where
    the answer is another one."""

    block: Block
    axis: str
    level: str
    mode: str
    quantity: str
    contexts: int
    fitted: int
    exponent: Estimate
    estimate: Estimate | None = None
    base: Estimate | None = None
    verdict: Literal["", "invalid", "unranked"] = ""

    @property
    def metric(self) -> str:
        """What a claim calls it."""
        return name_of(self.quantity, self.axis)

    @property
    def context(self) -> dict[str, str]:
        """The levels of the other axes."""
        return {axis: level for axis, level in self.block.context.items() if axis != self.axis}

    @property
    def ratio(self) -> float | None:
        """The difference of the exponents, which is what people read of them."""
        return self.estimate.mean if self.estimate else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of that difference."""
        return self.estimate.interval() if self.estimate else None


def name_of(quantity: str, axis: str) -> str:
    """What evidence about a quantity's growth along an axis is called."""
    return f"{quantity} along {axis}"


def number(level: str) -> float | None:
    """The number above zero that a level's name is, None for any other name."""
    try:
        value = float(level)
    except ValueError:
        return None
    return value if 0 < value < math.inf else None


def groups_along(axis: str, blocks: Sequence[Block]) -> list[list[Block]]:
    """The blocks that differ in the level of `axis` alone, smallest level first; none where a level is no number."""
    if not all(number(block.context.get(axis, "")) for block in blocks):
        return []
    groups: dict[tuple[tuple[str, str], ...], list[Block]] = {}
    for block in sorted(blocks, key=lambda block: float(block.context[axis])):
        groups.setdefault(tuple(item for item in block.context.items() if item[0] != axis), []).append(block)
    return list(groups.values())


def slope(x: Logs, y: Logs) -> Estimate:
    """The slope of the least-squares line through at least three points, x and y (n,), with its standard error and
    n - 2 degrees of freedom. Points on a line but for rounding have an error of 0."""
    from_mean = x - x.mean()
    spread = float(from_mean @ from_mean)
    found = float(from_mean @ y) / spread
    residuals = y - y.mean() - found * from_mean
    df = len(x) - 2
    if np.abs(residuals).max() <= NOISE:
        return Estimate(round(found, DIGITS) + 0.0, 0.0, df, len(x))
    return Estimate(found, math.sqrt(float(residuals @ residuals) / df / spread), df, len(x))


def find_growth(plan: Plan, resources: Resources, step_times: Mapping[Place, float]) -> tuple[Growth, ...]:
    """Every exponent that three contexts or more give; `step_times` are seconds a step."""
    values = {(q.block.id, q.level, q.mode, q.name): q.value for q in resources.quantities if q.name in GROWN}
    values |= {(*place, "step_time"): seconds for place, seconds in step_times.items()}
    axes = dict.fromkeys(axis for block in plan.blocks for axis in block.context)
    return tuple(
        growth
        for axis in axes
        for group in groups_along(axis, plan.blocks)
        for mode in dict.fromkeys(mode for block in group for mode in block.measures.modes)
        for quantity in GROWN
        for growth in _in_group(axis, group, mode, quantity, values)
    )


def _in_group(
    axis: str, group: Sequence[Block], mode: str, quantity: str, values: Mapping[tuple[str, str, str, str], float]
) -> list[Growth]:
    """The exponents of one quantity, the baseline's first."""
    block, found = group[-1], list[Growth]()
    at = np.log([float(each.context[axis]) for each in group])

    def logs(level: str) -> Logs:
        known = [values.get((each.id, level, mode, quantity)) or math.nan for each in group]
        return np.array([math.log(value) for value in known])

    def fit(y: Logs) -> Estimate | None:
        there = ~np.isnan(y)
        return slope(at[there], y[there]) if len(set(at[there])) >= FEWEST else None

    baseline = logs(block.baseline.level)
    for level, answers in _levels(group).items():
        own = logs(level)
        exponent, fitted = fit(own), int((~np.isnan(own)).sum())
        if exponent is None:
            continue
        difference = base = None
        missing = fitted < len(group)
        if level != block.baseline.level:
            # The baseline's slope is of the same contexts, so that the difference of the two is the one that is told.
            difference, base = fit(own - baseline), fit(np.where(np.isnan(own), math.nan, baseline))
            missing |= bool(np.isnan(baseline).any())
        verdict: Literal["", "invalid", "unranked"] = "unranked" if answers else "invalid" if missing else ""
        found.append(
            Growth(block, axis, level, mode, quantity, len(group), fitted, exponent, difference, base, verdict)
        )
    return found


def _levels(group: Sequence[Block]) -> dict[str, bool]:
    """The levels of a group's blocks, and whether each gives another answer on purpose in some of them."""
    found: dict[str, bool] = {}
    for block in group:
        for trial in block.trials:
            found[trial.level] = found.get(trial.level, False) or trial.changes == "answer"
    return found
