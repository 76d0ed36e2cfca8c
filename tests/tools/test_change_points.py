"""Change points in a sequence of runs are located, and false alarms are rare."""

from __future__ import annotations

import numpy as np
import pytest

from harness.tools.comparison import change_points
from harness.tools.comparison.change_points import (
    FEWEST,
    find_changes,
    likelihood_gains,
    sequences_without_change,
)

#: The scatter that the five processes of a run show, and the assumed scatter between runs.
WITHIN, ASSUMED = 0.006, 0.004


def sequence(
    random: np.random.Generator, means, between: float, autocorrelation: float = 0.0
) -> tuple[list[float], list[float]]:
    """Runs with these means, as a history reads them: five processes each, and their variances. What a run adds depends
    on what the run before it added."""
    processes = np.asarray(means)[:, None] + random.normal(0, WITHIN, (len(means), 5))
    added = random.normal(size=len(means))
    for at in range(1, len(means)):
        added[at] = autocorrelation * added[at - 1] + np.sqrt(1 - autocorrelation**2) * added[at]
    values = processes.mean(axis=1) + between * added
    own = processes.var(axis=1, ddof=1) / 5
    return values.tolist(), (np.maximum(own, own.mean()) + ASSUMED**2).tolist()


@pytest.mark.parametrize(
    ("between", "autocorrelation"), [(0.0, 0.0), (0.004, 0.0), (0.004, 0.6), (0.012, 0.0), (0.012, 0.3), (0.012, 0.6)]
)
@pytest.mark.parametrize("n", [4, 6, 10, 20])
def test_false_alarms_are_at_most_one_in_twenty(n, between, autocorrelation):
    """Even if runs scatter three times as much as assumed, and resemble their neighbours. At 5 %, 11 or more of 100
    have a probability of 1 %. Without the allowance for autocorrelation there were 30 of 100 at n = 20."""
    random = np.random.default_rng(n)
    alarms = sum(
        bool(find_changes(*sequence(random, np.zeros(n), between, autocorrelation)).points) for _ in range(100)
    )
    assert alarms <= 10


def test_without_autocorrelated_simulations_there_would_be_false_alarms(monkeypatch):
    """The test above can fail."""
    monkeypatch.setattr(change_points, "AUTOCORRELATION", 0.0)
    random = np.random.default_rng(20)
    alarms = sum(bool(find_changes(*sequence(random, np.zeros(20), 0.012, 0.6)).points) for _ in range(50))
    assert alarms > 8


@pytest.mark.parametrize(("n", "least"), [(6, 10), (10, 60), (20, 80)])
def test_change_of_two_percent_is_located(n, least):
    random = np.random.default_rng(n)
    means = [0.0] * (n // 2) + [0.02] * (n - n // 2)
    found = [find_changes(*sequence(random, means, 0.004)) for _ in range(100)]
    assert sum(any(point.position == n // 2 for point in one.points) for one in found) >= least
    sizes = [point.size for one in found for point in one.points if point.position == n // 2]
    assert np.mean(sizes) == pytest.approx(0.02, abs=0.005 if n > 6 else 0.01)


def test_simulated_sequences_have_the_autocorrelation():
    draws = sequences_without_change(200, 0.6)
    assert float((draws[:, 1:] * draws[:, :-1]).mean()) == pytest.approx(0.6, abs=0.02)
    assert float(draws.var()) == pytest.approx(1.0, abs=0.02)


def test_several_changes_are_found_in_order():
    random = np.random.default_rng(3)
    means = [0.0] * 8 + [0.05] * 8 + [-0.02] * 8
    found = find_changes(*sequence(random, means, 0.002))
    assert [point.position for point in found.points] == [8, 16]
    assert [(segment.start, segment.stop) for segment in found.segments] == [(0, 8), (8, 16), (16, 24)]
    for segment, mean in zip(found.segments, (0.0, 0.05, -0.02), strict=True):
        assert abs(segment.mean - mean) < 4 * segment.error
    first, second = found.points
    assert first.after is second.before is found.segments[1]
    assert first.p <= 0.05


@pytest.mark.parametrize("at", [0, 5, 11])
def test_single_run_is_no_change(at):
    values = [0.001 * (-1) ** i for i in range(12)]
    for size in (0.02, 0.1, 10.0):
        values[at] += size
        assert not find_changes(values, [0.005**2] * 12).points


def test_change_is_reported_from_its_second_run_on():
    values = [0.001 * (-1) ** i for i in range(10)]
    assert not find_changes([*values, 0.05], [0.004**2] * 11).points
    (point,) = find_changes([*values, 0.05, 0.05], [0.004**2] * 12).points
    assert point.position == 10


def test_noisy_run_has_less_weight():
    values, variances = [0.0] * 6 + [0.3] * 2, [0.004**2] * 6 + [0.4**2] * 2
    assert not find_changes(values, variances).points
    assert find_changes(values, [0.004**2] * 8).points


def test_short_and_empty_sequences_have_none():
    for n in range(2 * FEWEST):
        found = find_changes([float(i) for i in range(n)], [1e-6] * n)
        assert not found.points
        assert found.p == 1.0
        assert len(found.segments) == (n > 0)


def test_result_is_deterministic_and_extra_scatter_is_reported():
    random = np.random.default_rng(1)
    values, variances = sequence(random, np.zeros(20), 0.03)
    assert find_changes(values, variances) == find_changes(values, variances)
    assert find_changes(values, variances).scale > 3
    assert find_changes([0.0] * 20, variances).scale == 1.0


def test_zero_variance_is_refused():
    with pytest.raises(ValueError, match="variance above 0"):
        find_changes([1.0, 2.0], [0.0, 1.0])
    with pytest.raises(ValueError, match="variance above 0"):
        find_changes([1.0, 2.0], [1.0])


def test_the_gain_is_twice_the_difference_of_log_likelihoods():
    random = np.random.default_rng(0)
    values, variances = random.normal(size=9), random.uniform(0.5, 2, 9)

    def loss(part: slice) -> float:
        weights = 1 / variances[part]
        mean = (values[part] * weights).sum() / weights.sum()
        return float((weights * (values[part] - mean) ** 2).sum())

    whole = loss(slice(0, 9))
    expected = [whole - loss(slice(0, at)) - loss(slice(at, 9)) for at in range(FEWEST, 9 - FEWEST + 1)]
    assert likelihood_gains(values[None], 1 / variances[None])[0] == pytest.approx(expected)
