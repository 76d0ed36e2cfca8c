"""Functions on arrays: quantiles of t, trimmed means, ratios of times, intervals, stopping rules.

docs/method.md gives the reason for each. The incomplete beta function is our own: importing scipy.special takes half a
second, which every command would pay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: With fewer processes, or seeds, nothing is called equivalent, and scores get no verdict at all.
MIN_REPLICATES = 5
#: A number of processes or seeds that is still practical; more are not recommended.
MOST_REPLICATES = 100
#: A smaller difference is never reported as one (share of the time).
FLOOR = 0.003
#: The standard deviation between processes that a quick look assumes (log ratio).
PROCESS_SPREAD = 0.004
#: Share of samples trimmed from each end.
TRIM = 0.2
#: The variance between processes that is expected from the variance within them, as log s0^2 = `PRIOR[0]` + `PRIOR[1]`
#: log e^2, and how many degrees of freedom this expectation counts for. Both were fitted to the 250 comparisons of the
#: stored runs, by the moments of Smyth (2004).
PRIOR = (-0.43, 0.87)
PRIOR_DF = 4


def t_tail(t: float, df: float) -> float:
    """The probability above t >= 0 of Student's t with `df` degrees of freedom, to about 1e-14 relative."""
    return 0.5 * incomplete_beta(df / 2, 0.5, df / (df + t * t))


@lru_cache(maxsize=4096)
def t_quantile(p: float, df: float) -> float:
    """The quantile of Student's t with `df` degrees of freedom, to about 1e-12 relative.

    ValueError unless 0 < p < 1.
    """
    if not 0 < p < 1:
        raise ValueError(f"p = {p} is not inside (0, 1)")
    tail, high = min(p, 1 - p), 1.0
    while t_tail(high, df) > tail:
        high *= 2
    t = bisect(lambda t: t_tail(t, df) > tail, high / 2 if high > 1 else 0.0, high)
    return -t if p < 0.5 else t


def beta_quantile(p: float, a: float, b: float) -> float:
    """The quantile of the beta distribution."""
    return bisect(lambda x: incomplete_beta(a, b, x) <= p, 0.0, 1.0)


def bisect(is_below: Callable[[float], bool], low: float, high: float) -> float:
    """The point in (low, high) up to which `is_below` is true, to the last bit."""
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return middle


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta function by Lentz's continued fraction (DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    tiny = 1e-300
    c, d = 1.0, 1 / max(1 - (a + b) * x / (a + 1), tiny)
    fraction = d
    for m in range(1, 500):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + numerator * d or tiny)
            c = 1 + numerator / c or tiny
            fraction *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return math.exp(log_front) / a * fraction


def each_batch(values: Array, batch: NDArray[np.int64], statistic: Callable[[Array], Array]) -> Array:
    """The statistic of the values of each batch of the work set, shape (batches,). Batches that were visited equally
    often are passed together: `statistic` maps (some batches, visits) to (some batches,)."""
    groups = _visits(batch.tobytes(), batch.dtype.str)
    found = np.empty(sum(len(positions) for positions, _ in groups))
    for positions, samples in groups:
        found[positions] = statistic(values[samples])
    return found


@lru_cache(maxsize=512)
def _visits(batch: bytes, kind: str) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]:
    """For each number of visits, the ranks of the batches with this many, and the samples of each, one row per batch.
    Cached, since the processes of a run visit their batches in the same few orders."""
    numbers = np.frombuffer(batch, kind)
    _, ranks, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    order, ends = np.argsort(ranks, kind="stable"), np.cumsum(counts)
    found = []
    for visits in np.unique(counts):
        positions = np.flatnonzero(counts == visits)
        found.append((positions, np.array([order[ends[p] - visits : ends[p]] for p in positions])))
    return tuple(found)


def trimmed_means(rows: Array) -> Array:
    """The mean of each row without its lowest and highest 20 % of values (`TRIM`)."""
    cut = int(TRIM * rows.shape[1])
    return np.asarray(np.sort(rows, axis=1)[:, cut : rows.shape[1] - cut].mean(axis=1))


