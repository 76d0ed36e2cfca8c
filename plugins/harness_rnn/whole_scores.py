"""Scores of a classification that are no means over examples. They are computed on request."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harness import WholeScore

if TYPE_CHECKING:
    from harness_rnn.contract import SequenceBatch


def macro_f1(predicted: Tensor, labels: Tensor) -> float:
    """From predicted classes and labels (n,): the mean of the F1 scores of all classes that are predicted or are a
    label."""
    scores = []
    for name in torch.cat([predicted, labels]).unique():
        found, there = predicted == name, labels == name
        scores.append(2 * float((found & there).sum()) / float(found.sum() + there.sum()))
    return sum(scores) / len(scores) if scores else nan


def auc(values: Tensor, labels: Tensor) -> float:
    """From numbers (n,) that are larger where class 1 is more likely, and labels (n,) 0 or 1: the area under the ROC
    curve, which is the share of pairs of a 1 and a 0 where the 1 has the larger number; an equal number counts half.
    NaN if there is only one class."""
    _, place, counts = values.double().unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1) / 2)[place]  # equal values have the mean of their ranks
    ones = int(labels.sum())
    pairs = ones * (len(labels) - ones)
    return (float(ranks[labels == 1].sum()) - ones * (ones + 1) / 2) / pairs if pairs else nan


def classes_and_labels(predictions: Tensor, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
    """From logits (B, C): the predicted classes and the labels, both (B,)."""
    return predictions.argmax(1), batch.labels


def logits_and_labels(predictions: Tensor, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
    """From logits (B, 2): the logit of class 1 minus that of class 0, and the labels, both (B,)."""
    return predictions[:, 1] - predictions[:, 0], batch.labels


MACRO_F1 = WholeScore(macro_f1, classes_and_labels)
AUC = WholeScore(auc, logits_and_labels)
