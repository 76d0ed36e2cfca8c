"""Runs of sequence models from their training to the verdict and the answer to a claim."""

from __future__ import annotations

from pathlib import Path

import pytest
from tasks import task
from toy_suite import read

from harness.analysis.findings import Findings, find
from harness.measure.kinds.learning import learn
from harness.measure.runtime.builder import TrialBuilder
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.records.record import Record
from harness.report.summary import summary_of

FORGET = """
question: Does the forget bias of a constructor survive?
base:
  model: {name: constructor_lstm}
  dataset: {name: lengths, distribution: fixed, mean: 6, examples: 800, vocabulary: 12, batch_size: 32}
  use: [{name: adam, lr: 0.03}]
axes: {forget: {zero: {}, other: {model: {forget: 50.0}}}}
compare: {axis: forget, baseline: zero}
measure: {learning: {seeds: 5, steps: 60, evaluations: 1, metric: loss, margin: 1%}}
claims:
  - {says: A forget bias of 50 changes nothing, level: other, metric: loss, expect: equal within 1%}
"""
ADDING = """
question: Which cell adds better?
base:
  model: {name: lstm, hidden_size: 16}
  dataset: {name: adding, length: 24, examples: 200, test_examples: 100, batch_size: 20}
  use: [{name: sgd, lr: 1e-6}]
axes: {cell: {lstm: {}, other: {model: gru}}}
compare: {axis: cell, baseline: lstm}
measure: {learning: {seeds: 5, steps: 5, evaluations: 1, metric: loss, margin: 10%}}
claims:
  - {says: Both add equally well, level: other, metric: loss, expect: equal within 10%}
"""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog(load_plugins([Path(__file__).parent.parent / "constructor_lstm.py"]))


def trained(text: str, catalog: Catalog) -> Findings:
    """What the suite finds, trained in this process."""
    plan, builder = make_plan(read(text), catalog), TrialBuilder(catalog)
    (block,) = plan.blocks
    records = []
    for seed in block.measures.learning.seeds:
        for trial in block.trials:
            data = {"seed": seed, **learn(task(block, trial.level, builder, seed=seed))}
            records.append(
                Record(block.id, trial.level, trial.id, "learning", "variant", len(records), 1, "ok", "", data)
            )
    return find(plan, records, catalog)


def test_a_treatment_in_a_constructor_takes_effect(catalog):
    findings = trained(FORGET, catalog)
    (one,) = findings.learning.learned
    assert one.records("other")[0].data["shared"] == [
        "embedding.weight", "encoder.w.weight", "encoder.u.weight", "classifier.weight", "classifier.bias",
    ]  # fmt: skip
    compared = one.compare("other", "loss")
    assert abs(compared.size - 1) > 0.05
    assert compared.verdict in ("better", "worse")
    assert findings.claims[0].answer == "fails"


def test_the_same_constructor_is_identical(catalog):
    findings = trained(FORGET.replace("forget: 50.0", "forget: 0.0, hidden_size: 8"), catalog)
    assert findings.learning.learned[0].compare("other", "loss").verdict == "identical"
    assert findings.claims[0].answer == "undecided"


def test_nothing_learned_is_said_before_any_verdict(catalog):
    findings = trained(ADDING, catalog)
    (one,) = findings.learning.learned
    assert one.constant("loss")[0] == pytest.approx(0.04, abs=0.01)
    compared = one.compare("other", "loss")
    assert (compared.verdict, compared.reason) == ("unranked", "nothing learned")
    assert summary_of(findings)[0].startswith(
        "Nothing learned: no level is shown to have a better loss than a constant"
    )
    assert findings.claims[0].answer == "undecided"
