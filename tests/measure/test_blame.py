"""The level whose code failed is the one that is left out. The others are measured."""

from __future__ import annotations

from pathlib import Path

from toy_suite import SUITE, TOY, read

from harness.measure.coordinator import measure_block
from harness.measure.servers import Servers
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.records.record import Record

LEVELS = """backwards: {use: [reverse]}
    counting: {model: counting}
    detached: {model: detached}
    unsavable: {model: unsavable}
    last: {use: [shorten]}"""


def test_a_level_that_fails_does_not_take_others_with_it(tmp_path):
    catalog = Catalog(load_plugins([TOY, Path(__file__).parent.parent / "odd_models.py"]))
    text = SUITE.replace("backwards: {use: [reverse]}", LEVELS)
    (block,) = make_plan(read(text, catalog=catalog), catalog).blocks
    records: list[Record] = []
    with Servers(tmp_path, catalog) as servers:
        measure_block(block, [], records.extend, servers)
    failed = {one.level: (one.measure, one.reason) for one in records if one.outcome != "ok"}
    assert failed.keys() == {"detached", "unsavable"}
    assert failed["detached"] == (
        "verify", "no parameter has a gradient after the backward pass, so it does not train"
    )  # fmt: skip
    assert failed["unsavable"][0] == "speed.train"
    assert "the state is gone (odd_models.py:" in failed["unsavable"][1]
    assert failed["unsavable"][1].startswith("putting its state back")
    measured = {one.level for one in records if one.measure == "speed.train" and one.outcome == "ok"}
    assert measured == {"plain", "backwards", "counting", "last"}
