"""Where a suite sets something of a trial: for errors that are found after planning."""

from __future__ import annotations

from collections.abc import Mapping

from harness.errors import Place
from harness.records.plan import Block, Trial
from harness.suite.loader import Suite


def place_of(suite: Suite, block: Block, trial: Trial, *path: str) -> Place:
    """The position of the value at a path of a trial, such as ("dataset", "name"): in the last of the base and the
    levels of the trial that sets it, or else in the base."""
    found = suite.source.place(("base",), key=True)
    assignments = list(suite.base)
    for axis, level in coordinates(suite, block, trial).items():
        assignments += suite.axes[axis][level]
    for assignment in assignments:
        if assignment.path == path:
            found = assignment.where
    return found


def place_of_level(suite: Suite, block: Block, trial: Trial) -> Place:
    """The position of the level of a trial; in an ablation design, of its first factor that is on, or of the base."""
    if suite.axis in suite.axes:
        return suite.source.place(("axes", suite.axis, trial.level), key=True)
    return suite.source.place(("axes", trial.on[0]) if trial.on else ("base",), key=True)


def coordinates(suite: Suite, block: Block, trial: Trial) -> Mapping[str, str]:
    """The level of a trial on each axis."""
    if not suite.factors:
        return {**block.context, suite.axis: trial.level}
    varied = {factor: tuple(levels) for factor, levels in suite.axes.items() if factor not in block.context}
    return {**block.context, **{factor: levels[factor in trial.on] for factor, levels in varied.items()}}
