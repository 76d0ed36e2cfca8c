"""Scores.

The loss and the scores of a dataset are means over the test examples, or are computed from all predictions at once.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import everyday_data
import pytest
import torch
from harness_rnn.contract import SequenceFacts, Sequences, sequence_data
from harness_rnn.models.torch_rnn import lstm
from harness_rnn.tasks import classes_and_labels
from harness_rnn.whole_scores import auc, macro_f1
from toy_suite import read, toy_catalog
from tried import tried

from harness import UserError, WholeScore
from harness.measure.runtime.builder import TrialBuilder
from harness.measure.runtime.evaluation import Evaluation
from harness.measure.runtime.watchdog import Watchdog
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.plugins.parts import Data

SUITE = """
question: How well?
base:
  model: {name: lstm, hidden_size: 6}
  dataset: {name: lengths, examples: 64, mean: 6, batch_size: SIZE}
  use: [adam]
axes: {what: {plain: {}, other: {}}}
compare: {axis: what, baseline: plain}
measure: {learning: {steps: 2}}
"""


def evaluation(data: Data, size: int) -> Evaluation:
    """The evaluation of a new model on a dataset, trained in batches of a size."""
    (block,) = make_plan(read(SUITE.replace("SIZE", str(size))), toy_catalog()).blocks
    built = TrialBuilder(toy_catalog()).build(block.baseline)
    torch.manual_seed(0)
    built.model = lstm(data.facts, hidden_size=6, embedding_size=4)
    return Evaluation(built, data, data.test, Watchdog(0.0))


def ragged() -> Data:
    """A label for each step: rows of one step are of class 0, rows of 99 steps of class 1."""
    sizes = [1, 99] * 8
    rows = [torch.full((size,), 2 + (size > 1)) for size in sizes]
    labels = [torch.full((size,), int(size > 1)) for size in sizes]
    facts = SequenceFacts(vocabulary=4, classes=2, task="steps")
    return sequence_data(Sequences(rows, labels), Sequences(rows, labels, 16), facts)


def classes(*labels: int) -> Data:
    """Short sequences with these classes in the test set."""
    rows = [torch.tensor([2 + number % 7, 2 + label]) for number, label in enumerate(labels)]
    return sequence_data(Sequences(rows, labels), Sequences(rows, labels, len(rows)), SequenceFacts(9, 1 + max(labels)))


@pytest.mark.parametrize("size", [1, 3, 16])
def test_the_loss_of_steps_does_not_depend_on_the_batch_size(size):
    """The loss and the accuracy of steps are means over all labelled steps, whatever the batch size.

    So are bits per character. A long sequence has the weight of its steps, and a smaller last batch less than others.
    """
    data = ragged()
    one = evaluation(data, size)
    found = one.scores()
    whole = data.collate(list(data.test[:]))
    one.built.model.eval()
    with torch.no_grad():
        losses = data.criterion(one.built.model.predict(whole), whole)
    assert len(losses) == 8 + 8 * 99
    assert found["loss"] == pytest.approx(float(losses.mean()), rel=1e-5)
    assert one.constant(data.train)["step_accuracy"] == pytest.approx(0.99)


class OwnLoss(torch.nn.Module):
    """Adds a penalty to the loss of another model."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.inner, self.predict, self.observe = model, model.predict, model.observe

    def loss(self, batch: Any) -> torch.Tensor:
        """A scalar."""
        return self.inner.loss(batch) + 1


@pytest.mark.parametrize("steps", [False, True])
def test_the_own_loss_of_a_model(steps):
    """Without a criterion of the dataset, the loss is the model's own, and each batch has the weight of its examples.

    If it is a mean over something else, such as steps, it depends on the batch size, and the report says so. Give the
    dataset a criterion.
    """
    data = replace(ragged() if steps else classes(*[0, 1] * 8), criterion=None)
    found = {}
    for size in (1, 16):
        one = evaluation(data, size)
        one.built.model = OwnLoss(one.built.model)
        again = Evaluation(one.built, data, data.test, Watchdog(0.0))
        assert again.size_dependent == (steps and size > 1)
        found[size] = again.scores()["loss"]
    assert (found[1] != pytest.approx(found[16], rel=1e-3)) == steps


