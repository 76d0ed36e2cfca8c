"""Statistics over seeds: differences, intervals, sign-flip tests, failure rates and verdicts."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats as oracle

from harness.analysis import seed_stats as seeds
from harness.analysis import stats
from harness.analysis.verdicts import CLOSE

RNG = np.random.default_rng(0)
DRAWS = RNG.normal(0.3, 1.0, 40)


def test_differences_are_variant_minus_baseline():
    baseline, variant = np.array([0.5, 0.8]), np.array([0.75, 0.4])
    assert seeds.differences(baseline, variant, "difference") == pytest.approx([0.25, -0.4])
    assert seeds.differences(baseline, variant, "ratio") == pytest.approx([math.log(1.5), math.log(0.5)])


def test_zero_loss_has_a_finite_ratio():
    found = seeds.differences(np.array([0.0, 1.0]), np.array([1.0, 0.0]), "ratio")
    assert found == pytest.approx([math.log(1e12), -math.log(1e12)])


def test_differences_need_the_same_seeds():
    with pytest.raises(ValueError, match="not the same seeds"):
        seeds.differences(np.ones(1), np.ones(3), "difference")


def test_intervals_are_those_of_the_paired_t_test():
    baseline, variant = DRAWS[:10], DRAWS[10:20]
    found = stats.estimate(list(seeds.differences(baseline, variant, "difference")))
    expected = oracle.ttest_rel(variant, baseline)
    assert found.interval() == pytest.approx(expected.confidence_interval(0.95))
    assert found.p_value() == pytest.approx(expected.pvalue)


@pytest.mark.parametrize("n", [6, 7, 11, 16])
def test_sign_flip_test_is_exhaustive(n):
    values = DRAWS[:n]
    expected = oracle.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True
    )
    assert seeds.sign_flip(values) == pytest.approx(expected.pvalue, abs=1e-12)


def test_ties_within_rounding_are_counted():
    """Sums of 0.1, 0.2 and 0.3 can be equal except for rounding."""
    values = np.array([0.1, 0.2, 0.3, 0.1, -0.2, 0.3, 0.1])
    whole = np.array([1, 2, 3, 1, -2, 3, 1])
    sums = [abs(np.dot(signs, whole)) for signs in itertools.product((1, -1), repeat=7)]
    assert seeds.sign_flip(values) == np.mean(np.array(sums) >= whole.sum())


def test_sign_flip_at_its_ends():
    assert seeds.sign_flip(np.full(6, 0.1)) == 2 / 64
    assert seeds.sign_flip(np.full(16, -0.1)) == 2 / 2**16
    assert seeds.sign_flip(np.zeros(6)) == 1
    assert seeds.sign_flip(np.zeros(17)) == 1
    assert seeds.sign_flip(DRAWS[:5]) is None
    assert seeds.sign_flip(np.array([])) is None
    assert seeds.sign_flip(np.array([1, 2, 3, 4, 5, math.nan])) is None


def test_sign_flips_of_many_seeds_are_sampled_reproducibly():
    values = DRAWS[:20] - 0.1
    expected = oracle.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=10**5, vectorized=True, rng=3
    )
    assert seeds.sign_flip(values) == pytest.approx(expected.pvalue, abs=0.01)
    assert seeds.sign_flip(values) == seeds.sign_flip(values)
    assert seeds.sign_flip(np.full(40, 1.0)) == 1 / 20_001


@pytest.mark.parametrize(("failures", "n"), [(0, 5), (1, 5), (5, 5), (0, 10), (3, 10), (10, 10), (1, 1), (19, 20)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_intervals_of_a_rate(failures, n, confidence):
    expected = oracle.binomtest(failures, n).proportion_ci(confidence, "exact")
    assert seeds.clopper_pearson(failures, n, confidence) == pytest.approx(tuple(expected), abs=1e-9)


def test_rate_of_no_runs():
    assert seeds.clopper_pearson(0, 0) == (0, 1)
    for failures in (-1, 6):
        with pytest.raises(ValueError, match="of 5"):
            seeds.clopper_pearson(failures, 5)


@pytest.mark.parametrize("n", [3, 5, 10, 20, 100])
@pytest.mark.parametrize(("power", "alpha"), [(0.8, 0.05), (0.9, 0.01)])
def test_smallest_effect_has_its_stated_power(n, power, alpha):
    effect = seeds.smallest_effect(n, power, alpha)
    bar, shift = oracle.t.ppf(1 - alpha / 2, n - 1), effect * math.sqrt(n)
    assert oracle.nct.sf(bar, n - 1, shift) + oracle.nct.cdf(-bar, n - 1, shift) == pytest.approx(power, abs=1e-5)


@pytest.mark.parametrize(("n", "expected"), [(5, 1.682), (10, 0.996), (20, 0.660), (1, math.inf), (0, math.inf)])
def test_smallest_effect_by_number_of_seeds(n, expected):
    assert seeds.smallest_effect(n) == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize(
    ("values", "target", "better", "expected"),
    [
        ([0.2, 0.9, 0.5], 0.9, "higher", 20),
        ([0.2, 0.9, 0.5], 0.91, "higher", None),
        ([2.0, 0.4, 0.3], 0.4, "lower", 20),
        ([2.0, 0.4, 0.3], 0.2, "lower", None),
        ([math.nan, math.nan, 0.3], 0.4, "lower", 30),
        ([0.2, 0.9, 0.5], 0.1, "higher", 10),
    ],
)  # fmt: skip
def test_the_first_step_that_reaches_the_target(values, target, better, expected):
    assert seeds.first_reaching([10, 20, 30], values, target, better) == expected


def test_run_without_evaluation_reaches_no_target():
    assert seeds.first_reaching([], [], 0.5, "higher") is None


def estimate(low, high, k=10, confidence=0.95):
    """An estimate whose interval at this confidence is (low, high)."""
    return stats.Estimate((low + high) / 2, (high - low) / 2 / oracle.t.ppf(0.5 + confidence / 2, k - 1), k - 1, k)


BOTH = "the interval includes both better and worse"
OPEN = "it may be better or equivalent"


@pytest.mark.parametrize(
    ("found", "margin", "better", "expected"),
    [
        (estimate(0.1, 0.3), None, "higher", ("better", "")),
        (estimate(0.1, 0.3), None, "lower", ("worse", "")),
        (estimate(-0.3, -0.1), None, "lower", ("better", "")),
        (estimate(-0.3, -0.1), None, "higher", ("worse", "")),
        (estimate(-0.1, 0.3), None, "higher", ("undecided", f"{BOTH}; about 40 seeds in all should decide")),
        (estimate(-0.1, 0.3), 0.2, "higher", ("not worse", OPEN)),
        (estimate(0.1, 0.3), 0.2, "higher", ("better", "")),
        # Only the 90 % interval has to be within the margin.
        (estimate(-0.19, 0.19, confidence=0.9), 0.2, "higher", ("equivalent", "")),
        (estimate(-0.05, 0.21, confidence=0.9), 0.2, "higher", ("not worse", OPEN)),
        (estimate(-0.21, 0.05, confidence=0.9), 0.2, "lower", ("not worse", OPEN)),
        (estimate(-0.21, 0.05, confidence=0.9), 0.2, "higher", ("undecided", f"{CLOSE}; about 12 seeds in all should decide")),
        (estimate(-0.3, 0.32), None, "higher", ("undecided", f"{BOTH}; the difference is too small for 100 seeds to decide")),
        # Different from 0 and within the margin: a difference that is too small to matter.
        (estimate(0.05, 0.1), 0.2, "higher", ("equivalent", "")),
        (estimate(0.1, 0.3, k=4), 0.5, "higher", ("insufficient", "4 of at least 5 seeds")),
        (stats.estimate([0.1] * 5), None, "higher", ("better", "")),
        (stats.estimate([0.1] * 5), 0.05, "lower", ("worse", "")),
        (stats.estimate([0.0] * 5), 0.05, "lower", ("equivalent", "")),
        (stats.Estimate(math.nan, math.nan, 4, 5), 0.05, "lower", ("undecided", "a seed has no finite value")),
        (stats.Estimate(math.inf, math.nan, 4, 5), 0.05, "lower", ("undecided", "a seed has no finite value")),
    ],
)  # fmt: skip
def test_verdicts(found, margin, better, expected):
    assert seeds.decide_seeds(found, margin, better) == expected


def test_identical_seeds_are_equivalent_only_with_a_margin():
    verdict, reason = seeds.decide_seeds(stats.estimate([0.0] * 5), None, "higher")
    assert verdict == "undecided"
    assert reason.startswith("all seeds agree to the last digit")


@pytest.mark.parametrize(
    ("new", "cured", "both", "neither"), [(0, 0, 3, 7), (1, 0, 0, 9), (1, 7, 1, 1), (6, 0, 2, 2), (3, 3, 1, 0)]
)
def test_failures_of_paired_seeds(new, cured, both, neither):
    baseline = [False] * new + [True] * cured + [True] * both + [False] * neither
    variant = [True] * new + [False] * cured + [True] * both + [False] * neither
    expected = oracle.binomtest(new, new + cured).pvalue if new + cured else 1
    assert seeds.mcnemar(baseline, variant) == pytest.approx(expected)
    difference, low, high = seeds.failure_difference(baseline, variant)
    assert difference == pytest.approx(np.mean(variant) - np.mean(baseline))
    assert -1 <= low <= difference <= high <= 1
    other = seeds.failure_difference(variant, baseline)
    assert other == pytest.approx((-difference, -high, -low))


def test_bonett_price_interval_equals_a_worked_example():
    """Of 10 seeds, 4 fail for the variant alone and 1 for the baseline alone: 5 / 12 and 2 / 12."""
    _, low, high = seeds.failure_difference([False] * 4 + [True] + [False] * 5, [True] * 4 + [False] * 6)
    half = oracle.norm.ppf(0.975) * math.sqrt((7 / 12 - (3 / 12) ** 2) / 12)
    assert (low, high) == pytest.approx((3 / 12 - half, 3 / 12 + half))


def test_failure_rates_of_no_runs():
    assert seeds.mcnemar([], []) == 1
    assert seeds.failure_difference([], [])[1:] == (-1, 1)
    for function in (seeds.mcnemar, seeds.failure_difference):
        with pytest.raises(ValueError, match="shorter"):
            function([True, False], [True])
