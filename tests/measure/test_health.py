"""The health of a short training run: norms before and after the update, the first bad step, probes of models."""

from __future__ import annotations

import json

import pytest
import torch
from tasks import task

from harness.analysis.quantities import find_quantities
from harness.builtin.health import Health, clipped_cell
from harness.measure.kinds.health import measure_health, probe
from harness.measure.kinds.learning import learn
from harness.measure.runtime.builder import TrialBuilder
from harness.plugins.catalog import core_catalog
from harness.records.plan import Block, Plan
from harness.records.record import Record
from harness.report.tables.quantities import section_of

TEXT = """
question: What does training look like?
base:
  model: linear
  dataset: {name: cloud, batch_size: 8}
  use: [{name: descent, lr: 0.05}]
axes: {what: {plain: {}, other: OTHER}}
compare: {axis: what, baseline: plain}
measure: {health: {steps: 10, looks: 2}, learning: {steps: 10, evaluations: 1}}
"""


@pytest.fixture
def looked(planned, catalog):
    """Both levels' health, and the block."""

    def look(other: str, *settings: str) -> tuple[Block, dict, dict]:
        (block,) = planned("", *settings, text=TEXT.replace("OTHER", other)).blocks
        settings = block.measures.get("health", Health)
        found = [measure_health(task(block, level, catalog, settings=settings)) for level in ("plain", "other")]
        for data in found:
            json.dumps(data, allow_nan=False)
        return block, *found

    return look


def test_norms_before_and_after_clipping(looked):
    _, plain, short = looked("{use: [{name: shorten, max_norm: 2.0}]}")
    assert plain["steps"] == short["steps"] == len(short["before"]) == len(short["after"]) == 10
    assert plain["after"] == plain["before"], "nothing in this update shortens it"
    assert short["before"][0] == plain["before"][0] > 2
    assert min(short["before"]) < 2 < max(short["before"])
    assert short["after"] == pytest.approx([min(norm, 2.0) for norm in short["before"]], rel=1e-4)
    assert plain["first_bad"] is short["first_bad"] is None


def test_health_trains_as_learning_does(looked, catalog):
    block, plain, _ = looked("{}")
    run = learn(task(block, "plain", catalog, seed=block.baseline.seed))
    assert plain["before"] == pytest.approx(run["gradient_norm"], rel=1e-4)


def test_the_share_of_clipped_steps():
    assert clipped_cell([2.0, 4.0, 0.5, 8.0], [1.0, 1.0, 0.5, 1.0]) == "75%, to 25%"
    assert clipped_cell([2.0, 4.0], [2.0, 3.9999]) == "0%", "rounding is no clipping"
    assert clipped_cell([2.0, None, 4.0], [1.0, None, 4.0]) == "50%, to 50%"
    assert clipped_cell([], []) == clipped_cell([0.0], [0.0]) == "-"


@pytest.mark.parametrize("at", [3, 9])
@pytest.mark.parametrize("how", ["nan", "gradient"])
def test_the_first_step_that_is_not_finite(looked, how, at):
    block, plain, bad = looked(f"{{use: [{{name: spoil, how: {how}, at: {at}}}]}}")
    assert bad["first_bad"] == at
    assert bad["steps"] == at + 1
    assert bad["before"][:at] == plain["before"][:at]
    rows = table(block, plain, bad).rows
    assert rows[0][3] == "never"
    assert rows[1][3] == str(at)


def test_weights_that_are_not_finite_are_found_in_the_next_step(looked):
    block, plain, bad = looked("{model: with_health, use: [{name: spoil, how: weights, at: 4}]}")
    assert bad["first_bad"] == 5
    assert bad["looked"] == [0, 5]
    assert bad["probes"]["rows"][1] == [None] * 4
    assert "- - - -" in table(block, plain, bad).rows[1], "and the table can show them"


def table(block: Block, *found: dict):
    records = [
        Record(block.id, trial.level, trial.id, "health", "variant", number, 1, "ok", "", json.loads(json.dumps(data)))
        for number, (trial, data) in enumerate(zip(block.trials, found, strict=True))
    ]
    (health,) = find_quantities(core_catalog(), Plan("s", "q", "what", (block,)), records, {}, frozenset(), [])
    section = section_of(health, [])
    assert section
    return section.tables[0]


def test_probes_of_a_model_are_recorded(looked):
    block, plain, with_health = looked("{model: with_health}")
    assert plain["probes"] == {}
    assert with_health["looked"] == [0, 5, 10]
    assert {name: len(looks) for name, looks in with_health["probes"].items()} == {"drawn": 3, "lags": 3, "rows": 3}
    assert with_health["probes"]["rows"][0] != with_health["probes"]["rows"][2]
    shown = table(block, plain, with_health)
    assert shown.headers == ("what", "gradient norm", "clipped", "first bad step", "drawn", "rows")
    assert shown.rows[0][4:] == ("-", "-")
    first, last = with_health["probes"]["drawn"][0], with_health["probes"]["drawn"][-1]
    assert shown.rows[1][4] == f"{first:.3g} to {last:.3g}"
    assert shown.notes[0].endswith("Gradients by lag are shown at 2, 1, 0 steps before the end.")


def test_probing_changes_nothing(looked):
    """The one model draws and takes gradients whenever it is asked; both train alike, with updates drawn at random."""
    _, plain, with_health = looked("{model: with_health}", "base.use.harmful={}")
    assert with_health["before"] == plain["before"]


def test_accumulated_gradients_are_restored_after_probing(planned, catalog):
    (block,) = planned("", text=TEXT.replace("OTHER", "{model: with_health}")).blocks
    built = TrialBuilder(catalog).build(block.trials[1])
    batch = built.batch(TrialBuilder(catalog).data(block.baseline.dataset).train[:8])
    built.model.loss(batch).backward()
    before = [parameter.grad.clone() for parameter in built.model.parameters()]
    state = torch.get_rng_state()
    one = probe(built.model, batch)
    assert one == probe(built.model, batch), "each look begins without gradients, and draws alike"
    assert torch.equal(torch.get_rng_state(), state)
    for parameter, gradient in zip(built.model.parameters(), before, strict=True):
        assert torch.equal(parameter.grad, gradient)
