"""Statistics of step times: trimmed means, t quantiles, intervals, stopping and corrections for many comparisons."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as oracle

from harness.analysis import stats
from harness.analysis.stats import Estimate
from harness.records.settings import Speed

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("df", [1, 2, 3, 4, 9, 19, 100, 1e4, 2.5])
@pytest.mark.parametrize("p", [1e-12, 1e-6, 0.0221 / 2, 0.025, 0.2, 0.5, 0.8, 0.95, 0.975, 0.995, 1 - 1e-9])
def test_quantiles_of_t(p, df):
    assert stats.t_quantile(p, df) == pytest.approx(oracle.t.ppf(p, df), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("df", [1, 4, 19, 2.5])
@pytest.mark.parametrize("t", [0, 0.1, 1, 10, 1e4])
def test_tail_of_t(t, df):
    assert stats.t_tail(t, df) == pytest.approx(oracle.t.sf(t, df), rel=1e-11)


def test_quantiles_refuse_invalid_arguments():
    with pytest.raises(ValueError, match="not inside"):
        stats.t_quantile(1.0, 3)


@pytest.mark.parametrize("n", [1, 4, 5, 7, 10, 33])
def test_trimmed_mean(n):
    values = RNG.normal(size=n)
    assert stats.trimmed_means(values[None])[0] == pytest.approx(oracle.trim_mean(values, 0.2))


@pytest.mark.parametrize("n", [1, 2, 5, 6, 11])
def test_tenth_percentile_equals_numpy(n):
    rows = RNG.lognormal(size=(7, n))
    assert stats.tenths(rows) == pytest.approx(np.quantile(rows, 0.1, axis=1), rel=1e-15)


@pytest.mark.parametrize("visits", [(3, 3, 3), (2, 5, 2, 1), (1,)])
def test_each_batch_is_judged_by_its_own_samples(visits):
    batch = RNG.permutation(np.repeat(10 + 3 * np.arange(len(visits)), visits))
    values = RNG.normal(size=len(batch))
    expected = [values[batch == j].mean() for j in np.unique(batch)]
    assert stats.each_batch(values, batch, stats.means) == pytest.approx(expected, rel=1e-14)
    assert stats.each_batch(values, batch.astype(np.int32), stats.means) == pytest.approx(expected, rel=1e-14)


def test_standard_error_of_a_trimmed_mean():
    baseline, noise = np.ones(40), RNG.normal(0, 0.1, 40)
    batch = np.zeros(40, dtype=int)
    expected = oracle.mstats.trimmed_stde(noise, limits=(0.2, 0.2), inclusive=(1, 1))
    found = stats.log_ratio_error(baseline, np.exp(noise), batch)
    assert found == pytest.approx(expected, rel=0.05)


def test_single_batch_gives_the_trimmed_mean_of_log_ratios():
    a, b = RNG.uniform(1, 2, 30), RNG.uniform(1, 2, 30)
    found = stats.log_ratio(a, b, np.zeros(30, dtype=int))
    assert found == pytest.approx(oracle.trim_mean(np.log(b / a), 0.2))


def test_batches_are_weighted_by_the_baselines_time():
    """A variant that splits the same examples into other batches: the unweighted mean of logarithms is 0.37, the ratio
    of sums gives 0.62."""
    a, b = np.array([10.0, 1.0, 1.0]), np.array([1.0, 3.2, 3.2])
    found = stats.log_ratio(np.tile(a, 7), np.tile(b, 7), np.tile([0, 1, 2], 7))
    assert math.exp(found) == pytest.approx(b.sum() / a.sum(), abs=1e-12)
    assert math.exp(np.log(b / a).mean()) > 1


def test_intervals_use_the_t_distribution():
    values = RNG.normal(0.1, 0.02, 7)
    found = stats.estimate(values)
    low, high = oracle.t.interval(0.95, 6, values.mean(), oracle.sem(values))
    assert found.interval() == pytest.approx((low, high))
    assert found.half_width() == pytest.approx((high - low) / 2)
    assert stats.estimate([0.1]).half_width() == math.inf


def test_smallest_visible_difference_has_80_percent_power():
    sigma, k = 0.01, 5
    rng = np.random.default_rng(1)
    effect = stats.smallest_visible(Estimate(0.0, sigma / math.sqrt(k), k - 1, k), 0.0)
    samples = rng.normal(effect, sigma, (20_000, k))
    half = oracle.t.ppf(0.975, k - 1) * samples.std(axis=1, ddof=1) / math.sqrt(k)
    assert 0.75 < (samples.mean(axis=1) - half > 0).mean() < 0.87


@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_benjamini_and_hochberg(size):
    p_values = RNG.uniform(size=size) ** 2
    assert stats.benjamini_hochberg(list(p_values)) == pytest.approx(oracle.false_discovery_control(p_values))


@pytest.mark.parametrize(("mean", "floor"), [(0.01, 0), (-0.02, 0.003), (0.002, 0.003)])
def test_p_values_use_the_t_distribution(mean, floor):
    values = [mean + e for e in (-0.01, 0.004, 0.006, -0.003, 0.003)]
    found = stats.estimate(values)
    beyond = max(0.0, abs(found.mean) - floor)
    assert found.p_value(floor) == pytest.approx(2 * oracle.t.sf(beyond / found.error, 4))


def test_all_looks_together_have_five_percent_false_alarms():
    """A run that ends at the first look that finds a difference. The plain looks have exactly 5 %."""
    draws = RNG.normal(size=(100_000, 20))
    rule = Speed().as_planned(plain=True)
    alarm = np.zeros(len(draws), dtype=bool)
    for k in rule.looks:
        seen = draws[:, :k]
        half = stats.t_quantile(1 - 0.025 * rule.share(k), k - 1) * seen.std(axis=1, ddof=1) / math.sqrt(k)
        alarm |= np.abs(seen.mean(axis=1)) > half
    assert alarm.mean() == pytest.approx(0.05, abs=0.003)


@pytest.mark.parametrize(
    ("spread_df", "most"),
    [
        (4, 0.05),  # as the prior assumes
        (8, 0.05),  # variances that vary less than it assumes
        (2.5, 0.075),  # variances that vary more: the price of pooling
    ],
)
def test_pooled_looks_have_five_percent_false_alarms_on_average(spread_df, most):
    """The true variances scatter around the expected one, as an inverse chi-square with `spread_df` degrees."""
    rng, experiments, within = np.random.default_rng(4), 20_000, 1e-5
    rule, expected = Speed().as_planned(plain=False), math.exp(stats.PRIOR[0] + stats.PRIOR[1] * math.log(within))
    variances = expected * spread_df / rng.chisquare(spread_df, experiments)
    draws = rng.normal(size=(experiments, 20)) * np.sqrt(variances)[:, None]
    alarm = np.zeros(experiments, dtype=bool)
    for k in rule.looks:
        df = stats.PRIOR_DF + k - 1
        pooled = (stats.PRIOR_DF * expected + (k - 1) * draws[:, :k].var(axis=1, ddof=1)) / df
        half = stats.t_quantile(1 - 0.025 * rule.share(k), df) * np.sqrt(pooled / k)
        alarm |= np.abs(draws[:, :k].mean(axis=1)) > half
    assert alarm.mean() < most
    one = stats.pooled_estimate(draws[0, :5].tolist(), within, rule.share(5))
    assert one.error**2 * 5 == pytest.approx((4 * expected + 4 * draws[0, :5].var(ddof=1)) / 8)
    assert (one.df, one.k) == (8, 5)


def test_nothing_is_pooled_without_an_error_within_processes():
    assert stats.pooled_estimate([0.1, 0.2, 0.3], 0.0) == stats.estimate([0.1, 0.2, 0.3])


@pytest.mark.parametrize(("k", "share"), [(3, 0.63), (5, 0.45), (10, 0.26), (20, 0.14), (0, 1.0)])
def test_what_a_few_processes_cannot_show(k, share):
    assert stats.unseen_share(k) == pytest.approx(share, abs=0.006)
    assert k == 0 or (1 - stats.unseen_share(k)) ** k == pytest.approx(0.05)


def test_holm_steps_down():
    assert stats.holm_levels([0.04, 0.001, 0.03]) == [0, pytest.approx(0.05 / 3), 0]
    assert stats.holm_levels([0.01, 0.02, 0.04]) == [pytest.approx(0.05 / 3), pytest.approx(0.025), 0.05]
    assert stats.holm_levels([]) == []


def test_smallest_alpha_is_the_boundary():
    assert stats.smallest_alpha(lambda alpha: alpha >= 0.0123) == pytest.approx(0.0123, rel=1e-6)
    assert stats.smallest_alpha(lambda alpha: False) == 1.0
    assert stats.smallest_alpha(lambda alpha: True) <= 1.1e-12


def test_quick_interval_is_widened():
    found = stats.quick_estimate(0.1, 0.001, control=0.0, samples=50)
    assert found.error == pytest.approx(math.hypot(0.001, 0.004))
    assert stats.quick_estimate(0.1, 0.001, control=-0.03, samples=50).error > 0.03