def means(rows: Array) -> Array:
    """The mean of each row."""
    return np.asarray(rows.mean(axis=1))


def tenths(rows: Array) -> Array:
    """The 10th percentile of each row, interpolated as by numpy's quantile, which is many times slower for the few
    values of a batch."""
    place = 0.1 * (rows.shape[1] - 1)
    below, share = int(place), place - int(place)
    ordered = np.sort(rows, axis=1)
    low, high = ordered[:, below], ordered[:, min(below + 1, rows.shape[1] - 1)]
    between = low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share)
    return np.asarray(between)


def per_batch(values: Array, batch: NDArray[np.int64]) -> Array:
    """The trimmed mean of the values of each batch of the work set, shape (batches,)."""
    return each_batch(values, batch, trimmed_means)


def log_ratio(baseline: Array, variant: Array, batch: NDArray[np.int64]) -> float:
    """The estimate of one process: the log of the variant's time over the baseline's for the same examples.

    All three are (samples,). Sample i of both was taken in the same round, on batch `batch[i]` of each one's own work
    set. The trimmed mean log ratio of each batch is weighted by the baseline's share of time on that batch, so that
    the result is the ratio of the sums also where batches contain different examples.
    """
    ratios = np.exp(per_batch(np.log(variant / baseline), batch))
    seconds = per_batch(baseline, batch)
    return float(np.log((seconds / seconds.sum()) @ ratios))


def log_ratio_error(baseline: Array, variant: Array, batch: NDArray[np.int64]) -> float:
    """The standard error of `log_ratio` from the variance inside one process: Tukey and McLaughlin's winsorised one for
    trimmed means, summed over batches by weight."""
    seconds = per_batch(baseline, batch)
    errors = each_batch(np.log(variant / baseline), batch, trimmed_errors)
    return float(np.linalg.norm(seconds / seconds.sum() * errors))


def trimmed_errors(rows: Array) -> Array:
    """The standard error of the trimmed mean of each row, infinite for a row of one value."""
    n = rows.shape[1]
    if n < 2:
        return np.full(len(rows), math.inf)
    ordered, cut = np.sort(rows, axis=1), int(TRIM * n)
    winsorised = np.clip(ordered, ordered[:, cut, None], ordered[:, n - 1 - cut, None])
    return np.asarray(winsorised.std(axis=1, ddof=1) / ((1 - 2 * TRIM) * math.sqrt(n)))


