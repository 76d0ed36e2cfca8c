"""Costs that do not fall on every step: means over all steps, costs at regular intervals, and drifts.

The trimmed mean of the log ratios describes a typical step and leaves out rare slow ones. That is right for noise and
wrong for a trial that does extra work in every tenth step. The ratio of the means over all steps includes both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.analysis import stats
from harness.analysis.stats import Array

#: The longest period that is searched for, in steps.
LONGEST_PERIOD = 64
#: A step is slow if it is this many standard deviations above the fast steps on its batch.
SLOW = 5.0
#: A period is reported if at least this share of the steps of a phase are slow, and if steps without a period would
#: look as periodic less often than `PERIOD_ALPHA`.
SLOW_SHARE = 0.75
PERIOD_ALPHA = 1e-6


@dataclass(frozen=True)
class ProcessRatios:
    """What one process shows of a trial against the baseline, as log ratios: of a `typical` step, of the `mean` over
    all steps, and how much a typical step changes from the first half of the samples to the second (`drift`).

    `error` is the standard error of `typical` within the process. `series` is the log ratio of each sample minus the
    median of its batch, shape (n,), `batch` the batch of each sample, and `first` the number of the first sampled step
    (0 where samples have several steps)."""

    typical: float
    mean: float
    drift: float
    error: float
    series: Array
    batch: NDArray[np.int64]
    first: int

    @classmethod
    def of(
        cls, baselines: Sequence[Array], variant: Array, batch: NDArray[np.int64], first: int
    ) -> ProcessRatios | None:
        """From the times of the baseline, measured once or twice, and of the variant, shape (n,) each and taken in the
        same rounds. None where a time is not positive."""
        if not len(variant) or any(times.min() <= 0 for times in (*baselines, variant)):
            return None
        typical_baseline = baselines[0] if len(baselines) == 1 else np.exp(np.mean(np.log(baselines), axis=0))
        mean_baseline = np.mean(baselines, axis=0)
        sums = [float(stats.each_batch(times, batch, stats.means).sum()) for times in (mean_baseline, variant)]
        series = np.log(variant / typical_baseline)
        centred, half = series.copy(), len(series) // 2
        for here in (batch == j for j in np.unique(batch)):
            centred[here] -= np.median(series[here])
        halves = (centred[half:], centred[:half])
        drift = float(np.subtract(*(stats.trimmed_means(part[None])[0] for part in halves))) if half else 0.0
        return cls(
            typical=stats.log_ratio(typical_baseline, variant, batch),
            mean=math.log(sums[1] / sums[0]),
            drift=drift,
            error=stats.log_ratio_error(typical_baseline, variant, batch),
            series=centred,
            batch=batch,
            first=first,
        )


def mean_decides(ratios: Sequence[ProcessRatios]) -> bool:
    """Whether the mean over all steps differs from a typical step in all processes alike. It then decides."""
    return _beyond([one.mean - one.typical for one in ratios], stats.FLOOR)


def drifts(ratios: Sequence[ProcessRatios], margin: float) -> bool:
    """Whether the ratio changes by more than the margin within a process, in all processes alike."""
    return _beyond([one.drift for one in ratios], margin)


def _beyond(values: Sequence[float], size: float) -> bool:
    """Whether the interval of the mean lies beyond a size."""
    if len(values) < 2:
        return False
    low, high = stats.estimate(values).interval()
    return low > size or high < -size


def find_period(ratios: Sequence[ProcessRatios]) -> int | None:
    """The period of a cost that comes in every n-th step; None where there is none, or steps cannot be numbered.

    For each period, the steps are sorted into phases by their number. A period is found if most steps of a phase are
    slow, and if this would be too unlikely with slow steps at random (a binomial test, Bonferroni). Steps are slow in
    comparison with those on the same batch, so a period that divides the number of batches cannot be seen. It need not
    be: the cost then falls on every visit of the same batches, and a typical step includes it.
    """
    if not ratios or any(not one.first for one in ratios):
        return None
    slow = np.concatenate([_slow(one) for one in ratios])
    numbers = np.concatenate([one.first + np.arange(len(one.series)) for one in ratios])
    rate, best, found = float(slow.mean()), math.log(PERIOD_ALPHA), None
    if not rate:
        return None
    longest = max(len(one.series) for one in ratios) // 2  # the cost has to come twice in a process
    for period in range(2, min(longest, LONGEST_PERIOD) + 1):
        counts = np.bincount(numbers % period, minlength=period)
        hits = np.bincount(numbers % period, weights=slow, minlength=period)
        for n, x in zip(counts.tolist(), hits.tolist(), strict=True):
            if n and x >= SLOW_SHARE * n and rate < 1:
                # The probability of x or more of n is at most n^(n - x) rate^x.
                log_p = (n - x) * math.log(n) + x * math.log(rate) + math.log(period * LONGEST_PERIOD)
                if log_p < best:
                    best, found = log_p, period
    return found


def _slow(one: ProcessRatios) -> NDArray[np.bool_]:
    """Which samples take clearly longer than the fast ones of their batch."""
    above = one.series.copy()
    for here in (one.batch == batch for batch in np.unique(one.batch)):
        above[here] -= np.quantile(above[here], 0.25)
    spread = float(-np.quantile(above, 0.05))  # about one standard deviation of normal noise
    return np.asarray(above > SLOW * max(spread, 1e-3))
