"""The ratio of a function to its baseline on each input."""

from types import SimpleNamespace

import numpy as np
import pytest

from harness.analysis.input_ratios import input_ratios


def samples(*times):
    """Three samples on each batch, of which one is an outlier."""
    seconds = np.array([time * factor for factor in (1, 1, 9) for time in times])
    return SimpleNamespace(seconds=seconds, batch=np.tile(np.arange(len(times)), 3))


def test_the_ratio_on_each_input_is_a_mean_over_processes():
    pairs = [(samples(1.0, 2.0), samples(2.0, 2.0)), (samples(1.0, 4.0), samples(8.0, 4.0))]
    measured = SimpleNamespace(pairs=lambda level, role: pairs)
    assert input_ratios(measured, "new") == pytest.approx([4.0, 1.0])


def test_without_samples_there_are_no_ratios():
    assert input_ratios(SimpleNamespace(pairs=lambda level, role: []), "new") == []
