"""A suite of the specimen and the attacks, and its catalog."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.records.plan import Block
from harness.suite.loader import parse_suite
from harness.suite.yaml_source import read_text
from harness.testing import specimen

ATTACKS = Path(__file__).parent / "attacks.py"

SUITE = """
question: What does it cost?
base:
  model: specimen
  dataset: {name: specimen_points, batch_size: 32}
  use: [descent]
axes:
  what:
    plain: {}
    attack: LEVEL
compare: {axis: what, baseline: plain}
measure:
  speed: {warm_up: 1 ms, seconds: 100 ms, budget: 1 s, half_width: 50%}
"""


@cache
def attack_catalog() -> Catalog:
    """The installed plugins, the specimen and the attacks."""
    return Catalog(load_plugins([Path(specimen.__file__), ATTACKS]))


def attack_block(level: str, *settings: str, text: str = SUITE) -> Block:
    """The block that compares `plain` with this level, such as ``{use: [{name: waits, share: 0.5}]}``. `settings` are
    as for ``--set``."""
    text = text.replace("LEVEL", level)
    suite = parse_suite(read_text(text, "suite.yaml"), "suite", text, attack_catalog(), settings)
    return make_plan(suite, attack_catalog()).blocks[0]
