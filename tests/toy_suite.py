"""Helpers of the tests."""

from __future__ import annotations

from pathlib import Path

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


def read(text: str, *settings: str) -> Suite:
    """A suite from text."""
    return parse_suite(read_text(text, "suite.yaml"), "suite", text, settings)
