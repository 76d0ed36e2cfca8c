"""Reports that the tests of several formats share."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made import block, learning_block, record, runs
from made_effects import TIMES, plan_of, speed_records
from made_reports import BAD, NASTY

from harness.records.plan import Claim, Plan, Skipped
from harness.records.record import Record
from harness.report.report import report_of


def claim(says: str, level: str, by: float) -> Claim:
    return Claim(says, level, "step_time", "lower", by, "train", {}, "all", "ratio")


@pytest.fixture(scope="module")
def nasty(catalog):
    """A report in which every name has special characters of all formats."""
    this = replace(block(NASTY, "fast " + NASTY, "broken|one"), context={"axis|&": NASTY, "two": "<b>"})
    records = [
        record(this, trial.level, n, [2e6 if trial is this.baseline else 1e6] * 10)
        for trial in this.trials[:2]
        for n in range(5)
    ]
    records.append(Record(this.id, "broken|one", "x", "verify", "variant", 0, 1, "failed", BAD))
    claims = (
        claim(NASTY, "fast " + NASTY, 0.05),
        claim("not so " + BAD, "fast " + NASTY, 0.9),
        claim("c", "nobody", 0.1),
    )
    skipped = (Skipped({"axis|&": "x", "two": "y", NASTY: "z"}, "because | & <reason>"),)
    plan = Plan("sui_te&<", f"Is {NASTY} fast?", NASTY, (this,), skipped, claims)
    facts = {"processor": "CPU & <Co> | 50%", "cores": 2}
    return replace(report_of(plan, records, catalog, facts, "sui_te/run"), problems=("metric m | <x>: " + BAD,))


@pytest.fixture(scope="module", params=["nasty", "nothing", "failed", "design", "learning"])
def report(request, catalog, nasty):
    """Reports of all kinds."""
    if request.param == "nasty":
        return nasty
    if request.param == "design":
        plan = plan_of()
        return report_of(plan, speed_records(plan.blocks[0], TIMES), catalog, {})
    if request.param == "learning":
        this = learning_block("plain", "fast")
        values = {"plain": [0.1, 0.2, 0.3, 0.2, 0.1], "fast": [0.4, 0.5, 0.6, 0.5, 0.4]}
        records = [r for level, each in values.items() for r in runs(this, level, close=each)]
        return report_of(Plan("s", "q", "what", (this,)), records, catalog, {})
    this = block("a", "b")
    records = []
    if request.param == "failed":
        records = [Record(this.id, "a", "a", "verify", "variant", 0, 1, "failed", "the baseline broke")]
    return report_of(Plan("s", "q", "what", (this,)), records, catalog, {})
