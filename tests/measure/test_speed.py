"""The number of rounds and turns of a process, compared with numbers computed by hand."""

from __future__ import annotations

import pytest

from harness.measure.kinds.speed import plan_turns, rounds_for
from harness.records.settings import QUICK_SECONDS, Speed


@pytest.mark.parametrize(
    ("samples", "settings", "rounds"),
    [
        ([0.01, 0.03], Speed(batches=8, seconds=0.5), 4 * 8),  # 1 s for both members, 0.32 s per pass
        ([0.01, 0.03], Speed(batches=8, seconds=0.5, visits=6), 6 * 8),  # the minimum number of passes
        ([0.01, 0.03], Speed(batches=8, seconds=0.5, quick=True), 16 * 8),  # 5 s in total
    ],
)
def test_rounds_are_whole_passes(samples, settings, rounds):
    assert QUICK_SECONDS == 5
    assert rounds_for(samples, settings) == max(rounds, 5 * 8)


def test_number_and_length_of_turns():
    settings = Speed(seconds=0.5)
    assert plan_turns([(0.01, 2), (0.04, 1)], settings) == {"turns": 6, "passes": 5}  # 1.5 s, 30 passes of 50 ms
    assert plan_turns([(0.2, 2), (0.3, 1)], settings) == {"turns": 5, "passes": 1}  # 3 passes, but 5 visits
