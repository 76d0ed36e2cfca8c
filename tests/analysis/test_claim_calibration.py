"""Error rates of the tests of claims, by simulation at the boundary; `pytest -s` prints the table in docs/method.md."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.analysis.claim_tests import ClaimTest
from harness.analysis.level_values import Rate
from harness.analysis.stats import Estimate
from harness.records.plan import Claim
from harness.suite.expect import parse_expect

#: Experiments per cell: the standard error of a rate of 5 % is 0.15 %.
MANY = 20_000
REPLICATES = (5, 10, 20)
FLOOR = 0.003
#: For each form: the true value at the boundary, in log units or points; then the probabilities of true and false that
#: are its error rates there.
FORMS = {
    "at least 5% lower": (math.log(0.95), 0.025, 0.025),
    "at least 5% higher": (math.log(1.05), 0.025, 0.025),
    "lower": (-FLOOR, 0.025, 0.025),
    "equal within 2%": (math.log(1.02), 0.05, 0.025),
    "at most 5% higher": (math.log(1.05), 0.05, 0.05),
    "not lower by 1 point": (-0.01, 0.05, 0.05),
    "at least 90%": (0.9, 0.05, 0.05),
    "at most 20 ms": (math.log(0.02), 0.05, 0.05),
}


def claim(text: str) -> Claim:
    expected = parse_expect(text)
    return Claim(
        text, "b", "step_time", expected.expect, expected.by, "train", {}, "all", expected.scale or "ratio",
        unit=expected.unit,
    )  # fmt: skip


@pytest.fixture(scope="module")
def noise() -> dict[int, list[Estimate]]:
    """Estimates of a true value of 0, with a spread between replicates of 1 %."""
    values = {n: np.random.default_rng(n).normal(0, 0.01, (MANY, n)) for n in REPLICATES}
    return {
        n: [Estimate(m, e, n - 1, n) for m, e in zip(
            rows.mean(axis=1).tolist(), (rows.std(axis=1, ddof=1) / math.sqrt(n)).tolist(), strict=True
        )]
        for n, rows in values.items()
    }  # fmt: skip


@pytest.mark.parametrize("text", FORMS)
def test_error_rates_at_the_boundary(noise, text):
    """At the boundary, either answer is wrong at most as often as stated."""
    true, holds_at_most, fails_at_most = FORMS[text]
    test = ClaimTest.of(claim(text), FLOOR, on_logs=text.endswith("ms"))
    rates = []
    for n, estimates in noise.items():
        found = [Estimate(true + one.mean, one.error, one.df, n) for one in estimates]
        holds = np.mean([test.holds(one, 0.05) for one in found])
        fails = np.mean([test.fails(one, 0.05) for one in found])
        rates.append(f"{n}: {holds:.1%} true, {fails:.1%} false")
        assert holds <= holds_at_most + 0.005
        assert fails <= fails_at_most + 0.005
        if text.startswith(("at", "not")):  # a test that never decides would pass as well
            assert holds >= holds_at_most - 0.005
            assert fails >= fails_at_most - 0.005
    print(f"\n{text}: {'; '.join(rates)}")


@pytest.mark.parametrize(("text", "true", "rate"), [
    ("at most 5% higher", 0.0, 0.99), ("at least 5% lower", math.log(0.9), 0.99), ("equal within 2%", 0.0, 0.80),
])  # fmt: skip
def test_power(noise, text, true, rate):
    """With ten replicates, a claim that is clearly true is nearly always found true."""
    test = ClaimTest.of(claim(text), FLOOR)
    found = [Estimate(true + one.mean, one.error, one.df, one.k) for one in noise[10]]
    assert np.mean([test.holds(one, 0.05) for one in found]) >= rate


@pytest.mark.parametrize("n", REPLICATES)
@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5, 0.8, 0.9])
def test_rates_over_seeds_err_at_most_as_often_as_stated(n, rate):
    """Exact: the probability of each number of seeds is binomial."""
    for text in (f"at least {100 * rate:g}%", f"at most {100 * rate:g}%"):
        test, errors = ClaimTest.of(claim(text), 0.0), {"true": 0.0, "false": 0.0}
        for happened in range(n + 1):
            one = Rate.of([True] * happened + [False] * (n - happened))
            probability = math.comb(n, happened) * rate**happened * (1 - rate) ** (n - happened)
            errors["true"] += probability * test.holds(one, 0.05)
            errors["false"] += probability * test.fails(one, 0.05)
        assert max(errors.values()) <= 0.05
