"""Warnings of a plan, and the places of what is found after planning."""

from __future__ import annotations

import json

from toy_suite import SUITE, read, toy_catalog

from harness.plan.places import place_of, place_of_level
from harness.plan.planner import make_plan
from harness.records.plan import Plan
from harness.report.report import report_of

ABLATION = """
question: What does each do?
base: {model: linear, dataset: {name: points, batch_size: 8}, use: [descent]}
axes:
  turned: {off: {}, on: {use: [spin]}}
  order: {kept: {}, reversed: {use: [reverse]}}
design: factorial
measure: {speed: {}}
"""
LEARNING = SUITE.replace("speed: {warm_up", "learning: {seeds: 2, steps: 20, evaluations: 5}\n  speed: {warm_up")


def test_remarks_of_parts_have_a_place_and_are_stored(planned):
    cycle = "far: {use: [{name: one_cycle, total: 90}]}\n    same: {use: [one_cycle]}"
    plan = planned(cycle, text=LEARNING)
    remark = "suite.yaml:10:24: one_cycle: the cycle has 90 updates, and a run has 20 steps."
    assert plan.remarks == (remark,)
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    report = report_of(plan, [], toy_catalog(), {})
    assert report.warnings == (remark,)
    assert planned(cycle).remarks == (), "steps are only timed"


def test_too_many_evaluations_are_remarked(planned):
    plan = planned(text=LEARNING.replace("evaluations: 5", "evaluations: 50"))
    assert plan.remarks == ("suite.yaml:13:48: a run has 20 steps, so it is evaluated only 20 times.",)
    assert planned(text=LEARNING.replace(", evaluations: 5", "").replace("20", "10")).remarks == ()


def test_places_of_values_that_fail_after_planning(planned):
    suite = read(SUITE.replace("axes:", "axes:\n  size: {path: dataset.size, values: [64, 128]}"))
    plan = make_plan(suite, toy_catalog())
    block = plan.blocks[1]
    assert str(place_of(suite, block, block.baseline, "dataset", "size")) == "suite.yaml:8:43"
    assert str(place_of(suite, block, block.baseline, "dataset", "name")) == "suite.yaml:5:19"
    assert str(place_of(suite, block, block.trials[1], "use", "reverse")) == "suite.yaml:11:23"
    assert str(place_of_level(suite, block, block.trials[1])) == "suite.yaml:11:5"
    ablation = read(ABLATION)
    block = make_plan(ablation, toy_catalog()).blocks[0]
    places = {trial.level: str(place_of_level(ablation, block, trial)) for trial in block.trials}
    assert places["none"].startswith("suite.yaml:")
    assert len(set(places.values())) == 3, "the base, and the first factor that is on"
