"""The metrics of samples with known values."""

import numpy as np
import pytest
from guest_metric.views import compute_time, tail

from harness import Samples
from harness.testing import cases


def samples(**phases):
    wall = np.array([1.0] * 19 + [3.0] + [2.0] * 20)
    batch = np.repeat([0, 1], 20)
    return Samples(wall, wall, batch, np.tile(np.arange(20), 2), phases, {})


def test_tail_averages_over_batches():
    assert tail(samples()) == pytest.approx((1.1 + 1.0) / 2)


def test_compute_time_excludes_collate():
    assert compute_time(samples()) is None
    assert compute_time(samples(collate=np.full(40, 0.25))).tolist() == [0.75] * 19 + [2.75] + [1.75] * 20


@pytest.mark.parametrize("case", cases("guest-metric"), ids=str)
def test_keeps_its_promises(case):
    case.check()
