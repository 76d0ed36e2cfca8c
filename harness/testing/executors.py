"""Promises of executors."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from harness.measure.runner import RunContext
from harness.plugins.parts import Dataset, Model, Skip
from harness.records.plan import Block, Trial
from harness.records.record import Record
from harness.records.settings import Measures, Speed
from harness.testing.part_under_test import Broken, PartUnderTest


def complete_records(part: PartUnderTest) -> str:
    """For a small block, the executor delivers records of both trials, with one call of `keep` per replicate. A second
    call measures nothing."""
    trial = any_trial(part)
    speed = Speed(batches=1, warm_up=0.001, seconds=0.005, budget=0.01, quick=True)
    block = Block({}, (trial, replace(trial, level="again", seed=1)), Measures.of(speed=speed))
    with tempfile.TemporaryDirectory() as folder:
        run = RunContext(Path(folder), part.catalog, lambda facts: None)
        with part.code(run) as execute:
            groups: list[list[Record]] = []
            execute(block, [], groups.append)
            records = [record for group in groups for record in group]
            missing = {trial.level for trial in block.trials} - {record.level for record in records}
            if missing:
                raise Broken(f"it delivers no record of level {min(missing)}")
            if any(record.of != len(group) for group in groups for record in group):
                raise Broken("it delivers part of a replicate; the store needs all records of a replicate at once")
            for record in records:
                if record.outcome == "failed":
                    raise Broken(f"a level that should work fails: {record.reason}")
            groups.clear()
            execute(block, records, groups.append)
            if groups:
                raise Broken(f"it measures finished work again: {groups[0][0].measure}")
    return f"{len(records)} records"


def any_trial(part: PartUnderTest) -> Trial:
    """A small trial of any model and dataset. Raises Skip if there is none."""
    for entry in part.catalog.entries(Model).values():
        try:
            return PartUnderTest(part.catalog, entry, {}, part.using).trial
        except (AssertionError, Skip):
            continue  # the next model may fit
    missing = [kind.kind for kind in (Model, Dataset) if not part.catalog.entries(kind)]
    raise Skip(f"there is no {' and no '.join(missing) or 'pair of model and dataset'} to measure")
