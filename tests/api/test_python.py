"""harness.run, harness.resume and harness.open return the same results as the command line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from contextlib import chdir
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from made_executor import MADE
from toy_suite import SUITE, TOY

import harness
from harness.api.result import Result
from harness.errors import UserError
from harness.report.formats import html, html_tables, screen
from harness.report.rows import COLUMNS

LEARNS = (
    SUITE.replace("name: points", "name: cloud").replace("speed: {", "speed: {batches: 4, ")
    + "  learning: {seeds: 5, steps: 4, evaluations: 2}\n"
)
CLAIMS = "claims:\n  - {says: 'Order costs <nothing>', level: backwards, expect: equal within 90%}\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("api")
    (folder / "toy.yaml").write_text(SUITE)
    (folder / "one.yaml").write_text(
        SUITE.replace("half_width: 50%, margin: 99%", "margin: 2%").replace("reverse", "{name: harmful, share: 0.1}")
    )
    (folder / "learns.yaml").write_text(LEARNS + CLAIMS)
    return folder


@pytest.fixture(scope="module")
def result(home) -> Result:
    with chdir(home):
        return harness.run("learns.yaml", plugins=[TOY])


def step_times(result: Result) -> list[dict]:
    return [row for row in result.comparisons if row["metric"] == "step_time"]


def test_run_is_stored_and_has_a_summary(result, home):
    assert result.ok
    assert result.problems == ()
    assert result.axis == "what"
    assert result.summary[0].startswith("Nothing learned: ")  # after a few steps
    assert result.report.answer.startswith("backwards is ")
    assert result.report.claims[0].sentence().startswith('True: "Order costs <nothing>". backwards takes ')
    assert (result.folder / "report.html").is_file()
    assert result.report.question == "Does the toy work?"
    (claim,) = result.claims
    assert (claim["claim"], claim["answer"]) == ("Order costs <nothing>", "holds")


def test_run_prints_as_in_the_terminal(result):
    assert str(result) == screen.render(result.report, result.folder)
    with chdir(result.folder.parents[2]):
        assert f"\nReport: results/learns/{result.folder.name}/report.html" in str(result)


def test_repr_is_one_line(result):
    verdicts = f"1 {step_times(result)[0]['verdict']}, 1 unranked"
    assert repr(result) == f"<Result: 2 comparisons: {verdicts}; {result.folder}>"


def test_one_comparison_is_chosen(result):
    with pytest.raises(
        UserError, match=r"2 comparisons of this run fit. Choose one, for example: result.of\(mode='train'"
    ):
        result.ratio  # noqa: B018
    (row,) = step_times(result)
    one = result.of("backwards", mode="train")
    assert (one.level, one.verdict, one.ratio, one.interval) == (
        "backwards", row["verdict"], row["ratio"], (row["low"], row["high"])
    )  # fmt: skip
    assert repr(one).startswith(f"backwards takes {row['ratio']:.3f} times as long as plain (95 % CI ")
    assert f"): {row['verdict']}" in repr(one)
    assert result.of(mode="learning").verdict == "unranked"
    with pytest.raises(UserError, match=r"no comparison has level='backward'. Did you mean backwards"):
        result.of("backward")
    with pytest.raises(UserError, match=r"comparisons of this run have no 'modes'. Did you mean mode"):
        result.of(modes="train")


def test_a_run_with_one_comparison_has_a_verdict(home):
    with chdir(home):
        found = harness.run("one.yaml", plugins=[TOY, MADE], executor="made", results="others")
        shown = repr(found)
    assert (found.verdict, found.ratio, found.interval) == ("slower", found.of().ratio, found.of().interval)
    assert found.interval[0] < found.ratio < found.interval[1]
    sentence = repr(found.of())
    assert sentence.startswith("backwards takes 1.10")
    assert sentence.endswith("): slower")
    assert shown == f"<Result: {sentence}; others/one/{found.folder.name}>"
    page = found._repr_html_()
    assert f'<p class="headline">{found.report.answer}</p>' in page
    assert page.index('class="question"') < page.index('class="headline"')
    assert "<details open>" not in page
    assert len(page) < 12_000


def test_a_first_look_has_no_verdict(home):
    with chdir(home):
        found = harness.run("one.yaml", plugins=[TOY, MADE], executor="made", quick=True, results="others")
    assert found.verdict == ""
    assert repr(found.of()).startswith("first look: backwards takes ")
    assert repr(found).startswith("<Result: first look: backwards takes ")


def test_rows_have_a_length_and_are_iterable(result):
    rows = result.rows("comparisons")
    assert len(rows) == len(result.comparisons)
    assert list(rows) == result.comparisons


def test_stored_run_is_opened_by_folder_and_by_name(result, home):
    with chdir(home):
        for name in (result.folder, str(result.folder), "latest", "learns", "learns.yaml"):
            assert harness.open(name, plugins=[TOY]).comparisons == result.comparisons
        with pytest.raises(UserError, match="learns~1: the number of runs of learns is 1"):
            harness.open("learns~1")


@pytest.mark.parametrize("name", ["comparisons", "numbers", "claims", "learning"])
def test_rows_equal_the_csv_files(result, home, name):
    table = result.rows(name)
    with (result.folder / "tables" / f"{name}.csv").open(newline="") as file:
        header, *lines = csv.reader(file)
    assert header == ["what" if column == "level" else column for column in table.columns if column != "baseline"]
    assert len(lines) == len(table.rows)
    for line, row in zip(lines, table.rows, strict=True):
        for column, text in zip(header, line, strict=True):
            value = row["level" if column == "what" else column]
            if isinstance(value, float):
                assert float(text) == value
            elif isinstance(value, list):
                assert len(text.split()) == len(value)
            else:
                assert text == ("" if value is None else str(value))


def test_rows_are_plain_values(result):
    for name in COLUMNS:
        table = result.rows(name)
        assert all(tuple(row) == table.columns for row in table.rows)
        assert table.columns[-len(COLUMNS[name]) :] == tuple(COLUMNS[name]) or name == "samples"
        json.dumps(table.rows)  # no numpy types
        if table.rows:
            assert {type(value) for row in table.rows for value in row.values()} <= {str, int, float, list, type(None)}


def test_a_row_names_the_baseline(result):
    (row,) = step_times(result)
    assert (row["mode"], row["level"], row["baseline"]) == ("train", "backwards", "plain")
    assert row["low"] <= row["ratio"] <= row["high"]


def test_samples_are_the_records_in_seconds(result):
    rows = result.samples()
    assert {row["role"] for row in rows} == {"variant", "control"}
    assert len({row["process"] for row in rows}) == 5
    for row in rows[:50]:
        assert row["step_time"] in (row["wall"], row["cpu"])
        phases = [row[f"{phase}_time"] for phase in ("collate", "forward", "backward", "update")]
        assert sum(phases) == pytest.approx(row["wall"], rel=1e-3)
    with (result.folder / "records.jsonl").open() as file:
        data = next(record for record in map(json.loads, file) if record["measure"] == "speed.train")["data"]
    assert rows[0]["wall"] == pytest.approx(data["wall"][0] * 1e-9 / data["repeats"])


def test_curves_hold_every_evaluation_of_every_seed(result):
    rows = [row for row in result.curves() if row["score"] == "close"]
    assert [row["step"] for row in rows if (row["level"], row["seed"]) == ("plain", 3)] == [0, 2, 4]
    assert len(rows) == 2 * 5 * 3
    (learned,) = [row for row in result.learning() if row["score"] == "close"]
    last = {row["seed"]: row["value"] for row in rows if row["level"] == "backwards" and row["step"] == 4}
    assert learned["level_of_each"] == pytest.approx([last[seed] for seed in learned["each_seed"]])


def test_axis_may_have_the_name_of_a_column(catalog, planned, tmp_path):
    text = SUITE.replace("axes:\n", "axes:\n  metric: {one: {}, two: {model: mlp}}\n")
    from harness.report.report import report_of

    report = report_of(planned(text=text), [], catalog, {})
    table = Result(report, tmp_path).rows("comparisons")
    assert table.columns[:2] == ("axis_metric", "mode")
    assert {row["axis_metric"] for row in table.rows} == {"one", "two"}
    assert {row["metric"] for row in table.rows} == {"step_time"}


@pytest.mark.skipif(not find_spec("pandas"), reason="pandas is not installed")
def test_data_frames_of_pandas(result):
    import pandas

    frame = pandas.DataFrame(result.comparisons)
    pandas.testing.assert_frame_equal(frame, result.to_pandas())
    times = result.to_pandas("samples").groupby(["level", "role"]).step_time.median()
    assert set(times.index) == {("plain", "variant"), ("plain", "control"), ("backwards", "variant")}
    empty = result.to_pandas("effects")
    assert len(empty) == 0
    assert list(empty.columns) == list(COLUMNS["effects"])


def test_data_frames_of_polars(result):
    polars = pytest.importorskip("polars", reason="polars is large and no dependency of the tests")
    for name in COLUMNS:
        frame = result.to_polars(name)
        assert tuple(frame.columns) == result.rows(name).columns
        assert frame.height == len(result.rows(name).rows)
    assert result.to_polars()["ratio"].dtype == polars.Float64


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_missing_data_frame_library_is_reported(result, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UserError, match=f"{library} is not installed. Install it with: pip install {library}"):
        getattr(result, f"to_{library}")()


def test_unknown_table_is_an_error(result):
    with pytest.raises(UserError, match=r"no table 'comparison'. Did you mean comparisons"):
        result.to_pandas("comparison")


def test_notebook_shows_summary_claims_and_tables_escaped(result):
    page = result._repr_html_()
    assert "Order costs &lt;nothing&gt;" in page
    assert "<nothing>" not in page
    assert '<span class="badge good">true</span>' in page
    assert "<script" not in page
    assert page.count("Order costs") == 1, "the answer does not say again what the claims say"
    for table in ("all · train", "learning"):
        assert table in page
    assert "<td>backwards</td>" in page


def test_a_notebook_shows_few_rows(result):
    grid = html_tables.Grid("t", (html_tables.Column("a"),), ((html_tables.Cell("1"),),) * 250, ("note",), frozenset())
    shown = html.shortened(grid)
    assert len(shown.rows) == html.MOST_ROWS
    assert shown.notes[0].startswith("150 more rows")
    assert html.shortened(replace(grid, rows=grid.rows[:50])).notes == ("note",)


def test_a_failed_trial_is_a_result_that_is_not_ok(home, capsys):
    text = SUITE.replace("backwards:", "bad: {model: {name: broken, how: raises}}\n    backwards:")
    (home / "bad.yaml").write_text(text)
    with chdir(home):
        found = harness.run("bad.yaml", plugins=[TOY, MADE], executor="made", quick=True, progress=True)
    assert not found.ok
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "all · train  backwards" in shown.err
    (problem,) = found.problems
    assert problem == "all, bad: failed in verify: it broke"
    assert [row["level"] for row in found.comparisons if row["ratio"]]
    assert '<details class="trouble" open><summary>Failed: 1</summary>' in found._repr_html_()


def test_run_uses_settings_levels_and_observers_and_prints_nothing(home, capsys):
    (home / "my_watch.py").write_text(
        "import harness\n@harness.hookimpl\ndef plan_ready(plan):\n    raise RuntimeError('I only look')\n"
    )
    text = SUITE.replace("plain: {}", "plain: {}\n    lazily: {use: [lazy]}")
    (home / "options.yaml").write_text(text)
    with chdir(home):
        found = harness.run(
            "options.yaml", plugins=[TOY, MADE, "my_watch.py"], executor="made", quick=True, only={"what": "backwards"},
            settings={"base.dataset.batch_size": 4, "measure.speed.of": ["inference"]}, results="elsewhere",
        )  # fmt: skip
    assert found.folder.is_relative_to(home / "elsewhere")
    assert {(row["mode"], row["level"]) for row in found.comparisons} == {("inference", "backwards")}
    assert {trial.batch_size for block in found.report.findings.plan.blocks for trial in block.trials} == {4}
    assert found.report.first_look
    assert found.problems == ("plugin my_watch.py: plan_ready failed: RuntimeError: I only look",)
    assert not found.ok
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"settings": ["base.model=liner"]}, "there is no model named 'liner'. Did you mean linear"),
        ({"settings": "base.model=mlp"}, "settings takes a list or a mapping, not one text. Write settings="),
        ({"only": {"what": ["sideways"]}}, "axis what has no level 'sideways'"),
        ({"executor": "remote"}, "there is no executor named 'remote'"),
        ({"device": "tpu"}, "unknown device 'tpu'. Use cpu, cuda or cuda:1."),
    ],
)
def test_errors_are_raised_before_anything_is_stored(home, options, message):
    with chdir(home), pytest.raises(UserError, match=message):
        harness.run("toy.yaml", plugins=[TOY], results="nothing", **options)
    assert not (home / "nothing").exists()


def test_folder_of_suites_and_page_are_errors(home):
    with pytest.raises(UserError, match=r"this is a folder of suites. Run its suites one by one"):
        harness.run(home)
    (home / "page").mkdir()
    (home / "page" / "page.json").write_text("{}")
    with chdir(home), pytest.raises(UserError, match="is the page of several suites"):
        harness.open("page")


def test_an_interrupted_run_is_stored_and_can_be_resumed(home):
    (home / "my_interrupt.py").write_text(
        "import os\nimport harness\n@harness.hookimpl\ndef record_stored(record):\n"
        "    if record.replicate == 1 and 'STOP' in os.environ:\n        raise KeyboardInterrupt\n"
    )
    with chdir(home), pytest.MonkeyPatch.context() as patch:
        patch.setenv("STOP", "1")
        with pytest.raises(KeyboardInterrupt, match=r"^everything measured is stored in stopped/toy/") as stopped:
            harness.run("toy.yaml", plugins=[TOY, MADE, "my_interrupt.py"], results="stopped", executor="made")
        folder = Path(str(stopped.value).split(" is stored in ")[1].split(";")[0])
        assert (folder / "report.html").is_file()
        before = harness.open(folder).samples()
        assert before
        patch.delenv("STOP")
        after = harness.resume(folder, executor="made")
    assert measured(after.samples())[: len(before)] == measured(before)
    assert len({row["process"] for row in after.samples()}) == 5
    assert after.ok


def measured(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The stored samples. Which clock `step_time` uses depends on all processes together."""
    return [{name: value for name, value in row.items() if name != "step_time"} for row in rows]


def test_importing_harness_imports_no_large_package():
    code = (
        "import sys, harness\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'yaml', 'click', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert {'run', 'open', 'resume', 'Result'} <= set(dir(harness))\n"
        "assert not hasattr(harness, 'no_such_thing')\n"
        "from harness import *\n"
        "assert open.__module__ in ('io', '_io'), 'a star hides no built-in'\n"
        "harness.open\n"
        "assert 'torch' not in sys.modules\n"
        "import harness.measure.runner, harness.cli.run\n"
        "assert callable(harness.run), 'no module takes its place'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
