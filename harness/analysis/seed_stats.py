"""Statistics over seeds: paired differences, exact tests, rates of failure, times to a target, verdicts.

The unit is one seed, which is a paired block. docs/method.md gives the reason for each and its error rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import Literal

import numpy as np

from harness.analysis.stats import (
    MIN_REPLICATES,
    MOST_REPLICATES,
    Array,
    Estimate,
    beta_quantile,
    bisect,
    processes_needed,
    t_quantile,
)
from harness.analysis.verdicts import CLOSE, Verdict, conclude, is_limited

Better = Literal["higher", "lower"]
Scale = Literal["difference", "ratio", "number"]

#: Smaller values are raised to this before a logarithm is taken, so that a loss of zero is not infinitely good.
SMALLEST = 1e-12
#: With fewer seeds no sign-flip test can be significant at 5 %: with five equal signs, p is 2 / 32.
FLIPS_FROM = 6
#: Up to this many seeds all flips are tried, above it `DRAWN` random ones.
FLIPS_TO = 16
DRAWN = 20_000


def differences(baseline: Array, variant: Array, scale: Scale) -> Array:
    """Per-seed paired values, shape (seeds,): variant minus baseline, or the log of variant over baseline.

    Both are (seeds,) in the metric's units; index i of both is the same seed. Values that are not finite stay so.
    ValueError if the shapes differ.
    """
    if baseline.shape != variant.shape:
        raise ValueError(f"{baseline.shape} and {variant.shape} are not the same seeds")
    return as_estimated(variant, scale) - as_estimated(baseline, scale)


def as_estimated(values: Array, scale: Scale) -> Array:
    """The values whose mean is taken: the values themselves, or their logs where ratios are compared."""
    return np.log(np.maximum(values, SMALLEST)) if scale == "ratio" else values


def average(values: Array, scale: Scale) -> float:
    """The mean over seeds; the geometric mean where ratios are compared."""
    mean = float(as_estimated(values, scale).mean())
    return float(np.exp(mean)) if scale == "ratio" else mean


def sign_flip(differences: Array) -> float | None:
    """The two-sided p value of the mean where each difference could as well have the other sign (Fisher 1935, §21).

    Differences are (seeds,). Up to 16 seeds the test is exact: all 2^n flips are tried. Above, 20,000 are drawn with a
    fixed seed, and the observed one counts among them, so p is never 0 and the same data give the same p. Flips that
    are as extreme up to rounding count. None below 6 seeds and where a difference is not finite.
    """
    n = len(differences)
    if n < FLIPS_FROM or not np.isfinite(differences).all():
        return None
    bar = abs(differences.sum()) - 1e-9 * np.abs(differences).sum()
    if n > FLIPS_TO:
        signs = np.random.default_rng(0).integers(0, 2, (DRAWN, n)) * 2 - 1
        return float(1 + (np.abs(signs @ differences) >= bar).sum()) / (DRAWN + 1)
    # The first sign may stay: flipping all of them changes no absolute value.
    sums = differences[:1]
    for value in differences[1:]:
        sums = np.concatenate([sums + value, sums - value])
    return float((np.abs(sums) >= bar).mean())


def clopper_pearson(failures: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a rate after `failures` of n (Clopper and Pearson 1934); (0, 1) for n = 0.

    ValueError if failures is not in 0..n.
    """
    if not 0 <= failures <= n:
        raise ValueError(f"{failures} of {n}")
    tail = (1 - confidence) / 2
    low = beta_quantile(tail, failures, n - failures + 1) if failures else 0.0
    high = beta_quantile(1 - tail, failures + 1, n - failures) if failures < n else 1.0
    return low, high


