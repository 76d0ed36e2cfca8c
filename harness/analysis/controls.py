"""The baseline measured against itself: how small a difference a run can show, and whether it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.analysis import stats
from harness.analysis.timing import Measured
from harness.records.plan import Block, Plan
from harness.records.record import Record, by_block


def measured_of(blocks: Sequence[Block], records: Sequence[Record]) -> list[Measured]:
    """The samples of every block and mode that is timed."""
    theirs = by_block(records)
    return [
        Measured(block, theirs.get(block.id, ()), mode)
        for block in blocks
        for mode in (block.measures.speed.of if block.measures.speed else ())
    ]


def controls_of(measured: Sequence[Measured]) -> list[float]:
    """The log ratio of the baseline to itself in each process."""
    return [value for one in measured for value in one.log_ratios(one.block.baseline.level, "control")]


def floor_of(controls: Sequence[float]) -> float:
    """The smallest log ratio that is called a difference: the mean of the controls, and at least 0.3 %."""
    return max(stats.FLOOR, abs(float(np.mean(controls)))) if controls else stats.FLOOR


def is_null_biased(controls: Sequence[float]) -> bool:
    """Whether the controls' pooled 99 % interval excludes 0 and their mean exceeds 0.3 %."""
    if len(controls) < stats.MIN_REPLICATES:
        return False
    pooled = stats.estimate(controls)
    low, high = pooled.interval(0.99)
    return (low > 0 or high < 0) and abs(pooled.mean) > stats.FLOOR


def biased_twice(plan: Plan, records: Sequence[Record], controls: Sequence[float]) -> bool:
    """Whether the controls are biased, and biased again where the baselines were measured once more."""
    if not is_null_biased(controls):
        return False
    again = controls_of(measured_of([block.alone() for block in plan.blocks], records))
    return not again or is_null_biased(again)


def baselines_to_remeasure(plan: Plan, records: Sequence[Record], most: int = 3) -> list[Block]:
    """The baselines to measure once more, alone, because the controls are biased: those with the largest bias. Empty if
    nothing is biased."""
    measured = measured_of(plan.blocks, records)
    if any(one.settings.quick for one in measured) or not is_null_biased(controls_of(measured)):
        return []  # a quick look decides nothing anyway
    off = {one.block.id: abs(float(np.mean(controls_of([one]) or [0.0]))) for one in measured}
    return [block.alone() for block in sorted(plan.blocks, key=lambda b: -off.get(b.id, 0.0))[:most]]