@dataclass(frozen=True)
class Estimate:
    """The mean of k values (log ratios of processes, differences of seeds) or the slope through k points, with its
    standard error and degrees of freedom. The error of an exact value is 0.

    `share` is the share of the error rate that this estimate may use. It is below 1 where the estimate was looked at
    several times and each look might have ended the measurement: intervals and p values are then those of one look, and
    all looks together keep the stated rate."""

    mean: float
    error: float
    df: float
    k: int
    share: float = field(default=1.0, kw_only=True)

    def half_width(self, confidence: float = 0.95) -> float:
        """Half of the interval, in the units of the mean."""
        if self.df <= 0:
            return math.inf
        # An exact value may have infinite degrees of freedom, for which `t_quantile` has no answer.
        return t_quantile(1 - (1 - confidence) * self.share / 2, self.df) * self.error if self.error else 0.0

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The interval in the units of the mean."""
        half = self.half_width(confidence)
        return self.mean - half, self.mean + half

    def p_value(self, floor: float = 0.0) -> float:
        """Two-sided: the probability of a mean this large where the true one lies within `floor` of 0."""
        beyond = abs(self.mean) - floor
        if beyond <= 0 or self.df <= 0 or not math.isfinite(self.error):
            return 1.0
        return min(1.0, 2 * t_tail(beyond / self.error, self.df) / self.share) if self.error else 0.0


def estimate(values: Sequence[float], share: float = 1.0) -> Estimate:
    """The mean of values, one per process or seed, with its standard error."""
    array = np.asarray(values, dtype=float)
    k = len(array)
    error = float(array.std(ddof=1)) / math.sqrt(k) if k > 1 else math.inf
    return Estimate(float(array.mean()), error, k - 1, k, share=share)


def pooled_estimate(values: Sequence[float], within: float, share: float = 1.0) -> Estimate:
    """The mean of values, one per process. Its variance is pooled with the one that is expected from `within`, the mean
    squared standard error of the values within their processes: a few processes show their variance badly."""
    plain = estimate(values, share)
    if plain.k < 2 or not within or not math.isfinite(within):
        return plain
    expected = math.exp(PRIOR[0] + PRIOR[1] * math.log(within))
    df = PRIOR_DF + plain.df
    variance = (PRIOR_DF * expected + plain.df * plain.error**2 * plain.k) / df
    return Estimate(plain.mean, math.sqrt(variance / plain.k), df, plain.k, share=share)


def welch(a: Estimate, b: Estimate, *others: tuple[float, float]) -> Estimate:
    """B minus A of two independent estimates, with Welch's degrees of freedom. `others` are further parts of the
    variance, each with its degrees of freedom."""
    parts = [(a.error**2, a.df), (b.error**2, b.df), *others]
    variance, k = sum(part for part, _ in parts), min(a.k, b.k)
    if not math.isfinite(variance):
        return Estimate(b.mean - a.mean, math.inf, 0, k)
    lost = sum(part**2 / df for part, df in parts if df > 0)
    return Estimate(b.mean - a.mean, math.sqrt(variance), variance**2 / lost if lost else math.inf, k)


def quick_estimate(value: float, error: float, control: float, samples: int) -> Estimate:
    """The estimate of one process, widened by the assumed difference between processes: `PROCESS_SPREAD`, or the log
    ratio of the control if that is larger."""
    between = max(PROCESS_SPREAD, abs(control))
    return Estimate(value, math.hypot(error, between), max(1, samples - 1), 1)


def processes_needed(k: int, half_width: float, target: float) -> int:
    """How many processes would reduce the half-width to the target, if the variance stays the same."""
    return max(k, math.ceil(k * (half_width / target) ** 2)) if math.isfinite(half_width) else k * 4


def unseen_share(k: int, confidence: float = 0.95) -> float:
    """The largest share of processes in which something may happen that happened in none of k."""
    return float(1 - (1 - confidence) ** (1 / k)) if k else 1.0


def smallest_visible(estimate: Estimate, floor: float) -> float:
    """The smallest log ratio that a comparison with this precision detects in 80 % of cases."""
    half = estimate.half_width()
    if estimate.k < 2:
        return half + floor
    return floor + half * (1 + t_quantile(0.8, estimate.df) / t_quantile(1 - 0.025 * estimate.share, estimate.df))


def holm_levels(smallest_alphas: Sequence[float], alpha: float = 0.05) -> list[float]:
    """Holm's step-down: the significance level of each member of the family; 0 for one that must not be decided.

    `smallest_alphas` are the levels at which each would just be decided on its own (its p value).
    """
    levels = [0.0] * len(smallest_alphas)
    for rank, index in enumerate(np.argsort(smallest_alphas, kind="stable")):
        level = alpha / (len(smallest_alphas) - rank)
        if smallest_alphas[index] > level:
            break
        levels[index] = level
    return levels


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values: if all at most q are called different, the probability of any false one is at most q
    (Holm 1979)."""
    adjusted, most = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        most = max(most, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = most
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values: if all below q are called different, the expected share of false ones is at most q (Benjamini
    and Hochberg 1995)."""
    order = np.argsort(p_values, kind="stable")
    adjusted, least = [1.0] * len(p_values), 1.0
    for rank in range(len(order), 0, -1):
        index = int(order[rank - 1])
        least = min(least, p_values[index] * len(order) / rank)
        adjusted[index] = least
    return adjusted


def smallest_alpha(decided: Callable[[float], bool]) -> float:
    """The smallest level at which `decided(level)` becomes true, for a rule that gets easier with the level; 1 if it
    never does."""
    if not decided(0.5):
        return 1.0
    low, high = math.log(1e-12), math.log(0.5)
    if decided(math.exp(low)):
        return math.exp(low)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if decided(math.exp(middle)) else (middle, high)
    return math.exp(high)
