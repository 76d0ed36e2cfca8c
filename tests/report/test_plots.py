"""Plots are complete and reproducible, and are written only with data and with matplotlib."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from made import block
from made_effects import TIMES, block_of, effects, plan_of, speed_records
from made_figures import check_labels, figure_of

from harness.records.plan import Plan
from harness.report.formats import markdown
from harness.report.plots import plots
from harness.report.plots.figures import NEUTRAL, Plot, file_name, styles_in, styles_of
from harness.report.plots.forest import effect_forest
from harness.report.report import report_of


@pytest.fixture
def report(catalog):
    plan = plan_of()
    return report_of(plan, speed_records(plan.blocks[0], TIMES), catalog, {})


def test_effects_of_a_design_are_drawn_and_linked(report, tmp_path):
    written = plots.write(report, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "plots/speed-train.png", "plots/speed-train.svg", "plots/effects-all-train.png", "plots/effects-all-train.svg",
    ]  # fmt: skip
    assert written[0].read_bytes().startswith(b"\x89PNG")
    text = markdown.render(report)
    assert "![all · train: effects on step time](plots/effects-all-train.png)" in text
    assert "(plots/effects-all-train.svg)" in text
    before = [path.read_bytes() for path in written]
    assert [path.read_bytes() for path in plots.write(report, tmp_path)] == before


def test_missing_matplotlib_is_reported_and_nothing_is_written(report, tmp_path):
    with patch.object(plots, "find_spec", lambda name: None):
        assert plots.write(report, tmp_path) == []
        text = markdown.render(report)
    assert list(tmp_path.iterdir()) == []
    assert 'pip install "rnn-harness[plot]"' in text
    assert "![" not in text
    assert plots.missing_plots(report) == ""


def test_a_run_without_results_has_no_plot(catalog, tmp_path):
    this = block("a", "b")
    report = report_of(Plan("s", "q", "what", (this,)), [], catalog, {})
    assert plots.write(report, tmp_path) == []
    with patch.object(plots, "find_spec", lambda name: None):
        assert plots.missing_plots(report) == ""


@pytest.mark.parametrize(
    ("design", "factors", "spread"),
    [
        ("factorial", ("a",), 0.0),
        ("factorial", ("a", "b", "a factor whose name is a sentence of its own", "d", "e"), 0.05),
        ("mirror", ("a", "b", "c", "d", "e"), 2.0),
        ("leave-one-out", ("a", "b"), 0.001),
    ],
)
def test_nothing_is_clipped_and_no_labels_overlap(design, factors, spread):

    this, random = block_of(design, factors), np.random.default_rng(5)
    values = {trial.level: random.normal(0, spread, 6) for trial in this.trials}
    found = effects(design, values, this)
    for scale in ("ratio", "difference"):
        shown = [replace(effect, scale=scale) for effect in found]
        forest = effect_forest("some block · train: effects on step time", shown, styles_of(("none", *factors)))
        for each in (forest, forest.narrowed()):
            figure = figure_of(each)
            check_labels(figure)
            assert sum("undecided" in label.get_text() for label in labels_of(figure)) == len(found)


def labels_of(figure):
    return [label for axes in figure.axes for label in (*axes.get_yticklabels(), *axes.texts)]


def test_a_factor_has_the_style_of_the_level_with_only_this_factor(report):
    plan = report.findings.plan
    styles = styles_in(plan)
    assert set(styles) == {*plan.factors, *(trial.level for trial in plan.blocks[0].trials)}
    effects = [effect for effect in report.findings.effects if effect.metric == "step_time"]
    rows = effect_forest("t", effects, styles).rows
    assert [row.style for row in rows] == [styles["a"], styles["b"], NEUTRAL]  # the last is their interaction


def test_a_level_has_one_colour_in_all_blocks():
    blocks = [block("plain", "a", "b"), replace(block("plain", "b", "c"), context={"where": "x"})]
    styles = styles_in(Plan("s", "q", "what", tuple(blocks)))
    assert list(styles) == ["plain", "a", "b", "c"]
    assert styles["plain"].colour == "#000000"
    assert len({style.colour for style in styles.values()}) == 4


def test_long_and_equal_names_make_different_files():
    long, other = "é" * 150, "é" * 149 + "x"
    names = {file_name("curves", name) for name in (long, other)}
    assert len(names) == 2
    assert all(len(f"{name}-10.png".encode()) < 256 for name in names)
    assert file_name("a b", "c/d") == "a-b-c-d"


def test_names_are_told_apart_where_case_is_ignored(report, monkeypatch):
    drawn = [Plot(name, "", (1, 1), lambda figure: None, "s") for name in ("a", "A", "a-2", "a")]
    monkeypatch.setattr(plots, "speed_plots", lambda report: drawn)
    monkeypatch.setattr(plots, "effect_plots", lambda report: ())
    assert [plot.name for plot in plots.all_plots(report)] == ["a", "A-2", "a-2-2", "a-3"]
