"""Lasting changes in a sequence of numbers: binary segmentation on a likelihood ratio, calibrated by simulation.

The numbers are assumed to vary around means that are constant between changes, each with a variance that is known up to
one factor common to all of them. docs/method.md gives the error rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: A change is called only where as many runs as this stand on either side: one run alone may be an accident.
SIDE = 2
#: Simulated sequences that the p value of a change is read from, always the same ones.
DRAWN = 2000
#: The share of sequences without a change in which one is called.
ALPHA = 0.05
#: The median of the size of a standard normal number.
_MEDIAN = 0.6744897501960817


@dataclass(frozen=True)
class ChangePoint:
    """A change: the first position after it, the means before and after (each of its whole stretch) with their standard
    errors, and the simulated p value of so clear a change where there is none."""

    position: int
    before: float
    after: float
    error_before: float
    error_after: float
    p: float

    @property
    def size(self) -> float:
        """From before to after."""
        return self.after - self.before


@dataclass(frozen=True)
class Segment:
    """A stretch without a change: positions start to stop (exclusive), its weighted mean and that one's standard
    error."""

    start: int
    stop: int
    mean: float
    error: float


@dataclass(frozen=True)
class Changes:
    """What was found in a sequence: the changes in order, the stretches between them, the factor by which the known
    standard errors are too small (at least 1), and the p value of the clearest change, called or not."""

    points: tuple[ChangePoint, ...]
    segments: tuple[Segment, ...]
    scale: float
    p: float


def find_changes(values: Sequence[float], variances: Sequence[float], alpha: float = ALPHA) -> Changes:
    """The changes in a sequence, each number with its variance (above 0).

    A stretch is split where the likelihood gains most by two means in place of one, if fewer than a share `alpha` of
    simulated sequences without a change gain so much anywhere, and if that does not rest on any one number; both parts
    are then looked at in the same way. Fewer than four numbers have no change.
    """
    y, v = np.asarray(values, dtype=float), np.asarray(variances, dtype=float)
    if y.shape != v.shape or (len(v) and v.min() <= 0):
        raise ValueError("each value needs a variance above 0")
    if not len(y):
        return Changes((), (), 1.0, 1.0)
    scale = float(max(1.0, scales(y[None], v)[0]))
    found: list[tuple[int, float]] = []
    clearest = 1.0
    stretches = [(0, len(y))]
    while stretches:
        start, stop = stretches.pop()
        if stop - start < 2 * SIDE:
            continue
        gains = gains_without_any_one(y[start:stop], 1 / v[start:stop]) / scale**2
        split = int(np.argmax(gains))
        p = p_value(float(gains[split]), v, start, stop)
        if (start, stop) == (0, len(y)):
            clearest = p
        if p <= alpha:
            position = start + SIDE + split
            found.append((position, p))
            stretches += [(start, position), (position, stop)]
    found.sort()
    edges = [0, *(position for position, _ in found), len(y)]
    segments = [_segment(y, v * scale**2, *edges[i : i + 2]) for i in range(len(edges) - 1)]
    points = [
        ChangePoint(position, before.mean, after.mean, before.error, after.error, p)
        for (position, p), before, after in zip(found, segments, segments[1:], strict=False)
    ]
    return Changes(tuple(points), tuple(segments), scale, clearest)


def likelihood_gains(sequences: Array, weights: Array) -> Array:
    """Twice the log-likelihood that two means gain on one, for each place to split, shape (sequences, splits).

    `sequences` and `weights` (one over the variance) are (sequences, n), or broadcast to it. The first split leaves
    `SIDE` numbers before it, the last one as many after it.
    """
    sequences, weights = np.broadcast_arrays(sequences, weights)
    at = np.arange(SIDE, sequences.shape[1] - SIDE + 1) - 1
    sums, totals = np.cumsum(sequences * weights, axis=1), np.cumsum(weights, axis=1)
    left, right = totals[:, at], totals[:, -1:] - totals[:, at]
    gap = sums[:, at] / left - (sums[:, -1:] - sums[:, at]) / right
    gains: Array = gap**2 * left * right / (left + right)
    return gains


def gains_without_any_one(values: Array, weights: Array) -> Array:
    """What is left of the gain of each split, shape (splits,), whichever one number is left out: what rests on one run
    alone is no change."""
    found: Array = likelihood_gains(values[None], weights * (1 - np.eye(len(values)))).min(axis=0)
    return found


def scales(sequences: Array, variances: Array) -> Array:
    """By which factor the standard errors would have to grow to give the scatter, shape (sequences,).

    It is read from differences of neighbours, of which one change moves one only, and by their median, which one does
    not move much.
    """
    if sequences.shape[1] < 2:
        return np.ones(len(sequences))
    steps = np.abs(np.diff(sequences, axis=1)) / np.sqrt(variances[1:] + variances[:-1])
    found: Array = np.median(steps, axis=1) / _MEDIAN
    return found


def p_value(gain: float, variances: Array, start: int, stop: int) -> float:
    """How often sequences without a change, of the same length and variances, gain as much between two positions.

    The gain is over the squared scale. How much that is off in a short sequence counts: once the true factor is taken
    to be 1, and the estimate held to at least 1 as in the data, and once to be large, so that all of it is estimated.
    The larger share is the answer.
    """
    draws = np.random.default_rng(0).normal(size=(DRAWN, len(variances))) * np.sqrt(variances)
    best = likelihood_gains(draws[:, start:stop], 1 / variances[None, start:stop]).max(axis=1)
    estimated = np.maximum(scales(draws, variances), 1e-9)
    known = np.maximum(estimated, 1.0)
    return max((1 + int((best / scale**2 >= gain).sum())) / (1 + DRAWN) for scale in (known, estimated))


def _segment(values: Array, variances: Array, start: int, stop: int) -> Segment:
    weights = 1 / variances[start:stop]
    mean = float((values[start:stop] * weights).sum() / weights.sum())
    return Segment(start, stop, mean, 1 / math.sqrt(float(weights.sum())))