@pytest.mark.parametrize("size", [1, 5, 16])
def test_scores_of_all_predictions(size):
    """An F1 score and an area under the ROC curve are computed from all test examples at once.

    They are not means over examples or batches. `macro_f1` and `auc` (of two classes) are there for all datasets of
    classes; they are computed if `metric`, `also` or a claim names them.
    """
    data = classes(*[0, 1, 1, 1] * 6)
    one = evaluation(data, size)
    found = one.scores()
    whole = data.collate(list(data.test[:]))
    one.built.model.eval()
    with torch.no_grad():
        logits = one.built.model.predict(whole)
    assert found["macro_f1"] == pytest.approx(macro_f1(logits.argmax(1), whole.labels))
    assert found["auc"] == pytest.approx(auc(logits.softmax(1)[:, 1], whole.labels))
    constant = one.constant(data.train)
    assert (constant["auc"], constant["accuracy"]) == (0.5, 0.75)
    assert constant["macro_f1"] == pytest.approx(0.75 / 1.75)  # the F1 of the frequent class is 1.5 / 1.75


def test_a_suite_asks_for_optional_scores():
    """A suite asks for more scores with `also: [macro_f1, auc]`, or makes one of them its `metric`.

    Their area under the curve is there too, as `mean_macro_f1`. Otherwise they are not computed.
    """
    text = SUITE.replace("SIZE", "8")

    def scores(*settings: str) -> set[str]:
        (block,) = make_plan(read(text, *settings), toy_catalog()).blocks
        return set(block.measures.learning.scores)

    assert scores() == {"loss", "accuracy"}
    assert scores("measure.learning.also=[auc]") == {"loss", "accuracy", "auc"}
    assert scores("measure.learning.metric=mean_macro_f1") == {"loss", "accuracy", "macro_f1"}
    with pytest.raises(UserError, match=r"lengths has no score 'macro_f2'\. Did you mean macro_f1\?"):
        scores("measure.learning.also=[macro_f2]")
    base = {
        "model": {"name": "lstm", "hidden_size": 4, "embedding_size": 4},
        "dataset": {"name": "scored", "batch_size": 8}, "use": ["adam"],
    }  # fmt: skip
    measure = {"learning": {"seeds": 1, "steps": 2, "evaluations": 2, "metric": "auc", "also": ["macro_f1"]}}
    found = tried(Catalog(load_plugins([Path(everyday_data.__file__)])), base, {"packed": {"use": ["pack"]}}, measure)
    for level in ("base", "packed"):
        learned = found[level]["learning"]
        assert set(learned["scores"]) == {"loss", "accuracy", "auc", "macro_f1"}
        assert all(len(series) == 3 for series in learned["scores"].values())
    assert found["base"]["learning"]["constant"]["auc"] == 0.5


class Counter:
    """A score with state, like the metrics of torchmetrics."""

    def __init__(self) -> None:
        self.seen = -1

    def reset(self) -> None:
        """Forget everything."""
        self.seen = 0

    def update(self, predicted: torch.Tensor, labels: torch.Tensor) -> None:
        """Count the labels of a batch."""
        assert len(predicted) == len(labels)
        self.seen += len(labels)

    def compute(self) -> torch.Tensor:
        """The number of labels."""
        return torch.tensor(float(self.seen))


def test_metrics_with_state():
    """A metric object with `reset`, `update` and `compute` is a score: it sees one batch after another.

    It needs no memory for all predictions, and starts anew at each evaluation.
    """
    data = classes(*[0, 1] * 8)
    data = replace(data, scores={"seen": WholeScore(Counter(), classes_and_labels)})
    one = evaluation(data, 3)
    assert one.scores()["seen"] == one.scores()["seen"] == 16
    assert one.constant(data.train)["seen"] == 16


def test_metrics_of_torchmetrics():
    """A metric of torchmetrics is a score, if you have installed it: `WholeScore(metric, values)`."""
    torchmetrics = pytest.importorskip("torchmetrics", reason="torchmetrics is no dependency of the tests")
    data = classes(*[0, 1, 2, 1] * 4)
    metric = torchmetrics.F1Score("multiclass", num_classes=3, average="macro")
    scores = {"theirs": WholeScore(metric, classes_and_labels), "ours": WholeScore(macro_f1, classes_and_labels)}
    found = evaluation(replace(data, scores=scores), 3).scores()
    assert found["theirs"] == pytest.approx(found["ours"])
