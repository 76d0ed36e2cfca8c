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
from harness.testing.subject import Broken, Subject


def hands_on(subject: Subject) -> str:
    """Every record of a block is kept as it comes, whole replicates at a time, and what is done is not done again."""
    trial = some_trial(subject)
    speed = Speed(batches=1, warm_up=0.001, seconds=0.005, budget=0.01, quick=True)
    block = Block({}, (trial, replace(trial, level="again", seed=1)), Measures.of(speed=speed))
    with tempfile.TemporaryDirectory() as folder:
        run = RunContext(Path(folder), subject.catalog, lambda facts: None)
        with subject.code(run) as execute:
            kept: list[list[Record]] = []
            execute(block, [], kept.append)
            first = [record for group in kept for record in group]
            missing = {trial.level for trial in block.trials} - {record.level for record in first}
            if missing:
                raise Broken(f"no record of level {min(missing)} is kept")
            for group in kept:
                if any(record.of != len(group) for record in group):
                    raise Broken("it keeps part of a replicate; the store wants the records of one together")
            failed = [record for record in first if record.outcome == "failed"]
            if failed:
                raise Broken(f"a level fails here that should not: {failed[0].reason}")
            kept.clear()
            execute(block, first, kept.append)
            if kept:
                raise Broken(f"what is done is measured again: {kept[0][0].measure}")
    return f"{len(first)} records"


def some_trial(subject: Subject) -> Trial:
    """A small trial of whatever model and dataset are here."""
    for entry in subject.catalog.entries(Model).values():
        helper = Subject(subject.catalog, entry, {}, subject.using)
        try:
            return helper.trial
        except AssertionError:
            continue  # another model may go with what is here
    kinds = [kind.kind for kind in (Model, Dataset) if not subject.catalog.entries(kind)]
    raise Skip(f"there is no {' and no '.join(kinds) or 'pair of model and dataset'} here to measure")
