"""The method on recorded noise of a real machine. Deterministic: fixed seeds, no clock."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from replay import load_traces, replay, segment
from scipy.stats import ttest_ind


@pytest.fixture(scope="module")
def traces():
    return load_traces()


@pytest.mark.parametrize("environment", ["nat", "load"])
@pytest.mark.parametrize("processes", [5, 10])
def test_twenty_runs_of_the_same_thing_tell_no_difference(traces, environment, processes):
    draw = random.Random(20)
    verdicts = Counter(replay(traces[environment], processes, 0.0, draw).verdict for _ in range(20))
    assert verdicts["faster"] + verdicts["slower"] == 0, verdicts
    assert verdicts["invalid"] == 0


@pytest.mark.parametrize("environment", ["nat", "load"])
def test_false_alarms_are_rarer_than_one_in_twenty(traces, environment):
    draw = random.Random(1)
    verdicts = Counter(replay(traces[environment], 5, 0.0, draw).verdict for _ in range(400))
    assert verdicts["faster"] + verdicts["slower"] <= 20, verdicts


@pytest.mark.parametrize("environment", ["nat", "load"])
def test_five_percent_are_found_and_covered(traces, environment):
    draw = random.Random(2)
    results = [replay(traces[environment], 5, 0.05, draw) for _ in range(200)]
    assert sum(result.verdict == "slower" for result in results) >= 0.9 * 200
    covered = [result.interval[0] <= 1.05 <= result.interval[1] for result in results]
    assert sum(covered) >= 0.9 * 200


@pytest.mark.parametrize("environment", ["nat", "load"])
def test_the_margin_itself_is_rarely_called_equivalent(traces, environment):
    draw = random.Random(3)
    verdicts = Counter(replay(traces[environment], 5, 0.02, draw).verdict for _ in range(400))
    assert verdicts["equivalent"] <= 0.08 * 400, verdicts


def test_one_after_the_other_would_have_raised_false_alarms(traces):
    """The negative control: all of A, then all of B, and Welch's t on the same traces. Were this fine, the traces
    would be too tame to show anything."""
    draw = random.Random(4)
    alarms = 0
    for _ in range(400):
        column = segment(draw.choice(traces["load"]), draw)[:, 0]
        half = len(column) // 2
        alarms += ttest_ind(column[:half], column[half:], equal_var=False).pvalue < 0.05
    assert alarms >= 0.15 * 400


def test_a_shared_core_makes_cpu_time_decide(traces):
    draw = random.Random(5)
    results = [replay(traces["nat"], 5, 0.05, draw) for _ in range(50)]
    shared = [result for result in results if result.cpu_share < 0.9]
    assert len(shared) >= 40
    assert all(result.clock == "cpu" and "cpu-clock" in result.flags for result in shared)
    assert all(result.clock == "wall" and "cpu-clock" not in result.flags for result in results if result not in shared)