@lru_cache(maxsize=256)
def smallest_effect(n: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """The smallest true mean, in standard deviations of the differences, that a paired t test over n seeds detects with
    this power; infinite below two seeds. About 1.7 for five seeds, 1.0 for ten, 0.66 for twenty.

    The noncentral t is integrated over the distribution of the observed standard deviation (a chi), by Gauss-Legendre
    quadrature.
    """
    if n < 2:
        return math.inf
    df, bar = n - 1, t_quantile(1 - alpha / 2, n - 1)
    low, high = max(0.0, 1 - 9 / math.sqrt(df)), 1 + 9 / math.sqrt(df)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    seen = low + (nodes + 1) * (high - low) / 2  # the observed standard deviation over the true one
    log_density = math.log(2) + df / 2 * math.log(df / 2) - math.lgamma(df / 2) + (df - 1) * np.log(seen)
    normal, weights = NormalDist(), weights * (high - low) / 2 * np.exp(log_density - df * seen**2 / 2)

    def found(effect: float) -> float:
        shift = effect * math.sqrt(n)
        tails = [normal.cdf(shift - bar * s) + normal.cdf(-shift - bar * s) for s in seen]
        return float(weights @ tails)

    large = 1.0
    while found(large) < power:
        large *= 2
    return bisect(lambda effect: found(effect) < power, 0.0, large)


def first_reaching(steps: Sequence[int], values: Sequence[float], target: float, better: Better) -> int | None:
    """The first evaluated step at which the value is at least (higher is better) or at most (lower) the target; None
    for a run that was never evaluated there (censored)."""
    for step, value in zip(steps, values, strict=True):
        if (value >= target) if better == "higher" else (value <= target):
            return step
    return None


def decide_seeds(estimate: Estimate, margin: float | None, better: Better) -> tuple[Verdict, str]:
    """The verdict on the mean of per-seed differences, and the reason where nothing is decided.

    `margin`, in the estimate's units (logs for ratios), is what counts as no difference; without one nothing is
    equivalent. In this order: insufficient below five seeds; equivalent where the 90 % interval lies within the
    margin, even if it excludes 0; better or worse where the 95 % interval excludes 0; not worse where the 90 % interval
    excludes what is worse by more than the margin; else undecided, with the number of seeds that should be enough.
    """
    if estimate.k < MIN_REPLICATES:
        return Verdict.INSUFFICIENT, f"{estimate.k} of at least {MIN_REPLICATES} seeds"
    if not math.isfinite(estimate.mean):
        return Verdict.UNDECIDED, "a seed has no finite value"
    below, above = (Verdict.WORSE, Verdict.BETTER) if better == "higher" else (Verdict.BETTER, Verdict.WORSE)
    verdict = conclude(estimate, margin, 0.0, 0.05, below, above)
    if verdict != Verdict.UNDECIDED:
        return verdict, ""
    if estimate.error == 0:
        return Verdict.UNDECIDED, "all seeds agree to the last digit; with a margin this would be equivalent"
    if margin is not None and is_limited(estimate, margin, 0.05, lower_is_better=better == "lower"):
        return Verdict.NOT_WORSE, "it may be better or equivalent"
    reason = "the interval includes both better and worse" if margin is None else CLOSE
    return Verdict.UNDECIDED, f"{reason}; {seeds_in_words(seeds_needed(estimate, margin))}"


def seeds_needed(estimate: Estimate, margin: float | None) -> int:
    """How many seeds in all should decide, if the mean and the spread stay as they are: the fewest with which the
    interval excludes 0 or lies within the margin."""
    distances = [(abs(estimate.mean), 0.95), *([((margin or 0.0) - abs(estimate.mean), 0.9)] if margin else [])]
    return min(
        (processes_needed(estimate.k, estimate.half_width(confidence), distance)
         for distance, confidence in distances if distance > 0),
        default=MOST_REPLICATES + 1,
    )  # fmt: skip


def seeds_in_words(needed: int) -> str:
    """How many seeds should decide, as the end of a reason."""
    if needed > MOST_REPLICATES:
        return f"the difference is too small for {MOST_REPLICATES} seeds to decide"
    return f"about {needed} seeds in all should decide"


def _discordant(baseline_failed: Sequence[bool], variant_failed: Sequence[bool]) -> tuple[int, int]:
    """How many seeds failed with the variant only, and with the baseline only."""
    pairs = list(zip(baseline_failed, variant_failed, strict=True))
    return sum(bool(v and not b) for b, v in pairs), sum(bool(b and not v) for b, v in pairs)


def mcnemar(baseline_failed: Sequence[bool], variant_failed: Sequence[bool]) -> float:
    """The exact two-sided p value of equal failure rates (McNemar 1947, by the binomial distribution of the seeds that
    fail with one only); 1 if there are none. ValueError if the lengths differ."""
    new, cured = _discordant(baseline_failed, variant_failed)
    n = new + cured
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(min(new, cured) + 1)) / (1 << n))


def failure_difference(
    baseline_failed: Sequence[bool], variant_failed: Sequence[bool], confidence: float = 0.95
) -> tuple[float, float, float]:
    """The variant's failure rate minus the baseline's over the same seeds, and its interval (low, high).

    The interval is the adjusted Wald interval of Bonett and Price (2012), which adds one seed to each kind of
    discordant pair. Without seeds the difference is nan and the interval (-1, 1). ValueError if the lengths differ.
    """
    new, cured = _discordant(baseline_failed, variant_failed)
    n = len(baseline_failed)
    if n == 0:
        return math.nan, -1.0, 1.0
    more, fewer = (new + 1) / (n + 2), (cured + 1) / (n + 2)
    middle = more - fewer
    half = NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt((more + fewer - middle**2) / (n + 2))
    return (new - cured) / n, max(-1.0, middle - half), min(1.0, middle + half)
