"""A suite of the toy, and its catalog."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.suite.loader import Suite, parse_suite
from harness.suite.yaml_source import read_text

TOY = Path(__file__).parent / "toy.py"


SUITE = """
question: Does the toy work?
base:
  model: linear
  dataset: {name: points, batch_size: 8}
  use: [descent]
axes:
  what:
    plain: {}
    backwards: {use: [reverse]}
compare: {axis: what, baseline: plain}
measure:
  speed: {warm_up: 1 ms, seconds: 10 ms, budget: 1 s, half_width: 50%, margin: 99%}
"""


@cache
def toy_catalog() -> Catalog:
    """The installed plugins and the toy."""
    return Catalog(load_plugins([TOY]))


def read(text: str, *settings: str, catalog: Catalog | None = None) -> Suite:
    """A suite from text."""
    return parse_suite(read_text(text, "suite.yaml"), "suite", text, catalog or toy_catalog(), settings)
