"""Waterfall plots: from the step time of one trial to that of the other, with all differences."""

from __future__ import annotations

import pytest
from made_figures import figure_of
from made_profiles import LOOP, explained

from harness.analysis.explain import largest
from harness.report.plots.explain_plots import BARS, LESS, MORE, Waterfall
from harness.report.plots.figures import Plot, styles_of

STYLES = styles_of(("plain", "loop"))


def test_waterfall_bars_sum_to_the_difference():
    from matplotlib.colors import to_hex

    one = explained(3.0, 6.0)
    waterfall = Waterfall(one, STYLES)
    assert sum(change for _, change in waterfall.steps()) == pytest.approx(1e3 * one.difference)
    (axes,) = figure_of(Plot("x", waterfall.title, waterfall.size, waterfall.draw, "Why")).axes
    bars = [(bar.get_x(), bar.get_width(), to_hex(bar.get_facecolor())) for bar in axes.patches]
    for index, level in ((0, "plain"), (-1, "loop")):
        assert bars[index] == pytest.approx((0.0, 1e3 * one.seconds[index], to_hex(STYLES[level].colour)))
    at = 1e3 * one.seconds[0]
    for begin, change, colour in bars[1:-1]:
        assert begin == pytest.approx(at)
        assert colour == to_hex(MORE if change > 0 else LESS)
        at += change
    assert at == pytest.approx(1e3 * one.seconds[1])
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["plain", "mkldnn_rnn_layer · forward", "mm · forward", "cat · forward", "1 other", "loop"]


def test_smallest_operators_share_one_bar():
    rows = [*LOOP, *(("forward", f"aten::op{i}", 1, 100_000 + i) for i in range(20))]
    one = explained(3.0, 6.0, rows)
    steps = Waterfall(one, STYLES).steps()
    assert len(steps) == BARS + 1
    assert steps[-1][0].endswith(" others")
    few = Waterfall(
        explained(3.0, 6.0, [*LOOP, *(("forward", f"aten::op{i}", 1, 1000 + i) for i in range(20))]), STYLES
    ).steps()
    assert all(abs(change) >= 1e3 * one.sensitivity for _, change in few[:-1])
    assert len(few) < BARS


def test_only_the_largest_clear_differences_are_drawn():
    large, small, none = (explained(3.0, loop) for loop in (6.0, 4.0, 3.0))
    assert largest([none, small, large], 5) == [large, small]
    assert largest([none, small, large], 1) == [large]
