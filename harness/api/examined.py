"""What is found about a plan before it is measured: mistakes with their places, warnings, and times. Nothing prints."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

from harness.errors import UserError, UserErrors
from harness.measure.examination import Examined, Problem, examine
from harness.plan.estimates import Part, for_blocks, parts_of, report_seconds, total_of
from harness.plan.places import place_of, place_of_level
from harness.plugins.catalog import Catalog
from harness.plugins.experiment import EXPERIMENT, FROM
from harness.plugins.rehearsal import Rehearsal, TimeRange
from harness.records.plan import Block, Plan
from harness.suite.loader import Suite


@dataclass(frozen=True)
class ExaminedPlan:
    """A plan with further warnings among its remarks. `rehearsals` has one for each block that was rehearsed, and
    `start` is the time in seconds in which a process prepares to load a block."""

    plan: Plan
    catalog: Catalog
    rehearsals: Sequence[Rehearsal | None]
    start: float
    jobs: int

    @property
    def seconds(self) -> list[TimeRange]:
        """The estimated time of each block."""
        return [total_of(part.seconds for part in parts) for parts in self._parts]

    @cached_property
    def _parts(self) -> list[list[Part]]:
        blocks = self.plan.blocks
        rehearsals = for_blocks(blocks, self.rehearsals, self.jobs)
        pairs = zip(blocks, rehearsals, strict=True)
        return [parts_of(block, self.catalog, rehearsal) for block, rehearsal in pairs]

    def by_part(self, imports: float) -> dict[str, TimeRange]:
        """The estimated time of a run by what it does: the start, each kind of measurement, the report. Every process
        takes `imports` seconds to import what the plan needs."""
        servers = {(tuple(sorted(e.items())), 0) for block in self.plan.blocks for e in block.environments}
        slots = max((self.jobs for block in self.plan.blocks if block.measures.learning), default=1)
        start = imports + (len(servers) + slots - 1) * (imports + self.start)
        report = report_seconds(self.plan.blocks)
        found = {"start": TimeRange(start, start, start)}
        for part in chain.from_iterable(self._parts):
            found[part.name] = total_of((found.get(part.name, TimeRange(0.0, 0.0, 0.0)), part.seconds))
        return {**found, "report": TimeRange(report, report, report)}


def examined_plan(suite: Suite, catalog: Catalog, plan: Plan, *, timed: bool = False) -> ExaminedPlan:
    """Load the data of a plan, build its trials, and rehearse it: with `timed`, to estimate times. Raises UserErrors
    with everything that would fail in a run."""
    jobs = len(os.sched_getaffinity(0))
    found, start = examine(plan.blocks, catalog, timed=timed, jobs=jobs)
    errors: dict[str, UserError] = {}
    remarks = dict.fromkeys(plan.remarks)
    for block, examined in zip(plan.blocks, found, strict=True):
        for error in errors_of(suite, block, examined):
            errors.setdefault(f"{error.where}: {error.what}", error)
        remarks |= dict.fromkeys(remark_of(suite, block, remark) for remark in examined.remarks)
    if errors:
        raise UserErrors(list(errors.values()))
    plan = replace(plan, remarks=tuple(remarks))
    return ExaminedPlan(plan, catalog, [one.rehearsal for one in found], start, jobs)


def errors_of(suite: Suite, block: Block, examined: Examined) -> Iterator[UserError]:
    """The mistakes in the data or the trials of a block."""
    for level, text in examined.problems:
        if level:
            yield UserError(f"level {level!r} fails: {text}.", where=place_of_level(suite, block, block.trial(level)))
        else:
            dataset = block.baseline.dataset
            is_experiment = dataset.name == EXPERIMENT
            field, key = (EXPERIMENT, FROM) if is_experiment else ("dataset", "name")
            what = f"{'' if is_experiment else 'dataset '}{dataset.title}: {text}."
            yield UserError(what, where=place_of(suite, block, block.baseline, field, key))


def remark_of(suite: Suite, block: Block, remark: Problem) -> str:
    """A warning with its place: that of the optimization that begins its text, or else of the level."""
    level, text = remark
    if not level:
        return f"{suite.source.place(('measure',), key=True)}: {block.name}: {text}."
    trial, by = block.trial(level), text.partition(": ")[0]
    if by in {spec.name for spec in trial.use}:
        return f"{place_of(suite, block, trial, 'use', by)}: {text}."
    return f"{place_of_level(suite, block, trial)}: level {level!r}: {text}."
