"""Plots of step times show every comparison once, in the colour of its level, without overlaps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made import block, record
from made_figures import figure_of

from harness.analysis.break_even import BreakEven, RatioCurve, RatioCurves, RatioPoint
from harness.analysis.findings import Findings
from harness.records.plan import Plan
from harness.report.plots import figures as fig
from harness.report.plots import plots
from harness.report.plots.forest import ForestRow
from harness.report.plots.speed_plots import READABLE, BreakEvenPlot, Spread, speed_plots
from harness.report.report import report_of


def report(catalog, contexts, times, **settings):
    blocks, records = [], []
    for name in contexts:
        this = replace(block("plain", *times), context={"where": name})
        blocks.append(this)
        for level, time in {"plain": 1.0, **times}.items():
            at = time(float(name)) if callable(time) else time
            records += [record(this, level, n, [1e6 * at * (1 + n / 1000)] * 10) for n in range(5)]
    return report_of(Plan("s", "q", "what", tuple(blocks)), records, catalog, {})


def compared(findings: Findings):
    return [c for c in findings.comparisons if c.metric == "step_time"]


TIMES = {"slow": 2.0, "fast": 0.5, "alike": 1.0}


@pytest.mark.parametrize(
    "contexts", [["a"], ["a", "b"], ["a context whose name is a sentence of its own · " * 4, "b", "c"]]
)
def test_a_forest_has_a_row_for_each_comparison(catalog, contexts):
    made = report(catalog, contexts, TIMES)
    (plot,) = speed_plots(made)
    figure = figure_of(plot)
    rows, numbers = figure.axes
    names = [label.get_text() for label in rows.get_yticklabels()]
    assert names[: 3 * len(contexts)] == [*TIMES] * len(contexts)
    assert len(names) == (4 * len(contexts) if len(contexts) > 1 else 3)
    texts = [label.get_text() for label in numbers.get_yticklabels()]
    assert [text[:5] for text in texts] == ["2.000", "0.500", "1.000"] * len(contexts)
    assert [text.split()[-1] for text in texts] == ["slower", "faster", "equivalent"] * len(contexts)
    assert "plain = 1" in [text.get_text() for text in rows.texts]
    dots = [line for line in rows.get_lines() if line.get_marker() not in ("", "None", None)]
    styles = fig.styles_of(("plain", *TIMES))
    assert [dot.get_color() for dot in dots[: len(TIMES)]] == [styles[level].colour for level in TIMES]
    boxes = [label.get_window_extent() for label in rows.get_yticklabels()]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize("name", ["b", "a level whose name is a sentence of its own and needs several lines"])
def test_a_narrow_forest_fits_a_phone(catalog, name):
    (plot,) = speed_plots(report(catalog, ["a", "c"], {"slow": 2.0, name: 0.5}))
    assert plot.narrow.size[0] * 96 < 360
    figure = figure_of(plot.narrow)
    shown = [text for text in figure.axes[0].texts if text.get_text()]
    assert sum("faster" in text.get_text() for text in shown) == 2
    boxes = [text.get_window_extent() for text in shown]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_single_comparison_has_a_plot_and_first_look_is_open(catalog):
    (plot,) = speed_plots(report(catalog, ["a"], {"slow": 2.0}))
    assert plot.title == "train: time of a training step of slow against plain"
    comparisons = compared(report(catalog, ["a"], TIMES).findings)
    speed = comparisons[0].block.measures.speed.changed(quick=True)
    quick = [replace(c, block=replace(c.block, measures=c.block.measures.with_(speed=speed))) for c in comparisons]
    rows = [ForestRow.of(c, "", c.level, fig.NEUTRAL) for c in quick]
    assert {(row.verdict, row.decided) for row in rows} == {("first look", False)}


def test_many_comparisons_are_sorted_by_size(catalog):
    made = report(catalog, [f"{n}" for n in range(1, READABLE)], {"slow": lambda x: 1 + x / 10, "fast": 0.5})
    (plot,) = speed_plots(made)
    styles = fig.styles_in(made.findings.plan)
    those = [ForestRow.of(c, c.block.name, c.level, styles[c.level]) for c in compared(made.findings)]
    spread = Spread(plot.title, those, None)
    assert plot.size == spread.size
    axes = figure_of(spread).axes[:2]
    assert [panel.get_title(loc="left") for panel in axes] == ["slow: 59 slower", "fast: 59 faster"]
    dots = next(line for line in axes[0].get_lines() if line.get_marker() == "o")
    assert dots.get_color() == styles["slow"].colour
    ratios, places = dots.get_data()
    assert list(ratios) == sorted(ratios)
    assert list(places) == sorted(places, reverse=True)
    assert len(set(places)) == 59


def test_break_even_is_marked_at_ratio_1(catalog):
    made = report(catalog, ["10", "20", "40", "80"], {"falls": lambda x: 20 / x, "slow": 2.0})
    (plot,) = [plot for plot in plots.plots_of(made) if plot.name.startswith("break-even")]
    assert plot.title == "train: along where, against plain"
    figure = figure_of(plot)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[-1].startswith("falls: faster above 20 (")
    marks = [line for line in figure.axes[0].get_lines() if line.get_marker() == "|"]
    assert [mark.get_xdata()[0] for mark in marks] == [pytest.approx(20)]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["10", "20", "40", "80"]


@pytest.mark.parametrize("xs", [(0.0, 0.3, 0.9), (1.0, 10.0, 1000.0)])
def test_open_ranges_and_long_names_are_not_clipped(xs):
    points = tuple(
        RatioPoint(x, m, m - 1, m + 1, v)
        for x, m, v in zip(xs, (0.5, -0.1, -0.4), ("slower", "undecided", "faster"), strict=True)
    )
    one = BreakEven(xs[1] * 0.9, None, xs[1], "above")
    levels = [f"level {n} with a long name that takes lines" for n in range(9)]
    curves = tuple(RatioCurve(level, points, (one,) if n < 2 else (one, one, one)) for n, level in enumerate(levels))
    found = RatioCurves("share", {"cell": "lstm"}, "train", "plain", curves, xs[0] > 0)
    figure = figure_of(BreakEvenPlot(found, fig.styles_of(("plain", *levels))))
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len([text for text in legend if "up to" in text.replace("\n", " ")]) == 2
    assert "crosses 1 more than twice: see the table" in legend
    assert "no verdict" in legend
