"""What to do about a variant that verification refuses."""

from __future__ import annotations

import pytest
from toy_suite import SUITE, read, toy_catalog

from harness.analysis.exits import exits_of
from harness.plan.planner import make_plan
from harness.records.record import Record
from harness.report.report import failure_line


def plan_with(level: str):
    return make_plan(read(SUITE.replace("{use: [reverse]}", level)), toy_catalog())


@pytest.mark.parametrize(
    ("level", "declared"),
    [
        ("{use: [halved]}", 'write changes="model" in harness.Optimization("halved") of the plugin toy.py'),
        ("{model: other}", 'give harness.Model("other") of the plugin toy.py another `computes`, or none'),
    ],
)
def test_both_exits_are_named(level, declared):
    (block,) = plan_with(level).blocks
    assert exits_of(block, "backwards") == (
        f"Correct backwards. Or, if it is meant to compute something else, {declared}."
    )
    assert exits_of(block, "plain") == exits_of(block, "nowhere") == ""


def test_the_report_names_them_for_a_broken_promise_only():
    plan = plan_with("{use: [halved]}")
    block = plan.blocks[0]

    def line(outcome: str) -> str:
        record = Record(block.id, "backwards", "id", "verify", "variant", 0, 1, outcome, "off by 1")
        return failure_line(plan, record)

    assert line("invalid").endswith(
        ": off by 1. Correct backwards. Or, if it is meant to compute something else, "
        'write changes="model" in harness.Optimization("halved") of the plugin toy.py.'
    )
    assert line("failed").endswith(": off by 1")
