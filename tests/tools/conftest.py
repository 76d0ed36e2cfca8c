"""Fixtures of the tests of comparisons and exports."""

from __future__ import annotations

import pytest
from exported import LEVELS
from made_runs import FACTS, TWO, plan, timed

from harness.records.plan import Block
from harness.tools.comparison.pairs import RunData
from harness.tools.export.script import ExportedTrial
from harness.tools.export.trials import find_trial


@pytest.fixture
def exported(planned):
    """Finds the trial of a level of the toy suite."""

    def make(level: str, mode: str = "train", *settings: str) -> ExportedTrial:
        plan = planned(LEVELS, *settings)
        return ExportedTrial(plan, *find_trial(plan, level), mode)

    return make


@pytest.fixture
def side(catalog):
    def make(records, *blocks: Block, facts=FACTS, name="run", claims=(), **more) -> RunData:
        return RunData.of(name, facts, plan(*blocks, claims=claims, **more), records, catalog)

    return make


@pytest.fixture
def run_of(side):
    """A run of one block in which `other` takes `ratio` times as long as `plain`."""

    def make(ratio: float, seed: int, made: Block = TWO, facts=FACTS, **more) -> RunData:
        return side(
            timed(made, {trial.level: ratio for trial in made.trials[1:]}, seed=seed, **more), made, facts=facts
        )

    return make
