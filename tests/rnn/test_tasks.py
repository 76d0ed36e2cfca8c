"""Synthetic tasks with features, numeric targets and step labels: generation as in their papers, and training."""

from __future__ import annotations

import math
import re

import pytest
import torch
from harness_rnn.contract import NO_LABEL, PADDING, collate
from harness_rnn.datasets import adding as adding_module
from harness_rnn.datasets.adding import adding
from harness_rnn.datasets.copy_memory import BLANK, DELIMITER, copy_memory
from harness_rnn.models.torch_rnn import lstm
from harness_rnn.optimizations.pad_to import pad_to
from toy_suite import read

from harness.errors import UserError
from harness.plan.planner import make_plan
from harness.plugins.recipe import Recipe
from harness.testing import assert_promises

SMALL = {
    "adding": {"length": 24, "examples": 64, "test_examples": 8},
    "copy_memory": {"lag": 15, "examples": 64, "test_examples": 8, "ask": "answer"},
}
SUITE = """
question: Does it plan?
base:
  model: lstm
  dataset: DATASET
  use: [adam]
axes: {how: {plain: {}, clipped: {use: [clip]}}}
compare: {axis: how, baseline: plain}
measure: {speed: {}}
"""


def everything(data) -> list:
    return [*data.train, *data.test]


def refused(dataset: str, catalog) -> str:
    """The error message for a suite with this dataset."""
    with pytest.raises(UserError) as caught:
        make_plan(read(SUITE.replace("DATASET", dataset)), catalog)
    return str(caught.value)


def test_the_original_adding_problem():
    data = adding(length=40, examples=2000, test_examples=200)
    zeroed = 0
    for example in everything(data):
        numbers, markers = example.tokens.T
        marked = markers.eq(1).nonzero()[:, 0].tolist()
        assert len(marked) == 2
        assert marked[0] < 10
        assert marked[1] < 20
        assert markers[-1] == -1
        assert markers[0] == (1 if marked[0] == 0 else -1)
        assert markers.eq(0).sum() == len(markers) - 2 - int(markers.eq(-1).sum())
        assert numbers.abs().max() <= 1
        if marked[0] == 0:
            assert numbers[0] == 0
            zeroed += 1
        assert example.label == pytest.approx(0.5 + float(numbers[marked].sum()) / 4, abs=1e-6)
    assert 0.05 < zeroed / 2200 < 0.3
    lengths = [len(example.tokens) for example in data.train]
    assert (min(lengths), max(lengths), len(set(lengths))) == (40, 44, 5)
    numbers = torch.cat([example.tokens[:, 0] for example in data.train])
    assert abs(numbers.mean()) < 0.02
    assert numbers.std() == pytest.approx(3**-0.5, rel=0.02)


def test_the_fixed_adding_problem_and_its_baseline():
    data = adding(length=50, examples=4000, test_examples=8, variant="fixed")
    batch = collate(data.train)
    assert batch.tokens.shape == (4000, 50, 2)
    assert batch.labels.dtype == torch.float32
    numbers, markers = batch.tokens.unbind(2)
    assert (markers[:, :25].sum(1) == 1).all()
    assert (markers[:, 25:].sum(1) == 1).all()
    assert set(markers.unique().tolist()) == {0, 1}
    assert 0 <= numbers.min() < 0.001 < 0.999 < numbers.max() <= 1
    assert torch.allclose((numbers * markers).sum(1), batch.labels)
    model = lstm(data.facts, hidden_size=4)
    assert float(model.criterion(torch.ones(4000, 1), batch.labels)) == pytest.approx(0.167, abs=0.005)


@pytest.mark.parametrize(("variant", "bound"), [("original", 0.04), ("fixed", 0.08)])
def test_a_sum_is_solved_within_a_share_of_its_range(variant, bound):
    data = adding(**{**SMALL["adding"], "variant": variant})
    batch = collate(data.test)
    off = torch.tensor([0.9, 1.1, -0.9, -1.1, 0, 0, 2, 2]) * bound
    solved = data.scores["solved"]((batch.labels + off)[:, None], batch)
    assert solved.tolist() == [1, 0, 1, 0, 1, 1, 0, 0]


@pytest.mark.parametrize("ask", ["all", "answer"])
def test_copying(ask):
    data = copy_memory(lag=30, examples=200, test_examples=8, ask=ask)
    batch = collate(data.train)
    assert batch.tokens.shape == (200, 50)
    symbols = batch.tokens[:, :10]
    assert set(symbols.unique().tolist()) == set(range(2, 10))
    assert (batch.tokens[:, 10:39] == BLANK).all()
    assert (batch.tokens[:, 39] == DELIMITER).all()
    assert (batch.tokens[:, 40:] == BLANK).all()
    assert torch.equal(batch.labels[:, 40:], symbols - 1)
    assert (batch.labels[:, :40] == (0 if ask == "all" else NO_LABEL)).all()
    assert (data.facts.vocabulary, data.facts.classes) == (DELIMITER + 1, 9)


