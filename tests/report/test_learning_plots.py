"""Learning plots show the values behind the verdict: means, intervals, and diverged seeds."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
from made import record, trial
from made_figures import check_labels, figure_of
from scipy import stats as oracle

from harness.analysis.grouping import by_place
from harness.analysis.learning import Learned
from harness.analysis.verdicts import Flag
from harness.plugins.parts import Score
from harness.records.plan import LEARNING, Block, Plan
from harness.records.record import Record
from harness.records.settings import Learning, Measures, Speed
from harness.report.plots import plots
from harness.report.plots.figures import spread, styles_of
from harness.report.plots.learning_curves import Curves, SeedCurve, mean_and_interval
from harness.report.plots.learning_plots import ParetoPlot, ParetoPoint, forests, learning_plots
from harness.report.report import report_of

SCORES = {
    "loss": {"better": "lower", "compared": "ratio", "summary": ""},
    "accuracy": {"better": "higher", "compared": "difference", "summary": ""},
}
SETTINGS = Learning(
    seeds=tuple(range(6)), steps=40, evaluations=4, metric="accuracy", margin=0.01, margin_of="difference", target=0.8,
    scores=SCORES,
)  # fmt: skip
DUE = [0, 10, 20, 30, 40]
LEVELS = ("plain", "good", "wild")
KINDS = ("curves-20", "pareto-20", "score-lag", "comparisons-accuracy")


def block_of(*levels: str, context=None, **settings) -> Block:
    learning = SETTINGS.changed(**settings)
    return Block(context or {}, tuple(map(trial, levels)), Measures.of(speed=Speed(), learning=learning))


def run(block: Block, level: str, seed: int, end: float, steps: int | None = None, rates=(0.1,), **changes) -> Record:
    """A run whose accuracy rises to `end`. With `steps`, a run that diverged in the last of these steps."""
    evaluated = [due for due in DUE if steps is None or due < steps]
    accuracy = [0.5 + (end - 0.5) * due / 40 for due in evaluated]
    data = {
        "seed": seed, "loss": [], "gradient_norm": [2.0 + step / 40 for step in range(steps or 40)],
        "learning_rate": list(rates), "evaluated": evaluated, "elapsed": [due / 8 for due in evaluated],
        "scores": {"accuracy": accuracy, "loss": [1 - value for value in accuracy]}, "steps": steps or 40,
        "planned_steps": 40, "train": 9, "test": 9, "diverged_at": None if steps is None else steps - 1, **changes,
    }  # fmt: skip
    outcome = "ok" if steps is None else "diverged"
    return Record(block.id, level, level, LEARNING, "variant", seed, 1, outcome, "", data)


def runs_of(block: Block, levels=LEVELS) -> list[Record]:
    """Two seeds of the level "wild" diverge."""
    random, found = np.random.default_rng(1), []
    for level in levels:
        for seed in block.measures.learning.seeds:
            steps = {1: 17, 4: 33}.get(seed) if level == "wild" else None
            end = {"good": 0.9, "wild": 0.75}.get(level, 0.8) + random.normal(0, 0.01)
            found.append(run(block, level, seed, end, steps))
    return found


def times_of(block: Block) -> list[Record]:
    times = {trial.level: 1e6 * (1 + index / 10) for index, trial in enumerate(block.trials)}
    return [record(block, level, n, [time] * 10) for level, time in times.items() for n in range(5)]


def reported(catalog, blocks, records):
    return report_of(Plan("s", "q", "what", tuple(blocks)), records, catalog, {})


@pytest.fixture(scope="module")
def report(catalog):
    blocks = [block_of(*LEVELS, context={"lag": str(lag)}) for lag in (100, 20, 500)]
    return reported(catalog, blocks, [r for block in blocks for r in (*runs_of(block), *times_of(block))])


def test_each_kind_is_written_with_labels_and_the_same_twice(report, tmp_path, monkeypatch):
    found = {plot.name: plot for plot in plots.plots_of(report)}
    assert list(found) == [
        "speed-train",
        "break-even-lag-train",
        "curves-100",
        "curves-20",
        "curves-500",
        "pareto-100",
        "pareto-20",
        "pareto-500",
        "score-lag",
        "comparisons-accuracy",
    ]
    monkeypatch.setattr(plots, "plots_of", lambda report: [found[kind] for kind in KINDS])
    written = plots.write(report, tmp_path)
    assert [path.name for path in written] == [f"{kind}.{form}" for kind in KINDS for form in ("png", "svg")]
    before = [path.read_bytes() for path in written]
    assert [path.read_bytes() for path in plots.write(report, tmp_path)] == before
    for path, content in zip(written, before, strict=True):
        if path.suffix == ".png":
            assert content.startswith(b"\x89PNG")
            continue
        text = content.decode()
        assert all(f"<!-- {level} -->" in text for level in LEVELS if level != "plain" or "comp" not in path.name)
        assert ("2 of 6 diverged" in text) == path.name.startswith("curves")
        assert ("Clopper-Pearson" in text) == path.name.startswith("score")


def test_no_figure_without_runs(catalog):
    this = block_of(*LEVELS)
    failed = Record(this.id, "good", "good", LEARNING, "variant", 0, 1, "failed", "it broke")
    for records in ([], [failed], times_of(this)):
        assert list(learning_plots(reported(catalog, [this], records))) == []


def test_blocks_of_the_same_name_have_separate_files(catalog):
    blocks = [block_of(*LEVELS, context={axis: "a"}) for axis in ("x", "y")]
    report = reported(catalog, blocks, [r for block in blocks for r in runs_of(block)])
    names = [plot.name for plot in plots.plots_of(report)]
    assert names[:2] == ["curves-a", "curves-a-2"]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_a_curve_ends_at_the_mean_that_the_verdict_counts_and_marks_where_seeds_diverged(metric):
    this = block_of(*LEVELS, metric=metric)
    one = Learned(this, runs_of(this))
    top, norms = figure_of(Curves(one, "title", styles_of(LEVELS))).axes[:2]
    styles, wide = styles_of(LEVELS), [line for line in top.lines if line.get_linewidth() == 2]
    for level, line in zip(LEVELS, wide, strict=True):
        values = one.values(level, metric, SETTINGS.seeds)
        expected = np.exp(np.log(values).mean()) if metric == "loss" else values.mean()
        assert line.get_color() == styles[level].colour
        assert list(line.get_xdata()) == DUE
        assert line.get_ydata()[-1] == pytest.approx(expected)
    marks = [line for line in top.lines if line.get_marker() == "x"]
    seen = [one.runs["wild"][seed].data["scores"][metric][-1] for seed in (1, 4)]
    assert [(*line.get_xdata(), *line.get_ydata()) for line in marks] == [(17, seen[0]), (33, seen[1])]
    assert {line.get_color() for line in marks} == {styles["wild"].colour}
    assert norms.get_yscale() == "log"
    thin = [line for line in top.lines if line.get_alpha() == 0.3 and len(line.get_xdata()) > 2]
    assert len(thin) == 17  # all seeds except the one that was evaluated twice, whose line has two points


def test_bands_begin_at_five_seeds_and_are_t_intervals():
    values, score = np.array([0.5, 0.6, 0.65, 0.7, 0.9]), Score()
    expected = oracle.t.interval(0.95, 4, values.mean(), oracle.sem(values))
    mean, interval = mean_and_interval(values, score)
    assert (mean, *interval) == pytest.approx((values.mean(), *expected))
    logs = np.log(values)
    expected = np.exp(oracle.t.interval(0.95, 4, logs.mean(), oracle.sem(logs)))
    assert mean_and_interval(values, Score("lower", "ratio"))[1] == pytest.approx(expected)
    assert mean_and_interval(values[:4], score)[1] is None
    this = block_of(*LEVELS, seeds=(0, 1, 2))
    top = figure_of(Curves(Learned(this, runs_of(this)), "title", styles_of(LEVELS))).axes[0]
    assert not top.collections  # no band


def test_gradients_are_medians_between_evaluations_without_nan():
    this = block_of("plain", "good")
    norms = [*[1.0] * 4, None, *[3.0] * 5, *[7.0] * 10, *[None] * 10, *[5.0] * 10]
    found = SeedCurve.of(run(this, "plain", 0, 0.8, gradient_norm=norms), "accuracy", this.measures.learning)
    assert found.norms == pytest.approx([3, 7, np.nan, 5], nan_ok=True)
    late = SeedCurve.of(run(this, "plain", 0, 0.8, 12), "accuracy", this.measures.learning)
    assert (late.seen, late.end, list(late.x)) == (2, 12, DUE)
    assert late.scores == pytest.approx([0.5, 0.575, 0.5, 0.5, 0.5])  # counts as untrained from here on
    assert np.isnan(late.norms).tolist() == [False, False, True, True]


def test_learning_rate_has_a_panel_only_if_it_varies():
    this = block_of("plain", "good")
    panels = {}
    for rates in ((0.1,), tuple(np.linspace(0.1, 0, 40))):
        for norms in ([None] * 40, [1.0] * 40):
            records = [run(this, level, 0, 0.8, rates=rates, gradient_norm=norms) for level in ("plain", "good")]
            axes = figure_of(Curves(Learned(this, records), "title", styles_of(LEVELS))).axes
            panels[len(rates) > 1, norms[0] is not None] = [a.get_ylabel() for a in axes if a.get_ylabel()][1:]
    gradient, rate = "gradient norm\n(before clipping)", "learning\nrate"
    expected = {(False, False): [], (False, True): [gradient], (True, False): [rate], (True, True): [gradient, rate]}
    assert panels == expected


def test_runs_limited_by_time_are_drawn_by_seconds():
    this = block_of("plain", "good", steps=0, seconds=5.0)
    lengths = {"evaluated": [0, 9, 21, 30, 43], "elapsed": [0.0, 1.3, 2.5, 3.8, 5.0], "planned_steps": 0, "steps": 43}
    early = run(this, "good", 1, 0.9, 12, planned_steps=0)
    records = [run(this, "plain", 0, 0.8, **lengths), run(this, "good", 0, 0.9, **lengths), early]
    found = SeedCurve.of(early, "accuracy", this.measures.learning)
    assert list(found.x) == [0, 1.25, 2.5, 3.75, 5]
    assert found.end == 1.25
    axes = figure_of(Curves(Learned(this, records), "title", styles_of(LEVELS))).axes
    assert [a.get_xlabel() for a in axes if a.get_xlabel()] == ["seconds of training"]
    assert axes[0].get_xlim() == (0, 5)


@pytest.mark.parametrize(("metric", "front"), [("accuracy", ["a", "c"]), ("loss", ["a", "b"])])
def test_pareto_front_is_filled_and_dominated_points_are_hollow(metric, front):
    one = Learned(block_of(*"abcd", metric=metric), [])
    sizes = {"a": (0.5, 0.7), "b": (0.8, 0.6), "c": (1.0, 0.9), "d": (1.2, 0.8)}
    points = [
        ParetoPoint(level, x, (x * 0.99, x * 1.01), y, None, level not in front) for level, (x, y) in sizes.items()
    ]
    plane = ParetoPlot(one, points, 0.95, styles_of("abcd"))
    assert [point.level for point in plane.front()] == front
    axes = figure_of(plane).axes[0]
    faces = [line.get_markerfacecolor() for line in axes.lines if line.get_marker() not in ("", "None", None)]
    assert [face == "white" for face in faces] == [level not in front for level in "abcd"]
    assert [text.get_text() for text in axes.texts] == list("abcd")


def test_numeric_axis_is_sorted_and_logarithmic_if_wide(report):
    names = {plot.name: plot for plot in plots.plots_of(report)}
    top, failures = figure_of(names["score-lag"]).axes[:2]
    assert top.get_xscale() == "log"  # from 20 to 500
    line = next(line for line in top.lines if len(line.get_xdata()) == 3)
    assert list(line.get_xdata()) == sorted(line.get_xdata())
    wild = [line for line in failures.lines if line.get_color() == styles_of(LEVELS)["wild"].colour]
    assert [share for line in wild for share in line.get_ydata()] == pytest.approx([2 / 6] * 3)


def test_two_numbers_or_words_are_no_numeric_axis(catalog):
    for names in (("20", "50"), ("a", "b", "c")):
        blocks = [block_of(*LEVELS, context={"lag": name}) for name in names]
        report = reported(catalog, blocks, [r for block in blocks for r in runs_of(block)])
        assert not any(plot.name.startswith("score") for plot in plots.plots_of(report))


def test_comparisons_in_many_contexts_are_in_points_with_the_margin(report):
    results = report.findings.learning
    styles = styles_of(LEVELS)
    (forest,) = forests(results, results.learned, styles)
    assert [row.style for row in forest.rows[:2]] == [styles["good"], styles["wild"]]
    assert [(row.group, row.name) for row in forest.rows[:3]] == [
        ("lag 100", "good"), ("lag 100", "wild"), ("lag 20", "good")
    ]  # fmt: skip
    c = results.of(results.learned[0])["good"]
    assert (forest.rows[0].size, forest.rows[0].interval) == (c.size, c.interval)
    assert forest.margin == ("within the margin of 1 point", -0.01, 0.01)
    figure = figure_of(forest)
    assert figure.axes[1].get_yticklabels()[0].get_text().startswith(f"{100 * c.size:+.1f}  [")
    ticks = [float(label.get_text().replace("−", "-")) for label in figure.axes[0].get_xticklabels()]
    assert max(ticks) > 1, "the axis is in points"
    flagged = copy.copy(results)
    flagged._by_place = by_place(replace(c, flags=(Flag.ONE_OF_MANY,)) for c in results.comparisons)
    (doubtful,) = forests(flagged, results.learned, styles)
    assert forest.rows[0].decided
    assert not doubtful.rows[0].decided
    assert doubtful.rows[0].verdict == "better, perhaps chance"
    loss, accuracy = forests(results, results.learned[:1], styles, "loss")
    assert (loss.scale, accuracy.scale) == ("ratio", "difference")


def test_labels_do_not_overlap_and_stay_near_their_points():
    assert spread([0.1, 0.5, 0.9], [0.1] * 3) == pytest.approx([0.1, 0.5, 0.9])
    assert spread([0.5, 0.5], [0.1, 0.1]) == pytest.approx([0.45, 0.55])
    assert spread([0.5, 0.4, 0.45], [0.1, 0.2, 0.1]) == pytest.approx([17 / 30, 19 / 60, 14 / 30])
    places = spread([1.0, 1.0, 0.99, 0.0], [0.1] * 4)
    assert places == pytest.approx([0.9, 1.0, 0.8, 0.0])


@pytest.mark.slow
def test_nothing_is_clipped_and_no_labels_overlap(catalog):
    levels = (*LEVELS, "a level whose name is a sentence of its own", *"efgh")
    blocks = [block_of(*levels, context={"lag": str(lag)}) for lag in (1, 2, 3)]
    report = reported(catalog, blocks, [r for b in blocks for r in (*runs_of(b, levels), *times_of(b))])
    names = {plot.name: plot for plot in plots.plots_of(report)}
    for name in ("curves-1", "pareto-1", "score-lag", "comparisons-accuracy"):
        figure = figure_of(names[name])
        check_labels(figure)
