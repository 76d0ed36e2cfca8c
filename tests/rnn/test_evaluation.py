"""The criterion, the constant answer and the sizes of sequence datasets, and evaluation by length."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from harness_rnn.contract import Sequences, collate, sequence_data
from harness_rnn.datasets.adding import adding
from harness_rnn.datasets.char_lm import char_lm
from harness_rnn.datasets.copy_memory import copy_memory
from harness_rnn.datasets.lengths import lengths
from harness_rnn.models.torch_rnn import lstm
from toy_suite import read, toy_catalog

from harness.measure.kinds.learning import built_under
from harness.measure.runtime.builder import TrialBuilder
from harness.measure.runtime.evaluation import Evaluation
from harness.measure.runtime.watchdog import Watchdog
from harness.plan.planner import make_plan
from harness.plugins.whole_score import WholeScore

DATASETS = {
    "class": lambda: lengths(examples=80, mean=12, vocabulary=20),
    "value": lambda: adding(length=24, examples=64, test_examples=8),
    "steps": lambda: copy_memory(lag=15, examples=64, test_examples=8),
    "text": lambda: char_lm(length=40, vocabulary=40),
}


@pytest.mark.parametrize("name", DATASETS)
def test_the_criterion_is_the_loss_of_the_models(name):
    data = DATASETS[name]()
    model = lstm(data.facts, hidden_size=6)
    batch = collate(data.test[:8])
    losses = data.criterion(model.predict(batch), batch)
    assert losses.ndim == 1
    assert losses.mean().item() == pytest.approx(model.loss(batch).item(), rel=1e-5)


def scored(data) -> dict[str, float]:
    """The mean criterion and scores of the constant answer on the test examples."""
    batch = collate(data.test[:])
    predictions = data.constant(data.train)(batch)
    means = {
        name: float(score(predictions, batch).mean())
        for name, score in data.scores.items()
        if not isinstance(score, WholeScore)
    }
    return {"loss": float(data.criterion(predictions, batch).mean()), **means}


def test_the_constant_answer_of_classes_is_their_frequency():
    data = sequence_data(*classes([0] * 60 + [1] * 30 + [2] * 10, [0] * 6 + [1] * 3 + [2]), lengths().facts)
    found = scored(data)
    entropy = -sum(share * math.log(share) for share in (0.6, 0.3, 0.1))
    assert found == pytest.approx({"loss": entropy, "accuracy": 0.6}, abs=0.02)


def classes(*parts):
    """A dataset of sequences with these classes for each part."""
    return [Sequences([[2, 3]] * len(labels), labels) for labels in parts]


def test_a_class_that_no_training_example_has_has_a_finite_loss():
    data = sequence_data(*classes([0] * 10, [3]), lengths().facts)
    assert math.isfinite(scored(data)["loss"])


def test_the_constant_answer_of_numbers_is_their_mean():
    data = adding(length=24, examples=4000, test_examples=4000)
    assert scored(data)["loss"] == pytest.approx(0.04, abs=0.003)
    fixed = adding(length=24, examples=4000, test_examples=4000, variant="fixed")
    assert scored(fixed)["loss"] == pytest.approx(1 / 6, rel=0.05)


@pytest.mark.parametrize(("ask", "steps"), [("all", 50), ("answer", 10)])
def test_the_constant_answer_of_copying_has_no_memory(ask, steps):
    found = scored(copy_memory(lag=30, examples=2000, test_examples=500, ask=ask))
    assert found["loss"] == pytest.approx(10 * math.log(8) / steps, rel=0.02)
    assert found["step_accuracy"] == pytest.approx(1 / 8, abs=0.02)
    assert found["whole"] == 0


def test_the_constant_answer_of_a_text_is_the_most_frequent_character():
    data = char_lm(length=100, vocabulary=60)
    labels = torch.cat([example.label for example in data.test])
    most = Counter(torch.cat([example.label for example in data.train]).tolist()).most_common(1)[0][0]
    found = scored(data)
    assert found["step_accuracy"] == pytest.approx(float((labels[labels >= 0] == most).float().mean()))
    assert found["bits_per_character"] == pytest.approx(found["loss"] / math.log(2), rel=1e-5)


SUITE = """
question: How are they evaluated?
base:
  model: {name: lstm, hidden_size: 6}
  dataset: {name: lengths, examples: 400, mean: 12, batch_size: 16}
  use: [adam]
axes: {what: {plain: {}, OTHER}}
compare: {axis: what, baseline: plain}
measure: {learning: {steps: 2}}
"""


@pytest.mark.parametrize(
    ("other", "as_in_training"),
    [
        ("packed: {use: [pack]}", False),
        ("sorted: {use: [{name: pack, enforce_sorted: true}]}", False),
        ("segmented: {use: [segment]}", False),
        ("mean: {use: [pool]}", False),
        ("transformer: {model: {name: transformer}}", False),
        ("naive: {use: [last_naive]}", True),
    ],
)
def test_levels_are_evaluated_by_length_unless_they_read_padding(other, as_in_training):
    """The result is that of single examples, in any order; of a level that reads padding, that of its own batches."""
    catalog = toy_catalog()
    text = SUITE.replace("OTHER", other)
    if "transformer" in other:
        text = text.replace("{name: lstm, hidden_size: 6}", "lstm")
    (block,) = make_plan(read(text), catalog).blocks
    builder = TrialBuilder(catalog)
    built = built_under(block, block.trials[1].level, 0, builder)
    data = builder.data(block.baseline.dataset)
    evaluation = Evaluation(built, data, data.test, Watchdog(0.0))
    assert evaluation.batch_dependent == as_in_training
    sizes = [len(batch) for batch in evaluation.batches]
    assert sum(sizes) == 50
    if as_in_training:
        assert sizes == [16, 16, 16, 2]
        return
    assert len(sizes) == 1 or max(sizes) > 16
    alone = replaced_batches(evaluation, [[position] for position in range(50)])
    assert evaluation.scores() == pytest.approx(alone, rel=1e-4)


def replaced_batches(evaluation: Evaluation, batches) -> dict[str, float]:
    before, evaluation.batches = evaluation.batches, batches
    found = evaluation.scores()
    evaluation.batches = before
    return found
