"""Error rates of comparisons between runs whose ratios scatter by more than their own processes show. `python -m pytest
-s` prints the table in docs/method.md."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis import stats
from harness.tools.comparison.times import (
    SPREAD_OF_EQUAL,
    Spread,
    assumed_spread,
    decide_change,
    df_of_differences,
    difference,
    spread_of,
)

RUNS, PROCESSES, WITHIN = 400, 5, 0.006


def pairs(between: float, planted: float = 0.0, ratio: float = 0.0) -> list[tuple[stats.Estimate, stats.Estimate]]:
    """Two runs each: a ratio, and the ratio times the planted change, with scatter between runs and processes."""
    random = np.random.default_rng(7)
    means = ratio + random.normal(0, between, (RUNS, 2, 1)) + np.array([[0.0], [np.log1p(planted)]])
    values = means + random.normal(0, WITHIN, (RUNS, 2, PROCESSES))
    return [(stats.estimate(a.tolist()), stats.estimate(b.tolist())) for a, b in values]


def shares(between: float, planted: float, spread: Spread | None, ratio: float = 0.0) -> dict[str, float]:
    """The share of each verdict, and how often the interval contains the planted change."""
    found: dict[str, float] = {"covers": 0.0}
    for a, b in pairs(between, planted, ratio):
        change = difference(a, b, spread or assumed_spread(a.mean))
        verdict, _ = decide_change(change, 0.02, stats.FLOOR)
        found[verdict] = found.get(verdict, 0.0) + 1 / RUNS
        low, high = change.interval()
        found["covers"] += (low <= np.log1p(planted) <= high) / RUNS
    print(f"\nruns scatter by {between:.1%}, {planted:+.0%}, assumed {spread}: {found}")
    return found


def test_interval_without_run_to_run_scatter_is_too_narrow():
    """Welch's interval alone covers only if there is no scatter between runs."""
    assert shares(0.0, 0.0, Spread(0.0))["covers"] > 0.92
    assert shares(0.003, 0.0, Spread(0.0))["covers"] < 0.90
    assert shares(0.005, 0.0, Spread(0.0))["covers"] < 0.75


@pytest.mark.parametrize(("between", "ratio"), [(0.0, 0.0), (0.003, 0.0), (SPREAD_OF_EQUAL, 0.0), (0.012, 0.7)])
def test_interval_with_run_to_run_scatter_covers(between, ratio):
    found = shares(between, 0.0, None, ratio)
    assert found["covers"] >= 0.93
    assert found.get("slower", 0.0) + found.get("faster", 0.0) <= 0.04


def test_five_percent_are_detected_and_never_equivalent():
    for between in (0.0, SPREAD_OF_EQUAL):
        found = shares(between, 0.05, None)
        assert found["slower"] >= 0.96
        assert not found.get("equivalent")


def test_more_scatter_than_assumed_needs_a_history():
    """With ten earlier runs the interval covers again; with only the assumed scatter it does not."""
    between = 0.010
    assert shares(between, 0.0, None)["covers"] < 0.8
    random = np.random.default_rng(3)
    covered = 0
    for a, b in pairs(between):
        earlier = random.normal(0, between, (10, 1)) + random.normal(0, WITHIN, (10, PROCESSES))
        past = [stats.estimate(values.tolist()) for values in earlier]
        low, high = difference(a, b, spread_of(past, a.mean)).interval()
        covered += low <= 0 <= high
    assert covered / RUNS >= 0.92


def test_the_spread_of_earlier_runs_is_not_widened_by_one_change():
    random = np.random.default_rng(5)
    steady = [stats.Estimate(x, 0.001, 4, 5) for x in random.normal(0, 0.006, 20)]
    moved = [stats.Estimate(e.mean + 0.05 * (i >= 10), e.error, 4, 5) for i, e in enumerate(steady)]
    assert spread_of(steady, 0.0).sd == pytest.approx(0.006, rel=0.4)
    assert spread_of(moved, 0.0).sd < 0.5 * np.std([e.mean for e in moved])
    assert spread_of(steady, 0.0).df == df_of_differences(20)
    assert spread_of([stats.Estimate(0.0, 0.0, 4, 5)] * 8, 0.5).sd == SPREAD_OF_EQUAL
    assert spread_of(steady[:3], 0.0) == assumed_spread(0.0)


@pytest.mark.parametrize("n", [6, 10, 20])
def test_degrees_of_freedom_of_successive_differences(n):
    """A variance with df degrees of freedom has 2 mean^2 / variance = df: here from 200,000 simulated series."""
    series = np.random.default_rng(n).normal(size=(200_000, n))
    found = (np.diff(series, axis=1) ** 2).mean(axis=1) / 2
    assert 2 * found.mean() ** 2 / found.var() == pytest.approx(df_of_differences(n), rel=0.02)
    assert df_of_differences(n) < 0.72 * (n - 1)


def test_degrees_of_freedom_are_welch_s():
    a, b = stats.Estimate(0.0, 0.01, 4, 5), stats.Estimate(0.03, 0.01, 4, 5)
    assert difference(a, b, Spread(0.0)).df == pytest.approx(8)
    assert difference(a, stats.Estimate(0.03, 1e-9, 4, 5), Spread(0.0)).df == pytest.approx(4)
    exact = stats.Estimate(0.0, 0.0, 4, 5)
    assert difference(exact, exact, Spread(0.0)).interval() == (0.0, 0.0)
    assert difference(exact, exact, Spread(0.004)).half_width() == pytest.approx(1.96 * 0.004 * 2**0.5, rel=1e-3)
