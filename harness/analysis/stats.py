"""Pure functions on arrays: quantiles of t, trimmed means, ratios of times, intervals, when to stop.

docs/method.md says why each is what it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Fewer fresh processes than this never give a verdict.
LEAST = 5
#: After how many processes the interval's width is looked at.
LOOKS = (5, 10, 20)
#: Two runs of the same thing are never told apart below this (share of the time).
FLOOR = 0.003
#: The share of false alarms one look may make, so that the three of `LOOKS` together make 5 % when each may stop the
#: run. Pocock's 0.0221 (1977) is for looks equally far apart and a known scatter; at 5, 10 and 20 processes, with t,
#: it makes 5.6 %. This was found by simulation.
POCOCK = 0.0195
#: What one process alone cannot know of the others, in a quick look (log ratio).
BETWEEN = 0.004
#: Share of samples trimmed from each end.
TRIM = 0.2


def t_tail(t: float, df: float) -> float:
    """The probability above t >= 0 of Student's t with `df` degrees of freedom, to about 1e-14 relative."""
    return 0.5 * incomplete_beta(df / 2, 0.5, df / (df + t * t))


@lru_cache(maxsize=4096)
def t_quantile(p: float, df: float) -> float:
    """The quantile of Student's t with `df` degrees of freedom, by bisection on the tail, to about 1e-12 relative."""
    if not 0 < p < 1:
        raise ValueError(f"p = {p} is not inside (0, 1)")
    return -_upper(p, df) if p < 0.5 else _upper(1 - p, df)


def _upper(tail: float, df: float) -> float:
    """The t above which `tail` <= 0.5 lies."""
    low, high = 0.0, 1.0
    while t_tail(high, df) > tail:
        low, high = high, high * 2
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if t_tail(middle, df) > tail else (low, middle)
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


def each_batch(values: Array, batch: NDArray[np.int64], of: Callable[[Array], Array]) -> Array:
    """What `of` makes of the values of each batch of the work set, shape (batches,). It is given those of all batches
    that were visited equally often at once, as rows: shape (some batches, visits) to (some batches,)."""
    groups = _visits(batch.tobytes(), batch.dtype.str)
    found = np.empty(sum(len(positions) for positions, _ in groups))
    for positions, samples in groups:
        found[positions] = of(values[samples])
    return found


@lru_cache(maxsize=512)
def _visits(batch: bytes, kind: str) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]:
    """For each number of visits, which batches had so many (by rank), and the samples taken on each, a row a batch.
    The processes of a run come to their batches in the same few orders, so each is worked out once."""
    numbers = np.frombuffer(batch, kind)
    _, ranks, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    order, ends = np.argsort(ranks, kind="stable"), np.cumsum(counts)
    found = []
    for visits in np.unique(counts):
        positions = np.flatnonzero(counts == visits)
        found.append((positions, np.array([order[ends[p] - visits : ends[p]] for p in positions])))
    return tuple(found)


def trimmed_means(rows: Array) -> Array:
    """The mean of each row without its lowest and highest 20 % of values."""
    cut = int(TRIM * rows.shape[1])
    return np.asarray(np.sort(rows, axis=1)[:, cut : rows.shape[1] - cut].mean(axis=1))


def means(rows: Array) -> Array:
    """The mean of each row."""
    return np.asarray(rows.mean(axis=1))


def tenths(rows: Array) -> Array:
    """The 10th percentile of each row, between the two nearest values as numpy's quantile is, whose call takes many
    times as long as this for the few values of a batch."""
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
    """One process's estimate: the log of the variant's time over the baseline's for the same examples.

    All three are (samples,); sample i of both was taken in the same round, on each one's own batch number
    `batch[i]`. Each batch's trimmed mean log ratio is weighted by the baseline's share of time on that batch, so
    that batches cut differently still give the ratio of the sums.
    """
    ratios = np.exp(per_batch(np.log(variant / baseline), batch))
    seconds = per_batch(baseline, batch)
    return float(np.log((seconds / seconds.sum()) @ ratios))


def log_ratio_error(baseline: Array, variant: Array, batch: NDArray[np.int64]) -> float:
    """The standard error of `log_ratio` from the scatter inside one process (Tukey and McLaughlin's winsorised
    one for a trimmed mean, summed over batches by weight)."""
    seconds = per_batch(baseline, batch)
    weights = seconds / seconds.sum()
    variance = 0.0
    for weight, j in zip(weights, np.unique(batch), strict=True):
        values = np.sort(np.log(variant[batch == j] / baseline[batch == j]))
        n, cut = len(values), int(TRIM * len(values))
        winsorised = np.clip(values, values[cut], values[n - 1 - cut])
        spread = winsorised.std(ddof=1) if n > 1 else math.inf
        variance += (weight * spread / ((1 - 2 * TRIM) * math.sqrt(n))) ** 2
    return math.sqrt(variance)


