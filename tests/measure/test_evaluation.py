"""Scores on held-out examples: one criterion, batches of any size, models that depend on their batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import toy
from toy_suite import toy_catalog

from harness.measure.runtime.builder import TrialBuilder
from harness.measure.runtime.evaluation import LARGER, Evaluation, batches_of_similar_size
from harness.measure.runtime.watchdog import Watchdog
from harness.plugins.parts import Data

TEXT = """
question: How well?
base: {model: mlp, dataset: {name: cloud, batch_size: 8, held_out: 200}, use: [descent]}
axes: {what: {plain: {}, other: {}}}
compare: {axis: what, baseline: plain}
measure: {learning: {steps: 1}}
"""
DATA = toy.cloud(held_out=200)


@pytest.fixture
def evaluation(planned) -> Callable[..., Evaluation]:
    """The evaluation of a new model on this dataset, whose predictions `change` may change."""

    def make(data: Data = DATA, *settings: str, change: Callable[..., Any] | None = None) -> Evaluation:
        (block,) = planned("", *settings, text=TEXT).blocks
        built = TrialBuilder(toy_catalog()).build(block.baseline)
        if change is not None:
            predict = built.model.predict
            built.model.predict = lambda batch: change(predict(batch))
        return Evaluation(built, data, data.test, Watchdog(0.0))

    return make


def counted(evaluation: Evaluation) -> list[str]:
    """The calls of functions of the recipe from now on."""
    calls: list[str] = []

    def counting(name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        def call(model: Any, batch: Any) -> Any:
            calls.append(name)
            return inner(model, batch)

        return call

    built = evaluation.built
    built.forward, built.evaluate = counting("forward", built.forward), counting("evaluate", built.evaluate)
    return calls


def test_a_criterion_needs_one_pass_in_large_batches(evaluation):
    one = evaluation()
    calls = counted(one)
    found = one.scores()
    assert calls == ["evaluate"] * 7, "200 examples in batches of 4 x 8"
    batch = one.built.batch(one.test)
    one.built.model.eval()
    with torch.no_grad():
        assert found["loss"] == pytest.approx(float(one.built.model.loss(batch)), rel=1e-6)
    assert set(found) == {"loss", "close"}


def test_without_a_criterion_the_loss_is_the_model_s_in_batches_of_the_training_size(evaluation):
    one = evaluation(replace(DATA, criterion=None, scores={}))
    calls = counted(one)
    assert set(one.scores()) == {"loss"}
    assert calls == ["forward"] * 25, "predictions are not needed"
    both = evaluation(replace(DATA, criterion=None))
    calls = counted(both)
    assert both.scores()["loss"] == pytest.approx(evaluation().scores()["loss"], rel=1e-5)
    assert calls == ["forward", "evaluate"] * 25


@pytest.mark.parametrize("size", [1, 7, 64])
def test_scores_do_not_depend_on_the_batch_size(evaluation, size):
    data = replace(DATA, size=lambda example: abs(example[1][0]) + 1)
    found = evaluation(data, f"base.dataset.batch_size={size}").scores()
    assert found == pytest.approx(evaluation().scores(), rel=1e-5)


def test_batches_have_examples_of_similar_sizes_and_limited_memory():
    sizes = [1, 9, 2, 3, 2, 8, 1, 1, 10, 4] * 20
    data = replace(DATA, size=lambda example: example)
    batches = batches_of_similar_size(data, sizes, 3)
    assert sorted(position for batch in batches for position in batch) == list(range(200))
    for batch in batches:
        assert len(batch) * max(sizes[position] for position in batch) <= LARGER * 3 * 10
    assert [max(sizes[p] for p in batch) for batch in batches] == sorted(max(sizes[p] for p in b) for b in batches)
    assert max(map(len, batches)) == 60, "small examples share a large batch"


def test_a_model_that_depends_on_its_batch_is_evaluated_as_in_training(evaluation):
    """Batches of similar sizes would hide that a model reads padding."""

    def change(predictions: torch.Tensor) -> torch.Tensor:
        return predictions + predictions.max()

    one = evaluation(change=change)
    calls = counted(one)
    found = one.scores()
    assert one.batch_dependent
    assert calls == ["evaluate"] * 25
    whole = evaluation(DATA, "base.dataset.batch_size=200", change=change)
    assert found["loss"] != pytest.approx(whole.scores()["loss"])
    assert not evaluation().batch_dependent


def test_predictions_that_are_not_one_tensor_are_evaluated_as_in_training(evaluation):
    data = replace(DATA, scores={}, criterion=lambda predictions, batch: toy.squared_errors(predictions[0], batch))
    one = evaluation(data, change=lambda predictions: [predictions])
    assert one.batch_dependent
    assert one.scores()["loss"] > 0


def test_the_constant_answer_has_every_score(evaluation):
    one = evaluation()
    mean = torch.tensor([y for _, _, y in DATA.train]).mean()
    ys = torch.tensor([y for _, _, y in DATA.test])
    assert one.constant(DATA.train) == pytest.approx(
        {"loss": float(((ys - mean) ** 2).mean()), "close": float(((ys - mean).abs() < 0.5).float().mean())}
    )
    assert evaluation(replace(DATA, constant=None)).constant(DATA.train) == {}
    assert set(evaluation(replace(DATA, criterion=None)).constant(DATA.train)) == {"close"}
