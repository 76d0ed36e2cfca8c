"""Costs that do not fall on every step: their size, their period, and what may not be called equivalent."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from made import block, record

from harness.analysis.samples import step_time
from harness.analysis.tails import ProcessRatios, drifts, find_period
from harness.analysis.timing import Comparison, Measured
from harness.records.settings import Speed

BATCHES, STEP = 8, 5e6


def compared(change, *, processes: int = 5, steps: int = 96, noise: float = 0.01, margin: float = 0.02) -> Comparison:
    """A level whose times are those of the baseline and what ``change(numbers, random)`` adds to each step, as a share of
    a step. Step numbers count from the start of the process, and batches differ in length."""
    this = block("a", "b", speed=Speed(until="decided", margin=margin).as_planned(plain=False))
    records = []
    for process in range(processes):
        random = np.random.default_rng(process)
        numbers, batch = np.arange(steps) + 1 + 2 * BATCHES, np.arange(steps) % BATCHES
        for level, role in (("a", "variant"), ("a", "control"), ("b", "variant")):
            times = STEP * (1 + batch / 4) * random.normal(1, noise, steps)
            if level == "b":
                times = times + STEP * change(numbers, random)
            records.append(
                record(this, level, process, times, role=role, batch=batch.tolist(), steps_before=2 * BATCHES)
            )
    return Measured(this, records, "train").compare(this.trials[1], "step_time", step_time, 0.003, False)


@pytest.mark.parametrize("period", [*range(2, 21), 24, 32, 40, 48, 63, 64])
def test_work_at_every_nth_step_costs_its_mean(period):
    """A cost of 45 % on average, in every n-th step. Periods that do not divide 96 have one step more or less."""
    found = compared(lambda numbers, random: 0.45 * period * (numbers % period == 0))
    mean = 1 + BATCHES / 8 / 4 * 3.5
    happened = sum(number % period == 0 for number in range(17, 17 + 96)) * period / 96
    assert found.verdict == "slower"
    assert found.size == pytest.approx(1 + 0.45 / mean * happened, rel=0.01)
    assert found.period == (None if period in (2, 4, 8) or period > 48 else period)
    assert ("mean-decides" in found.flags) == (period not in (2, 4, 8))  # these fall on the same batches


def test_small_regular_cost_is_not_called_equivalent():
    """Every tenth step doubled."""
    found = compared(lambda numbers, random: 1.4 * (numbers % 10 == 0))
    assert (found.verdict, found.period) == ("slower", 10)


def test_rare_irregular_cost_forbids_equivalence():
    """In one process of five, every seventh step takes much longer: too few for a trimmed mean."""

    def change(numbers, random):
        return 7.0 * (numbers % 7 == 0) if random.bit_generator.seed_seq.entropy == 0 else 0.0 * numbers

    found = compared(change)
    assert found.verdict == "undecided"
    assert found.flags == ("tail-effect",)
    assert found.reason.startswith("tail-effect: ")


def test_no_difference_has_no_period_and_is_equivalent():
    found = compared(lambda numbers, random: 0.0 * numbers)
    assert (found.verdict, found.period, found.flags) == ("equivalent", None, ())
    assert found.steps == 96


def test_noise_has_a_period_rarely():
    found = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        ratios = [
            ProcessRatios(0, 0, 0, 0.001, random.standard_t(2, 96), np.arange(96) % BATCHES, 17) for _ in range(5)
        ]
        found += find_period(ratios) is not None
    assert found == 0


def test_a_drift_forbids_equivalence():
    """The level gets slower from step to step, by about 8 % of a step."""
    found = compared(lambda numbers, random: 0.16 * ((numbers - 17) / 95 - 0.5))
    assert found.verdict == "undecided"
    assert "drifts" in found.flags


def test_drifts_are_of_whole_processes():
    series = [np.r_[np.zeros(40), np.full(40, shift)] for shift in (0.05, 0.06, 0.055)]
    ratios = [ProcessRatios.of([np.ones(80)], np.exp(one), np.zeros(80, dtype=int), 1) for one in series]
    assert drifts(ratios, 0.02)
    assert not drifts(ratios, 0.06)
    assert not drifts(ratios[:1], 0.02)
    with warnings.catch_warnings(action="error"):
        assert not drifts([], 0.02)


def test_times_that_are_not_positive_have_no_ratio():
    assert ProcessRatios.of([np.ones(8)], np.zeros(8), np.zeros(8, dtype=int), 1) is None
    both = ProcessRatios.of([np.ones(40), np.full(40, math.e**2)], np.full(40, math.e), np.zeros(40, dtype=int), 1)
    assert both is not None
    assert both.typical == pytest.approx(0.0)
