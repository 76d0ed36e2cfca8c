"""Error control over a series of tries: its levels, and simulated series. ``python tests/simulated_series.py`` prints
the table of docs/method.md."""

from __future__ import annotations

import random

import numpy as np
import pytest
import simulated_series as simulation

from harness.analysis.online import SPREAD, SeriesState, share_of
from harness.analysis.standing import is_settled
from harness.analysis.stats import FLOOR, Estimate, estimate
from harness.analysis.time_verdicts import decide, faster_p
from harness.analysis.timing import Comparison
from harness.analysis.verdicts import Verdict
from harness.records.settings import Speed


def after(outcomes: str) -> tuple[SeriesState, list[float]]:
    """The state after tries that were kept (k) or not (-), and the level that each had."""
    state, levels = SeriesState(0.05), []
    for outcome in outcomes:
        levels.append(state.next_level)
        state = state.begin()
        state = state.keep() if outcome == "k" else state
    return state, levels


def test_the_shares_add_up_to_one():
    assert sum(share_of(age) for age in range(1, 181)) == pytest.approx(0.9)
    assert sum(share_of(age) for age in range(1, 100_000)) == pytest.approx(1, abs=SPREAD / 100_000 * 1.01)


@pytest.mark.parametrize(
    "outcomes", ["-" * 300, "k" * 50, "-k--kk---k" * 20, "k" + "-" * 200, "-" * 99 + "kk" + "-" * 99]
)
def test_all_tries_together_spend_at_most_alpha_for_each_keep(outcomes):
    for number in range(1, len(outcomes) + 1):
        state, levels = after(outcomes[:number])
        assert sum(levels) <= 0.05 * max(1, len(state.keeps)) + 1e-12
        earned = 0.025 if not state.keeps else 0.05 * len(state.keeps)
        assert state.wealth == pytest.approx(earned - sum(levels))


def test_the_levels_of_lord_plus_plus():
    """As in Ramdas et al. (2017), with half of alpha at the start."""
    state, levels = after("--k-k-")
    share = share_of
    assert levels[0] == 0.025 * share(1)
    assert levels[3] == pytest.approx(0.025 * share(4) + 0.025 * share(1))
    assert state.next_level == pytest.approx(0.025 * share(7) + 0.025 * share(4) + 0.05 * share(2))


def test_a_keep_counts_from_when_it_is_known():
    state = SeriesState(0.05).begin().begin().begin().keep()  # three at the same time; the first is kept
    assert state.next_level == pytest.approx(0.025 * share_of(4) + 0.025 * share_of(1))


def test_the_simulation_has_the_same_levels():
    kept = np.array([[outcome == "k" for outcome in "-k--kk---k"]]).T
    assert simulation.online(kept)[0] == pytest.approx(after("-k--kk---k")[0].next_level)


def test_the_simulation_decides_and_ends_as_a_run_does():
    chance = random.Random(3)
    outcomes = set()
    for seed in range(300):
        level, effect = 10 ** chance.uniform(-5, -1.5), chance.choice([0.0, 0.01, -0.01, -0.02, -0.03])
        spread = chance.choice([0.003, 0.006, 0.012])
        kept, processes = simulation.tried(np.array([level]), np.array([effect]), spread, np.random.default_rng(seed))
        values = effect + spread * np.random.default_rng(seed).standard_normal(20)
        settings = simulation.SETTINGS.changed(faster_level=level)
        for look in settings.looks:
            found = estimate(values[:look].tolist(), settings.share(look))
            verdict, _ = decide(found, settings, FLOOR, 5)
            one = Comparison(block=None, level="b", mode="train", metric="step_time", estimate=found, verdict=verdict)
            if is_settled(one, settings, settings.looks, FLOOR) or look == 20:
                break
        assert (kept[0], processes[0]) == (verdict == Verdict.FASTER, look)
        outcomes.add((str(verdict), look))
    assert len(outcomes) >= 9, "the tries that were compared are of many kinds"


def test_faster_needs_the_error_rate_of_the_series():
    clear = Estimate(-0.05, 0.006, 4, 5, share=0.39)
    ordinary, strict = Speed(), Speed(faster_level=1e-4)
    p = faster_p(clear, strict, FLOOR)
    assert 1e-4 < p < 0.01
    assert decide(clear, ordinary, FLOOR)[0] == Verdict.FASTER
    verdict, reason = decide(clear, strict, FLOOR)
    assert verdict == Verdict.UNDECIDED
    assert reason == f"faster by its 95 % interval, but p = {p:.2g}, and its series needs p <= 0.0001"
    assert decide(clear, Speed(faster_level=p), FLOOR)[0] == Verdict.FASTER
    slower = Estimate(0.05, 0.006, 4, 5, share=0.39)
    assert decide(slower, strict, FLOOR)[0] == Verdict.SLOWER
    assert faster_p(slower, strict, FLOOR) == 1


def test_the_p_value_of_faster_is_one_sided_and_over_all_looks():
    from scipy.stats import t

    found = Estimate(-0.02, 0.004, 9, 10, share=0.39)
    assert faster_p(found, Speed(), FLOOR) == pytest.approx(3 * t.sf((0.02 - FLOOR) / 0.004, 9))


# The null is worst at the floor, and where noise lets few intervals become narrow.
@pytest.mark.parametrize(
    ("others", "spread", "series"), [(0.0, 0.006, 300), (0.0, 0.012, 300), (-FLOOR, 0.006, 300), (-FLOOR, 0.012, 1000)]
)
def test_few_series_of_200_tries_without_effect_have_a_false_keep(others, spread, series):
    found = simulation.simulate(simulation.online, others=others, spread=spread, series=series)
    assert found.any_false <= 0.025


def test_an_uncorrected_rule_has_many():
    """The negative control: otherwise the simulation could not show an error."""
    found = simulation.simulate(simulation.uncorrected, others=-FLOOR, spread=0.012, series=100)
    assert found.any_false >= 0.6


@pytest.mark.parametrize(("effect", "good", "power"), [(0.02, 0.1, 0.97), (0.03, 0.1, 0.99), (0.02, 0.5, 0.97)])
def test_good_tries_are_kept(effect, good, power):
    found = simulation.simulate(simulation.online, effect=effect, good=good, series=60)
    assert found.power >= power
    assert found.false_share <= 0.05
