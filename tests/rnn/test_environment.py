"""Factors of the process environment: threads and allocators are environment variables."""

from __future__ import annotations

import re

import pytest
from toy_suite import read

from harness.errors import UserError
from harness.plan.planner import make_plan
from harness.records.plan import Plan

SUITE = """
question: Do surroundings matter?
base:
  model: lstm
  dataset: {name: lengths, batch_size: 8}
  use: [adam]
axes:
  where:
    here: {}
    away: {use: [LEVEL]}
compare: {axis: where, baseline: here}
measure: {speed: {}}
"""


def plan_of(level: str, catalog) -> Plan:
    return make_plan(read(SUITE.replace("LEVEL", level)), catalog)


@pytest.mark.parametrize(
    ("use", "environment"),
    [
        ("threads", {"HARNESS_THREADS": "2"}),
        ("{name: threads, count: 3}", {"HARNESS_THREADS": "3"}),
        ("{name: allocator, keep_mib: 2}", {"MALLOC_MMAP_THRESHOLD_": "2097152", "MALLOC_TRIM_THRESHOLD_": "2097152"}),
    ],
)
def test_environment_factors_set_variables(use, environment, catalog):
    (block,) = plan_of(use, catalog).blocks
    assert environment.items() <= block.trials[1].environment.items()
    assert block.trials[1].changes == "rounding"
    assert block.takes_turns


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("{name: threads, count: 0}", "threads: count = 0: it must be at least 1."),
        ("{name: allocator, keep_mib: 0}", "allocator: keep_mib = 0: it must be at least 1."),
        ("{name: allocator, preload: nowhere.so}", "allocator: preload = 'nowhere.so': file not found."),
    ],
)
def test_impossible_environments_are_refused(use, message, catalog):
    with pytest.raises(UserError, match=re.escape(message)):
        plan_of(use, catalog)
