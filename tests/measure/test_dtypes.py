"""A model is measured in the dtypes that its author gave it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tasks import task
from toy_suite import TOY, read

from harness.measure.kinds.learning import learn
from harness.measure.kinds.verify import verify_block
from harness.measure.runtime.builder import BuiltTrial, TrialBuilder
from harness.measure.runtime.dtypes import floats_as, input_dtype, to_float64
from harness.measure.runtime.evaluation import Evaluation
from harness.measure.runtime.pairing import is_same, shared_weights
from harness.measure.runtime.watchdog import Watchdog
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.records.plan import Block

TEXT = """
question: In which dtype is it measured?
base: {model: linear, dataset: {name: cloud, batch_size: 8}, use: [descent]}
axes: {what: {plain: {}, other: {model: OTHER}}}
compare: {axis: what, baseline: plain}
measure: {learning: {steps: 4, evaluations: 1, seeds: 1}}
"""
BFLOAT16, FLOAT64 = torch.bfloat16, torch.float64


@pytest.fixture(scope="module")
def builder() -> TrialBuilder:
    return TrialBuilder(Catalog(load_plugins([TOY, Path(__file__).parent.parent / "odd_models.py"])))


def block_of(builder: TrialBuilder, other: str) -> Block:
    return make_plan(read(TEXT.replace("OTHER", other), catalog=builder.catalog), builder.catalog).blocks[0]


def built(builder: TrialBuilder, other: str, *, exact: bool = False) -> BuiltTrial:
    return builder.build(block_of(builder, other).trial("other"), exact=exact)


@pytest.mark.parametrize(
    ("other", "parameters", "inputs"),
    [
        ("linear", {torch.float32}, torch.float32),
        ("{name: typed, dtype: bfloat16}", {BFLOAT16}, BFLOAT16),
        ("{name: typed, dtype: float64}", {FLOAT64}, FLOAT64),
        ("complex_linear", {torch.complex64}, torch.float32),
        ("mixed", {BFLOAT16, torch.float32}, torch.float32),  # its inputs stay as the dataset gives them
        ("says", {FLOAT64, torch.float32}, FLOAT64),
    ],
)
def test_parameters_keep_their_dtypes_and_inputs_follow(builder, other, parameters, inputs):
    one = built(builder, other)
    examples = builder.data(one.trial.dataset).train[:8]
    assert {parameter.dtype for parameter in one.model.parameters()} == parameters
    assert [one.batch(examples).x.dtype for _ in range(2)] == [inputs, inputs]
    block = block_of(builder, other)
    assert [finding["reason"] for finding in verify_block(block, builder, Watchdog(0.0))] == ["", ""]
    found = learn(task(block, "other", builder, seed=0))
    assert found["diverged_at"] is None
    assert found["loss"][0] != found["loss"][-1]
    assert all(norm > 0 for norm in found["gradient_norm"])


def test_the_exact_model_is_in_float64(builder):
    assert {parameter.dtype for parameter in built(builder, "linear", exact=True).model.parameters()} == {FLOAT64}
    exact = built(builder, "complex_linear", exact=True)
    assert {parameter.dtype for parameter in exact.model.parameters()} == {torch.complex128}
    assert exact.batch(builder.data(exact.trial.dataset).train[:2]).x.dtype == FLOAT64


def test_labels_are_not_rounded_when_a_model_of_lower_precision_is_scored(builder):
    one = built(builder, "{name: typed, dtype: bfloat16}")
    data, seen = builder.data(one.trial.dataset), []

    def watched(predictions, batch):
        seen.append((predictions.dtype, batch.y.dtype))
        return data.criterion(predictions, batch)

    Evaluation(one, replace(data, criterion=watched), data.test, Watchdog(0.0)).scores()
    assert set(seen) == {(BFLOAT16, torch.float32)}


def test_initial_weights_are_shared_up_to_the_lower_precision(builder):
    plain, low = built(builder, "linear"), built(builder, "{name: typed, dtype: bfloat16}")
    assert shared_weights(low, plain) == {}
    one = torch.tensor([1.0, 2.0])
    assert is_same(one, one.double())
    assert is_same(torch.tensor([1.001]), torch.tensor([1.001]).bfloat16())
    assert not is_same(one, torch.tensor([1, 2]))
    assert not is_same(one, one.to(torch.complex64))
    assert not is_same(one, one + 1e-6)


def test_a_batch_is_converted_only_where_it_must_be():
    batch = {"x": torch.ones(2), "ids": torch.ones(2, dtype=torch.int64), "more": [torch.ones(1).double()]}
    assert floats_as({"x": batch["x"]}, torch.float32)["x"] is batch["x"]
    found = floats_as(batch, FLOAT64)
    assert (found["x"].dtype, found["ids"].dtype, found["more"][0].dtype) == (FLOAT64, torch.int64, FLOAT64)
    assert floats_as(7, FLOAT64) == 7


def test_a_model_without_parameters_says_nothing_about_its_inputs():
    assert input_dtype(torch.nn.ReLU()) is None
    model = torch.nn.BatchNorm1d(2)
    to_float64(model)
    assert model.running_mean.dtype == FLOAT64
    assert model.num_batches_tracked.dtype == torch.int64
