"""Lasting changes in a sequence of numbers: binary segmentation on a likelihood ratio, calibrated by simulation.

The numbers are assumed to vary around means that are constant between changes, each with a variance that is known up to
one factor common to all of them. A number may resemble the one before it. docs/method.md gives the error rate.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from harness.analysis.stats import Array

#: At least so many runs lie on either side of a change: a single run may be an accident.
FEWEST = 2
#: The number of simulated sequences for a p value. They are always the same ones.
SIMULATED = 1000
#: The share of sequences without a change in which one is reported.
ALPHA = 0.05
#: The autocorrelation (lag 1) of simulated sequences. With a smaller one, fewer changes are reported. It is not
#: estimated, because an estimate from ten runs cannot distinguish a change from runs that resemble their neighbours.
AUTOCORRELATION = 0.6
#: The scale is estimated from the differences of runs that are at most this far apart.
MOST_LAGS = 3
#: The median of the absolute value of a standard normal number.
_MEDIAN = 0.6744897501960817


@dataclass(frozen=True)
class Segment:
    """A part of the sequence without a change: positions start to stop (exclusive), its weighted mean and the standard
    error of that mean."""

    start: int
    stop: int
    mean: float
    error: float


@dataclass(frozen=True)
class ChangePoint:
    """A change between two segments, with the simulated p value of so clear a change in a sequence that has none."""

    before: Segment
    after: Segment
    p: float

    @property
    def position(self) -> int:
        """The first position after the change."""
        return self.after.start

    @property
    def size(self) -> float:
        """The mean after the change minus the mean before it."""
        return self.after.mean - self.before.mean


@dataclass(frozen=True)
class Changes:
    """What was found in a sequence: the changes in order, the segments between them, the factor by which the known
    standard errors are too small (at least 1), and the p value of the clearest change, reported or not."""

    points: tuple[ChangePoint, ...]
    segments: tuple[Segment, ...]
    scale: float
    p: float


def find_changes(values: Sequence[float], variances: Sequence[float], alpha: float = ALPHA) -> Changes:
    """The changes in a sequence of numbers, each with its variance. Raises ValueError for a variance that is not
    positive.

    A segment is split where two means instead of one raise the likelihood most, if fewer than a share `alpha` of
    simulated sequences without a change gain so much anywhere, and if the gain does not depend on any single number.
    Both parts are then treated in the same way. Fewer than four numbers have no change.
    """
    y, v = np.asarray(values, dtype=float), np.asarray(variances, dtype=float)
    if y.shape != v.shape or (len(v) and v.min() <= 0):
        raise ValueError("each value needs a variance above 0")
    if not len(y):
        return Changes((), (), 1.0, 1.0)
    scale = float(max(1.0, scales(y[None], v)[0]))
    p_values: dict[int, float] = {}
    clearest = 1.0
    parts = [(0, len(y))]
    while parts:
        start, stop = parts.pop()
        if stop - start < 2 * FEWEST:
            continue
        gains = robust_gains(y[None, start:stop], 1 / v[start:stop])[0] / scale**2
        split = int(np.argmax(gains))
        p = p_value(float(gains[split]), v, start, stop)
        if (start, stop) == (0, len(y)):
            clearest = p
        if p <= alpha:
            position = start + FEWEST + split
            p_values[position] = p
            parts += [(start, position), (position, stop)]
    segments = [segment(y, v * scale**2, *edges) for edges in pairwise([0, *sorted(p_values), len(y)])]
    points = [ChangePoint(before, after, p_values[after.start]) for before, after in pairwise(segments)]
    return Changes(tuple(points), tuple(segments), scale, clearest)


def likelihood_gains(sequences: Array, weights: Array) -> Array:
    """Twice the gain in log-likelihood of two means over one, for each split, shape (sequences, splits).

    `sequences` and `weights` (one over the variance) are (sequences, n); one of them may be (1, n). The first split
    leaves `FEWEST` numbers before it, the last one as many after it.
    """
    at = np.arange(FEWEST, sequences.shape[1] - FEWEST + 1) - 1
    sums, totals = np.cumsum(sequences * weights, axis=1), np.cumsum(weights, axis=1)
    left, right = totals[:, at], totals[:, -1:] - totals[:, at]
    gap = sums[:, at] / left - (sums[:, -1:] - sums[:, at]) / right
    gains: Array = gap**2 * left * right / (left + right)
    return gains


def robust_gains(sequences: Array, weights: Array) -> Array:
    """The gain of each split without the number that it depends on most, shape (sequences, splits). `sequences` are
    (sequences, n), `weights` (n,)."""
    without_one = (likelihood_gains(sequences, one[None]) for one in weights * (1 - np.eye(len(weights))))
    return functools.reduce(np.minimum, without_one)


def scales(sequences: Array, variances: Array) -> Array:
    """The factor by which the standard errors would have to grow to explain the scatter, shape (sequences,).

    The squared factor is estimated from the median difference of runs that are 1, 2 and 3 apart, and averaged: where
    runs resemble their neighbours, neighbours differ by too little. A change affects as many differences as the runs
    are apart, fewer than half of them, and hardly moves the median.
    """
    n = sequences.shape[1]
    if n < 2:
        return np.ones(len(sequences))
    squares = []
    for lag in range(1, max(1, min(MOST_LAGS, math.ceil(n / 3) - 1)) + 1):
        steps = np.abs(sequences[:, lag:] - sequences[:, :-lag]) / np.sqrt(variances[lag:] + variances[:-lag])
        squares.append((np.median(steps, axis=1) / _MEDIAN) ** 2)
    found: Array = np.sqrt(np.mean(squares, axis=0))
    return found


def p_value(gain: float, variances: Array, start: int, stop: int) -> float:
    """How often sequences without a change, of the same length and variances, gain as much between two positions.

    The gain is divided by the squared scale, whose error in a short sequence counts. Two cases are simulated, and the
    larger share is returned: the true factor is 1, and its estimate is at least 1 as in the data; or it is large, so
    that all of it is estimated.
    """
    draws = sequences_without_change(len(variances), AUTOCORRELATION) * np.sqrt(variances)
    best = robust_gains(draws[:, start:stop], 1 / variances[start:stop]).max(axis=1)
    estimated = np.maximum(scales(draws, variances), 1e-9)
    known = np.maximum(estimated, 1.0)
    return max((1 + int((best / scale**2 >= gain).sum())) / (1 + SIMULATED) for scale in (known, estimated))


def sequences_without_change(n: int, autocorrelation: float) -> Array:
    """Simulated sequences of standard normal numbers in which each depends on the one before it (AR(1)), shape
    (SIMULATED, n)."""
    draws: Array = np.random.default_rng(0).normal(size=(SIMULATED, n))
    for at in range(1, n):
        draws[:, at] = autocorrelation * draws[:, at - 1] + math.sqrt(1 - autocorrelation**2) * draws[:, at]
    return draws


def segment(values: Array, variances: Array, start: int, stop: int) -> Segment:
    """The segment between two positions."""
    weights = 1 / variances[start:stop]
    mean = float((values[start:stop] * weights).sum() / weights.sum())
    return Segment(start, stop, mean, 1 / math.sqrt(float(weights.sum())))