@pytest.mark.parametrize(("ask", "loss"), [("all", 10 * math.log(8) / 50), ("answer", math.log(8))])
def test_memoryless_model_copies_nothing(ask, loss):
    """A model that predicts only the blanks: the paper's baseline."""
    data = copy_memory(lag=30, examples=50, test_examples=20, ask=ask)
    batch = collate(data.test)
    logits = torch.full((20, 50, 9), -1e4)
    logits[:, :40, 0] = 0
    logits[:, 40:, 1:] = 0
    assert float(lstm(data.facts).criterion(logits, batch.labels)) == pytest.approx(loss, rel=1e-5)
    assert data.scores["step_accuracy"](logits, batch).shape == (200,)  # blanks do not count
    logits[3:5, torch.arange(40, 50), 1:] -= 1e3
    for row in range(20):
        right = 10 if row != 4 else 9
        for step in range(40, 40 + right):
            logits[row, step, batch.tokens[row, step - 40] - 1] = 9
    logits[4, 49, 0] = 9  # one symbol of one row is predicted as a blank
    assert data.scores["step_accuracy"](logits, batch).mean() == pytest.approx(199 / 200)
    assert data.scores["whole"](logits, batch).tolist() == [1.0] * 4 + [0.0] + [1.0] * 15


@pytest.mark.parametrize("name", SMALL)
def test_seed_determines_the_dataset(name, catalog):
    code = {"adding": adding, "copy_memory": copy_memory}[name]
    one, same, other = (collate(everything(code(**SMALL[name], seed=seed))) for seed in (1, 1, 2))
    assert torch.equal(one.tokens, same.tokens)
    assert torch.equal(one.labels, same.labels)
    assert not torch.equal(one.tokens[:, :20], other.tokens[:, :20])
    assert code(**SMALL[name]).exchangeable
    train = code(**SMALL[name]).train
    assert not any(torch.equal(train[0].tokens, example.tokens) for example in train[1:])


def test_pads_of_features_and_of_step_labels():
    for data, pad in ((adding(**SMALL["adding"]), None), (copy_memory(**SMALL["copy_memory"]), NO_LABEL)):
        whole = collate(data.train[:4])
        padded = pad_to(Recipe(), length=60).seam("collate", collate)(data.train[:4])
        steps = whole.tokens.shape[1]
        assert padded.tokens.shape == (4, 60, *whole.tokens.shape[2:])
        assert torch.equal(padded.tokens[:, :steps], whole.tokens)
        assert (padded.tokens[:, steps:] == PADDING).all()
        if pad is None:
            assert torch.equal(padded.labels, whole.labels)
        else:
            assert torch.equal(padded.labels[:, :steps], whole.labels)
            assert (padded.labels[:, steps:] == pad).all()


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    ("model", "level"),
    [
        ("lstm", {"use": ["pack"]}),
        ("lstm", {"use": [{"name": "segment", "overhead": 5}, {"name": "pad_to", "length": 60}, "bucket"]}),
        ("gru", {"model": "scratch_gru"}),
        ("scratch_lstm", {"use": [{"name": "segment", "overhead": 5}]}),
        ("lstm", {"use": ["last_naive"]}),
    ],
)
def test_optimizations_keep_their_promises(name, model, level, catalog):
    if name == "copy_memory" and level == {"use": ["last_naive"]}:
        level = {"use": ["bucket"]}  # with labels for steps, there is no readout
    base = {
        "model": {"name": model, "hidden_size": 8, "embedding_size": 4, "num_layers": 2, "bidirectional": True},
        "dataset": {"name": name, "batch_size": 8, **SMALL[name]},
        "use": ["adam"],
    }
    assert_promises(base, level, catalog=catalog)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("{name: adding, length: 19}", "length = 19 is too short to mark a step among the first ten and one"),
        (
            "{name: adding, length: 1, variant: fixed}",
            "length = 1 is too short to mark a step in each half: it must be at least 2.",
        ),
        ("{name: adding, examples: 0}", "examples = 0 and test_examples = 512: each must be at least 1."),
        ("{name: copy_memory, lag: 0}", "lag = 0 leaves no room for the delimiter: it must be at least 1."),
        ("{name: copy_memory, test_examples: 0}", "test_examples = 0: each must be at least 1."),
    ],
)
def test_impossible_parameters_are_refused(dataset, message, catalog):
    assert re.match(r"suite.yaml:\d+:\d+: dataset \w+ \(plugin", said := refused(dataset, catalog))
    assert message in said


def test_the_shortest_sequences_can_be_drawn():
    for settings in ({"length": 20}, {"length": 2, "variant": "fixed"}):
        assert len(adding(examples=300, test_examples=1, **settings).train) == 300
    assert len(copy_memory(lag=1, examples=2, test_examples=1).train[0].tokens) == 21
    assert adding_module.VERSION in adding_module.fingerprint(
        length=20, examples=1, test_examples=1, variant="original", seed=0
    )
