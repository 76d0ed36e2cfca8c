"""What a level shares with its baseline: initial weights where its treatment is not in them, and the loss function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tasks import task
from toy_suite import TOY, read

from harness.measure.kinds.learning import built_under, learn
from harness.measure.runtime.builder import TrialBuilder
from harness.measure.runtime.pairing import shared_weights
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.records.plan import Block

TEXT = """
question: What is shared?
base: {model: BASE, dataset: {name: DATA, batch_size: 8}, use: [USE]}
axes: {what: {plain: {}, other: OTHER}}
compare: {axis: what, baseline: plain}
measure: {learning: {steps: 2, evaluations: 1, seeds: 1}}
"""
NAMES = {"embedding.weight", "last.weight", "last.bias", "scale"}


@pytest.fixture(scope="module")
def builder() -> TrialBuilder:
    return TrialBuilder(Catalog(load_plugins([TOY, Path(__file__).parent.parent / "paired_parts.py"])))


@pytest.fixture
def block(builder) -> Callable[..., Block]:
    """The block of this level and its baseline."""

    def plan(other: str, base: str = "table", data: str = "cloud", use: str = "descent") -> Block:
        text = TEXT.replace("OTHER", other).replace("BASE", base).replace("DATA", data).replace("USE", use)
        (one,) = make_plan(read(text), builder.catalog).blocks
        return one

    return plan


def learnt(block: Block, level: str, builder: TrialBuilder) -> dict[str, Any]:
    return learn(task(block, level, builder, seed=0))


@pytest.mark.parametrize(
    ("other", "own", "value"),
    [
        ("{model: {bias: 50.0}}", "last.bias", 50.0),
        ("{model: {scale: 4.0}}", "scale", 4.0),  # a buffer
        ("{use: [rescaled]}", "last.bias", 3.0),  # changes the seam `build`
        ("{use: [filled]}", "last.bias", 2.0),  # changes the seam `init`
        ("{model: {spread: 5.0}}", "embedding.weight", None),
    ],
)
def test_a_treatment_of_the_initial_weights_takes_effect(block, builder, other, own, value):
    one = block(other)
    plain, treated = (built_under(one, level, 0, builder).model.state_dict() for level in ("plain", "other"))
    assert not torch.equal(plain[own], treated[own])
    if value is not None:
        assert bool((treated[own] == value).all())
    for name in NAMES - {own}:
        assert torch.equal(plain[name], treated[name]), name
    found = learnt(one, "other", builder)
    assert (set(found["shared"]), found["tensors"]) == (NAMES - {own}, 4)
    assert found["scores"] != learnt(one, "plain", builder)["scores"]


def test_tied_weights_stay_tied_and_their_own(block, builder):
    """The tensor has two names. Under one of them, the baseline has another tensor."""
    one = block("{model: {tied: true}}")
    plain, tied = (built_under(one, level, 0, builder) for level in ("plain", "other"))
    assert tied.model.last.weight is tied.model.embedding.weight
    assert torch.equal(tied.model.embedding.weight, plain.model.embedding.weight)
    assert set(shared_weights(tied, plain)["shared"]) == NAMES - {"last.weight"}


def test_a_treatment_in_the_baseline_takes_effect_too(block, builder):
    one = block("{drop: [rescaled]}", use="descent, rescaled")
    plain, other = (built_under(one, level, 0, builder).model.last.bias for level in ("plain", "other"))
    assert bool((plain == 3.0).all())
    assert bool((other == 0.0).all())


def test_a_level_that_promises_the_same_function_gets_the_weights_of_the_baseline(block, builder):
    one = block("{use: [shorten]}")
    assert one.trial("other").changes == "update"
    assert "shared" not in learnt(one, "other", builder)
    weights = {name: tensor + 1 for name, tensor in builder.weights(one.baseline).items()}
    built = builder.build(one.trial("other"), weights).model.state_dict()
    assert all(torch.equal(built[name], tensor) for name, tensor in weights.items())


SAME, DIFFERENT, UNKNOWN = "", "given the same predictions", "its loss may be another function"


@pytest.mark.parametrize(
    ("base", "other", "found"),
    [
        ("linear", "{model: {name: mlp, hidden_size: 4}}", SAME),  # of one class
        ("linear", "{model: table}", SAME),  # of two classes, and both call predict
        ("table", "{model: {bias: 50.0}}", SAME),
        ("table", "{use: [named]}", SAME),
        ("table", "{use: [robust]}", DIFFERENT),
        ("table", "{model: weighted}", DIFFERENT),
        ("direct", "{model: {width: 8}}", SAME),  # the code and what it reads are the same
        ("direct", "{model: {power: 1.5}}", DIFFERENT),  # seen with the same weights
        ("direct", "{model: {width: 8, power: 1.5}}", UNKNOWN),
        ("table", "{model: direct}", UNKNOWN),
    ],
)
def test_losses_of_different_functions_are_found(block, builder, base, other, found):
    one = block(other, base, "plain_cloud")
    weights = built_under(one, "other", 0, builder).model.state_dict()
    reason = learnt(one, "other", builder).get("own_objective", "")
    assert reason.startswith(found)
    assert bool(reason) == bool(found)
    again = built_under(one, "other", 0, builder).model.state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in weights.items())
    assert "own_objective" not in learnt(one, "plain", builder)


def test_with_a_criterion_every_level_has_the_same_loss(block, builder):
    assert "own_objective" not in learnt(block("{use: [robust]}"), "other", builder)


def test_a_comparison_of_losses_does_not_change_the_run(block, builder):
    """Weights that are copied for the comparison are restored."""
    one = block("{model: {bias: 50.0}}", "table", "plain_cloud")
    plain = learnt(one, "other", builder)
    alone = block("{model: {bias: 50.0}}", "{name: table, bias: 50.0}", "plain_cloud")
    assert learnt(alone, "plain", builder)["loss"] == plain["loss"]
