from __future__ import annotations

import os

# Before torch is imported: test workers side by side, each with as many spinning threads as there are cores, would
# take minutes for what takes seconds.
os.environ["OMP_NUM_THREADS"] = "1"
# As the process does that measures: torch 2.6 starts a pool of compiling processes otherwise.
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
# Where the tests themselves are a step on GitHub, their runs have no place in its summary.
os.environ.pop("GITHUB_STEP_SUMMARY", None)

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.catalog import Catalog
from harness.plan import make_plan
from harness.plugins import load_plugins
from harness.records import Plan
from harness.suite import Suite, parse_suite
from harness.yaml_source import read_text

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


@pytest.fixture
def double() -> Iterator[None]:
    """Double precision by default, and torch's generator at a known place."""
    import torch

    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """The installed plugins and the toy."""
    return Catalog(load_plugins([TOY]))


def read(text: str, *settings: str) -> Suite:
    """A suite from text."""
    return parse_suite(read_text(text, "suite.yaml"), "suite", text, settings)


@pytest.fixture(scope="session")
def planned(catalog: Catalog) -> Callable[..., Plan]:
    """Plans the toy suite with some levels instead of its own, and ``--set`` settings."""

    def plan(levels: str = "", *settings: str, text: str = SUITE, **options: object) -> Plan:
        if levels:
            text = text.replace("backwards: {use: [reverse]}", levels)
        return make_plan(read(text, *settings), catalog, **options)  # type: ignore[arg-type]

    return plan
