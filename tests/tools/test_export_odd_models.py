"""Scripts of models with other dtypes and other generators repeat their trials."""

from __future__ import annotations

from pathlib import Path

import pytest
from exported import values_of
from toy_suite import SUITE, TOY, read

from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.tools.export.script import ExportedTrial, make_script

LEVELS = {
    "half": "{model: {name: typed, dtype: bfloat16}}",
    "double": "{model: {name: typed, dtype: float64}}",
    "says": "{model: says}",
    "complex": "{model: complex_linear}",
    "numpy": "{model: {name: drawn, by: numpy}}",
    "python": "{model: {name: drawn, by: python}}",
}


@pytest.mark.parametrize("level", LEVELS)
def test_a_script_repeats_the_trial(level):
    catalog = Catalog(load_plugins([TOY, Path(__file__).parent.parent / "odd_models.py"]))
    levels = "\n    ".join(f"{name}: {patch}" for name, patch in LEVELS.items())
    suite = read(SUITE.replace("backwards: {use: [reverse]}", levels), catalog=catalog)
    plan = make_plan(suite, catalog)
    (block,) = plan.blocks
    made = make_script(catalog, ExportedTrial(plan, block, block.trial(level), "train"))
    assert not made.replay.failure
    assert values_of(made.text) == pytest.approx(made.replay.values, rel=1e-6)
