"""Scores that are no means over examples, of classes and of numbers."""

from __future__ import annotations

from math import nan

import torch
from torch import Tensor


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


def root_mean_squared_error(predicted: Tensor, numbers: Tensor) -> float:
    """From predictions and numbers (n,): the square root of the mean squared error."""
    return float((predicted - numbers).square().mean().sqrt())


def r_squared(predicted: Tensor, numbers: Tensor) -> float:
    """From predictions and numbers (n,): the share of the variance of the numbers that the predictions explain, 1 if
    they are exact. It is 0 for a prediction of the mean, and has no lower bound. NaN if all numbers are equal."""
    around_mean = float((numbers - numbers.mean()).square().sum())
    return 1 - float((predicted - numbers).square().sum()) / around_mean if around_mean else nan
