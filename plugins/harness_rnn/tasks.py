"""The tasks of sequence datasets: labels, losses, scores and the best constant answer.

Shapes: B examples, T time steps, C classes (1 for numbers), n labels: one of each sequence, or one of each step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from harness import WholeScore
from harness_rnn.whole_scores import auc, macro_f1, r_squared, root_mean_squared_error

if TYPE_CHECKING:
    from harness_rnn.contract import SequenceBatch, SequenceExample, SequenceFacts

Task = Literal["class", "value", "steps", "step_values"]
"""A class or a number for each sequence, or a class or a number for each step."""
PER_STEP: tuple[Task, ...] = ("steps", "step_values")
NUMBERS: tuple[Task, ...] = ("value", "step_values")

NO_LABEL = -100
"""The class of steps without a label: padding, and steps that a dataset leaves out."""
NO_NUMBER = -3.4028234663852886e38
"""The number of such steps: the smallest of float32."""


def no_label(labels: Tensor) -> float:
    """What stands for a missing label among these: `NO_NUMBER` among numbers, else `NO_LABEL`."""
    return NO_NUMBER if labels.is_floating_point() else NO_LABEL


def has_label(labels: Tensor) -> Tensor:
    """True where there is a label, in the shape of `labels`."""
    return labels != no_label(labels)


def at_labels(predictions: Tensor, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
    """Predictions (n, C) and labels (n,), from predictions (B, C) of sequences or (B, T, C) of steps."""
    if batch.labels.dim() == 1:
        return predictions, batch.labels
    labels = batch.labels[:, : predictions.shape[1]]
    labelled = has_label(labels)
    return predictions[labelled], labels[labelled]


def correct(predictions: Tensor, batch: SequenceBatch) -> Tensor:
    """From logits: 1 if the class is right, else 0, for each label, shape (n,)."""
    logits, labels = at_labels(predictions, batch)
    return (logits.argmax(1) == labels).float()


def losses(task: Task, predictions: Tensor, batch: SequenceBatch) -> Tensor:
    """The same loss for all models, for each label, shape (n,): the cross-entropy of logits, or squared errors."""
    predictions, labels = at_labels(predictions, batch)
    if task in NUMBERS:
        return (predictions[:, 0].float() - labels).square()
    return F.cross_entropy(predictions.float(), labels, reduction="none")


def mean_loss(task: Task, predicted: Tensor, labels: Tensor) -> Tensor:
    """The loss that models are trained with, a scalar: the mean cross-entropy or squared error over all labels. It is
    NaN without labels. `predicted` is (B, C) or (B, T, C), `labels` (B,) or (B, T)."""
    if task == "value":
        return F.mse_loss(predicted[:, 0], labels)
    if task == "step_values":
        labelled = has_label(labels)
        return F.mse_loss(predicted[labelled][:, 0], labels[labelled])
    return F.cross_entropy(predicted.flatten(0, -2), labels.flatten(), ignore_index=NO_LABEL)


Answer = Callable[["SequenceBatch"], Tensor]
"""Predictions that depend only on the number and the size of the sequences."""


def constant_answer(facts: SequenceFacts, train: Sequence[SequenceExample]) -> Answer:
    """The best predictions without the input: the mean of numbers, or logits from the frequencies of the classes among
    the labels."""
    labels = torch.cat([torch.as_tensor(example.label).flatten() for example in train])
    labels = labels[has_label(labels)]
    if facts.task in NUMBERS:
        mean = labels.mean()
        return lambda batch: mean.to(batch.labels).expand(*batch.labels.shape, 1)
    logits = logits_of(labels, facts.classes)
    return lambda batch: logits.to(batch.labels.device).expand(*batch.labels.shape, -1)


def logits_of(labels: Tensor, classes: int) -> Tensor:
    """The logarithms (C,) of the frequencies of classes among labels (n,). Each class counts half an observation more
    than it has, so that no logarithm is infinite."""
    counts = torch.bincount(labels[has_label(labels)], minlength=classes) + 0.5
    return (counts / counts.sum()).log()


def classes_and_labels(predictions: Tensor, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
    """From logits: the predicted classes and the labels, both (n,)."""
    logits, labels = at_labels(predictions, batch)
    return logits.argmax(1), labels


def logits_and_labels(predictions: Tensor, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
    """From logits of two classes: the logit of class 1 minus that of class 0, and the labels, both (n,)."""
    logits, labels = at_labels(predictions, batch)
    return logits[:, 1] - logits[:, 0], labels


def number_scores(unit: float = 1.0) -> dict[str, Any]:
    """The scores of numbers. `unit` is the size of one unit of predictions and labels in the unit of the scores, such
    as the standard deviation by which a dataset has divided its numbers."""

    def scaled(predictions: Tensor, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
        predicted, labels = at_labels(predictions, batch)
        return unit * predicted[:, 0].double(), unit * labels.double()

    def absolute_errors(predictions: Tensor, batch: SequenceBatch) -> Tensor:
        predicted, labels = scaled(predictions, batch)
        return (predicted - labels).abs()

    rmse, r2 = WholeScore(root_mean_squared_error, scaled), WholeScore(r_squared, scaled)
    return {"mae": absolute_errors, "rmse": rmse, "r2": r2}


def scorers(facts: SequenceFacts) -> dict[str, Any]:
    """The scores of a task besides the loss. A dataset declares those that are to be computed, as `harness_rnn` does
    for its own."""
    if facts.task in NUMBERS:
        return number_scores()
    if facts.task in PER_STEP:
        return {"step_accuracy": correct}
    return class_scores(facts.classes)


def class_scores(classes: int) -> dict[str, Any]:
    """The scores of classes, of sequences or steps."""
    area = {"auc": WholeScore(auc, logits_and_labels)} if classes == 2 else {}
    return {"accuracy": correct, "macro_f1": WholeScore(macro_f1, classes_and_labels), **area}
