"""``harness report --as`` and ``harness plot``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from commands import harness
from made import block, learning_block, record, runs

from harness.cli import plot as plot_command
from harness.records.plan import Plan
from harness.records.record import Record
from harness.records.store import Store
from harness.report.suite_batch import SuiteBatch


def stored_run(results: Path, plan: Plan, records: list[Record]) -> Path:
    """The folder of a run with these records."""
    store = Store.create(results, plan, "question: q\n")
    store.append(records)
    return store.folder


@pytest.fixture
def timed(tmp_path: Path) -> Path:
    this = block("plain", "fast_er")
    records = [
        record(this, level, n, [time] * 10, counts={"points": [8.0]})
        for n in range(5)
        for level, time in (("plain", 2e6), ("fast_er", 1e6))
    ]
    return stored_run(tmp_path / "results", Plan("timing", "Is it fast_er?", "what", (this,)), records)


@pytest.fixture
def learned(tmp_path: Path) -> Path:
    this = learning_block("plain", "fast")
    values = {"plain": [0.1, 0.2, 0.3, 0.2, 0.1], "fast": [0.4, 0.5, 0.6, 0.5, 0.4]}
    records = [one for level, each in values.items() for one in runs(this, level, close=each)]
    return stored_run(tmp_path / "results", Plan("learning", "Does it learn?", "what", (this,)), records)


def test_as_prints_the_output_of_one_reporter_only(timed):
    before = sorted(timed.rglob("*"))
    latex = harness("report", timed, "--as", "latex", cwd=timed)
    assert latex.returncode == 0, latex.stderr
    assert latex.stderr == ""
    assert latex.stdout.startswith("% Into the preamble:")
    assert "fast\\_er & 0.500" in latex.stdout
    found = json.loads(harness("report", "--as", "json", cwd=timed.parents[2]).stdout)  # the latest by default
    assert found["question"] == "Is it fast_er?"
    assert found["comparisons"][0]["level"] == "fast_er"
    assert {n["metric"] for n in found["numbers"]} >= {"step_time"}
    for name, start in (
        ("junit", '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites'), ("github", "## Is it fast\\_er?"),
        ("markdown", "# Is it fast_er?"), ("terminal", "Is it fast_er?\n"),
    ):  # fmt: skip
        done = harness("report", timed, "--as", name, cwd=timed)
        assert done.returncode == 0
        assert done.stdout.startswith(start)
    assert sorted(timed.rglob("*")) == before


def test_as_prints_several_files_with_their_names(timed):
    lines = harness("report", timed, "--as", "csv", cwd=timed).stdout.splitlines()
    heads = [line for line in lines if line.startswith("==> ")]
    assert heads == [f"==> tables/{name}.csv <==" for name in ("claims", "comparisons", "numbers", "resources")]
    assert lines[1] == "claim,answer,expected,reason"
    assert lines[lines.index("==> tables/comparisons.csv <==") + 1].startswith("mode,what,metric,ratio")


def test_as_shows_the_reporters_of_plugins(timed):
    (timed / "mine.py").write_text(
        "import harness\n"
        "def write(report, folder):\n"
        "    (folder / 'deep').mkdir()\n"
        "    (folder / 'deep' / 'slack.txt').write_text(report.question)\n"
        "    (folder / 'image.bin').write_bytes(bytes([0, 255]))\n"
        "def broken(report, folder):\n    raise OSError('the disk is full')\n"
        "def silent(report, folder):\n    pass\n"
        "@harness.hookimpl\ndef provide_reporters():\n"
        "    yield harness.Reporter('slack', write, 'slack.txt: a line')\n"
        "    yield harness.Reporter('broken', broken, 'nothing')\n"
        "    yield harness.Reporter('silent', silent, 'nothing')\n"
    )
    done = harness("-p", "mine.py", "report", timed, "--as", "slack", cwd=timed)
    assert (done.returncode, done.stdout) == (0, "Is it fast_er?\n")
    assert "Binary files that are not shown: 1." in done.stderr
    done = harness("-p", "mine.py", "report", timed, "--as", "broken", cwd=timed)
    assert (done.returncode, done.stdout) == (3, "")
    assert "reporter broken (plugin mine.py): OSError: the disk is full" in done.stderr
    done = harness("-p", "mine.py", "report", timed, "--as", "silent", cwd=timed)
    assert (done.returncode, done.stdout) == (2, "")
    assert "reporter silent writes no text for this run." in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--as", "latx"], "there is no reporter named 'latx'. Did you mean latex?"),
        (["--as", "step_time"], "'step_time' is a metric, not a reporter."),
        (["--as", "latex", "--json"], "--json and --as both choose what to print."),
    ],
)
def test_as_errors(timed, arguments, message):
    done = harness("report", timed, *arguments, cwd=timed)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_as_prints_every_suite_of_a_page(timed, tmp_path):
    (tmp_path / "suites").mkdir()
    for name in ("a", "b"):
        (tmp_path / "suites" / f"{name}.yaml").write_text("question: q\n")
    page = SuiteBatch.create(tmp_path / "results", tmp_path / "suites", {})
    for suite in page.suites:
        page = page.with_run(suite, timed)
    done = harness("report", page.folder, "--as", "terminal", cwd=tmp_path)
    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if line.startswith("==>")] == [
        "==> a/report.txt <==", "==> b/report.txt <=="
    ]  # fmt: skip


def test_as_has_exit_code_3_for_a_failed_run(tmp_path):
    this = block("a", "b")
    broken = Record(this.id, "b", "b", "verify", "variant", 0, 1, "failed", "it broke")
    folder = stored_run(tmp_path / "results", Plan("s", "q?", "what", (this,)), [broken])
    done = harness("report", folder, "--as", "junit", cwd=tmp_path)
    assert done.returncode == 3
    assert '<error message="failed in verify: it broke" type="failed">' in done.stdout


@pytest.mark.parametrize("name", ["learning~1", "latest~1", "suites/learning.yaml~1"])
@pytest.mark.parametrize(
    "command",
    [
        ("report", "RUN", "--as", "json"),
        ("plot", "RUN", "--list"),
        ("compare", "RUN", "learning"),
        ("history", "RUN"),
        ("explain", "RUN"),
        ("export", "fast", "RUN", "--issue"),
        ("run", "--resume", "RUN"),
    ],
)
def test_every_command_that_takes_a_run_takes_its_name(learned, tmp_path, command, name):
    store = Store.open(learned)
    plan = replace(store.plan(), overrides={"set": [], "only": [], "plugins": []})
    store.keep(plan)
    Store.create(tmp_path / "results", plan, "question: q\n").append(store.records())
    (learned / "machine.json").write_text("{")  # an error of the older run names its folder
    found = harness(*(name if word == "RUN" else word for word in command), cwd=tmp_path)
    both = found.stdout + found.stderr
    expected = "learning: " if command[0] == "history" else str(learned.relative_to(tmp_path))
    assert expected in both, both


def test_plot_lists_and_draws_by_name_and_pattern(learned, tmp_path):
    listed = harness("plot", learned, "--list", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    names = [line.split("  ")[0] for line in listed.stdout.splitlines()]
    assert "curves-all" in names
    assert not (learned / "plots").exists()
    done = harness("plot", "latest", "curves-*", "--format", "pdf", "--format", "png", "--dpi", "40", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{learned.relative_to(tmp_path)}/plots/curves-all.{e}" for e in ("pdf", "png")]
    assert (learned / "plots" / "curves-all.pdf").read_bytes().startswith(b"%PDF")
    small = (learned / "plots" / "curves-all.png").read_bytes()
    assert small.startswith(b"\x89PNG")
    width = int.from_bytes(small[16:20], "big")
    there = harness("plot", learned, "curves-all", "--output", "figures/new", "--dpi", "80", cwd=tmp_path)
    assert there.stdout == "figures/new/curves-all.png\n"
    big = (tmp_path / "figures" / "new" / "curves-all.png").read_bytes()
    assert int.from_bytes(big[16:20], "big") == 2 * width
    harness("plot", learned, "curves-all", "--output", "again", "--dpi", "80", cwd=tmp_path)
    assert (tmp_path / "again" / "curves-all.png").read_bytes() == big


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["latest", "curve-all"], "this run has no plot 'curve-all'. Did you mean curves-all"),
        (["learning", "nothing-*"], "this run has no plot 'nothing-*'. Known: "),
        (["results/nowhere"], "results/nowhere: is not the folder of a run."),
        (["curves-all"], "there is no run of 'curves-all' in it. Known: learning."),
        (["latest", "--format", "gif"], "'gif' is not one of 'png', 'svg', 'pdf'"),
        (["latest", "--output", "plan"], "plan: cannot write to this folder: "),
    ],
)
def test_plot_errors(learned, tmp_path, arguments, message):
    (tmp_path / "plan").write_text("")
    done = harness("plot", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr or "is a file" in done.stderr


def test_plot_without_matplotlib_says_how_to_get_it(learned, tmp_path):
    with patch.object(plot_command, "find_spec", lambda name: None):
        done = harness("plot", learned, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert 'plots need matplotlib. Install it with: pip install "rnn-harness[plot]"' in done.stderr
        assert harness("plot", learned, "--list", cwd=tmp_path).returncode == 0
    assert not (learned / "plots").exists()


def test_plot_without_data_is_an_error(tmp_path):
    folder = stored_run(tmp_path / "results", Plan("s", "q?", "what", (block("a", "b"),)), [])
    done = harness("plot", folder, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{folder}: this run has no plots." in done.stderr