@dataclass(frozen=True)
class Estimate:
    """A mean over processes of log ratios (k of them), or a slope through k points, with the standard error and its
    degrees of freedom. What is exact has an error of 0."""

    mean: float
    error: float
    df: float
    k: int

    def half_width(self, confidence: float = 0.95) -> float:
        """Half of the interval of this confidence, in the units of the mean."""
        if self.df <= 0:
            return math.inf
        # Without error there is nothing to widen, and df may be infinite, for which there is no quantile here.
        return t_quantile(0.5 + confidence / 2, self.df) * self.error if self.error else 0.0

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The interval in the units of the mean."""
        half = self.half_width(confidence)
        return self.mean - half, self.mean + half

    def p_value(self, floor: float = 0.0) -> float:
        """Two-sided: how likely so large a mean is where the truth lies within `floor` of 0."""
        beyond = abs(self.mean) - floor
        if beyond <= 0 or self.df <= 0 or not math.isfinite(self.error):
            return 1.0
        return 2 * t_tail(beyond / self.error, self.df) if self.error else 0.0


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of per-process values with its t interval's ingredients."""
    array = np.asarray(values, dtype=float)
    k = len(array)
    error = float(array.std(ddof=1)) / math.sqrt(k) if k > 1 else math.inf
    return Estimate(float(array.mean()), error, k - 1, k)


def quick_estimate(value: float, error: float, control: float, samples: int) -> Estimate:
    """One process's estimate, widened by what a single process cannot know (`BETWEEN`, or the control's own
    departure from 1 if that is larger)."""
    between = max(BETWEEN, abs(control))
    return Estimate(value, math.hypot(error, between), max(1, samples - 1), 1)


def needed(k: int, half_width: float, target: float) -> int:
    """How many processes would bring the half-width down to the target, if the scatter stays."""
    return max(k, math.ceil(k * (half_width / target) ** 2)) if math.isfinite(half_width) else k * 4


def go_on(
    half_widths: Sequence[float], k: int, target: float, spent: float, budget: float, looks: Sequence[int] = LOOKS
) -> str | None:
    """None to run another process, otherwise why to stop: "precise", "budget" or "out of reach".

    `half_widths` are the variants' 95 % half-widths after k processes. They are looked at after 5, 10 and 20
    processes only (`looks`), and whether a difference looks significant plays no part: stopping on that alone makes
    false alarms. A variant whose scatter puts the target beyond 20 processes is not waited for.
    """
    if k not in looks:
        return None if k < looks[-1] else "out of reach"
    wide = [half for half in half_widths if half > target]
    if not wide:
        return "precise"
    if k >= looks[-1] or all(needed(k, half, target) > looks[-1] for half in wide):
        return "out of reach"
    following = looks[looks.index(k) + 1]
    return "budget" if spent * following / k > budget else None


def until_decided(
    decided: Sequence[bool], k: int, spent: float, budget: float, looks: Sequence[int] = LOOKS
) -> str | None:
    """None to run another process, otherwise why to stop: "decided", "budget" or "out of reach". Each look may
    stop on a verdict, so verdicts must pay for it: they use the level `POCOCK`."""
    if k not in looks:
        return None if k < looks[-1] else "out of reach"
    if all(decided):
        return "decided"
    if k >= looks[-1]:
        return "out of reach"
    following = looks[looks.index(k) + 1]
    return "budget" if spent * following / k > budget else None


def smallest_visible(half_width: float, floor: float, k: int) -> float:
    """The smallest log ratio that a run this wide finds in 80 % of cases."""
    if k < 2:
        return half_width + floor
    return floor + half_width * (1 + t_quantile(0.8, k - 1) / t_quantile(0.975, k - 1))


def holm(smallest_alphas: Sequence[float], alpha: float = 0.05) -> list[float]:
    """Holm's step-down: the level at which each member of the family may be decided, 0 for one that may not.

    `smallest_alphas` are the levels at which each would just be decided alone (its p value).
    """
    levels = [0.0] * len(smallest_alphas)
    for rank, index in enumerate(np.argsort(smallest_alphas, kind="stable")):
        level = alpha / (len(smallest_alphas) - rank)
        if smallest_alphas[index] > level:
            break
        levels[index] = level
    return levels


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values: calling all at most q different makes a false one among them with probability at most q
    (Holm 1979)."""
    adjusted, most = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        most = max(most, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = most
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values: calling all below q different makes at most a share q of false discoveries (Benjamini and
    Hochberg 1995)."""
    order = np.argsort(p_values, kind="stable")
    adjusted, least = [1.0] * len(p_values), 1.0
    for rank in range(len(order), 0, -1):
        index = int(order[rank - 1])
        least = min(least, p_values[index] * len(order) / rank)
        adjusted[index] = least
    return adjusted


def smallest_alpha(decided: Callable[[float], bool]) -> float:
    """The smallest level at which `decided(level)` becomes true, for a rule that only gets easier; 1 if never."""
    if not decided(0.5):
        return 1.0
    low, high = math.log(1e-12), math.log(0.5)
    if decided(math.exp(low)):
        return math.exp(low)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if decided(math.exp(middle)) else (middle, high)
    return math.exp(high)
