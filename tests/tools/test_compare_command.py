"""The commands ``compare`` and ``history``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands import harness
from made_runs import store


@pytest.fixture
def here(tmp_path: Path) -> Path:
    results = tmp_path / "results"
    for number, ratio in enumerate((1.1, 1.1, 1.16)):
        store(results, f"run{number}", ratio, number)
    return tmp_path


def files(folder: Path) -> list[tuple[str, float]]:
    return sorted((str(path), path.stat().st_mtime) for path in folder.rglob("*"))


def test_compare_reports_slower_levels_and_only_the_gate_fails(here):
    before = files(here)
    done = harness("compare", "results/made/run0", "results/made/run2", cwd=here)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("A: made/run0\nB: made/run2\nIs it?")
    assert "all · train · other: slower, 1.05" in done.stdout
    assert done.stdout.splitlines()[-1] == "Margin 2 %. Result: worse (exit code 1 with --gate)."
    assert harness("compare", "results/made/run0", "results/made/run2", "--gate", cwd=here).returncode == 1
    assert harness("compare", "results/made/run0", "results/made/run1", "--gate", cwd=here).returncode == 0
    assert files(here) == before


def test_runs_are_named_by_their_suites(here):
    for names in (("made~2", "latest"), ("made~2", "made"), ("latest~2", "made.yaml"), ("results/made/run0", "made~0")):
        done = harness("compare", *names, "--gate", "--margin", "5%", cwd=here)
        assert done.returncode == 1, (names, done.stdout)
        assert done.stdout.startswith("A: made/run0\nB: made/run2\n")
    elsewhere = here / "elsewhere"
    (here / "results").rename(elsewhere)
    assert harness("compare", "made~1", "made", "--results", "elsewhere", "--gate", cwd=here).returncode == 1


def test_gate_exit_codes(here):
    from dataclasses import replace

    from made_runs import TWO, failure, timed

    from harness.records.store import Store

    def rewritten(name: str, records) -> str:
        folder = store(here / "results", name, 1.1, 9)
        (folder / "records.jsonl").write_text("")
        Store(folder).append([replace(each, of=1) for each in records])
        return str(folder)

    failed = rewritten("failed", [failure(TWO, "other"), *timed(TWO, {"other": 1.1})])
    done = harness("compare", "results/made/run0", failed, "--gate", cwd=here)
    assert done.returncode == 3
    assert "Failed in B\n  all, other: failed in verify: it broke" in done.stdout
    noisy = rewritten("noisy", timed(TWO, {"other": 1.1}, noise=0.1))
    assert harness("compare", "results/made/run0", noisy, "--gate", cwd=here).returncode == 4
    other = store(here / "results", "other", 1.1, 9, processor="Made 2")
    done = harness("compare", "results/made/run0", other, "--gate", cwd=here)
    assert done.returncode == 4
    assert "\n  other machine: ratios differ between machines" in done.stdout
    assert harness("compare", "results/made/run0", other, "--gate", "--allow", "processor", cwd=here).returncode == 0
    assert harness("compare", "results/made/run0", other, cwd=here).returncode == 0


def test_errors_are_exit_code_2_with_a_fix(here):
    for arguments, words in (
        (("made", "latest"), "A and B are the same run. NAME~1 is the run before the latest one."),
        (("mad", "latest"), "there is no run of 'mad' in it. Did you mean made?"),
        (("made~9", "latest"), "the number of runs of made is 3."),
        (("made~x", "latest"), "expected NAME~N"),
        (("results", "latest"), "is not the folder of a run."),
        (("made~1", "made", "--allow", "procesor"), "there is no field named 'procesor'. Did you mean processor?"),
        (("made~1", "made", "--margin", "5 points"), "expected a share such as 5% or 0.05."),
        (("made~1", "made", "--margin", "0"), "expected a share such as 5% or 0.05."),
        (("made~1", "made", "--metric", "tokens"), "there is no metric named 'tokens'."),
        (("made~1", "made", "--only", "what=othr"), "there is no level named 'othr'. Did you mean other?"),
        (("made~1",), "Missing argument 'B'"),
    ):
        done = harness("compare", *arguments, "--gate", cwd=here)
        assert done.returncode == 2, arguments
        assert words in done.stderr, arguments
    shutil.copytree(here / "results" / "made" / "run0", here / "copy")
    done = harness("compare", "results/made/run0", "copy", "--gate", cwd=here)
    assert (done.returncode, "A and B have the same records." in done.stderr) == (2, True)
    (here / "results" / "made" / "page.json").write_text("{}")
    assert "this is the page of several suites" in harness("compare", "results/made", "made", cwd=here).stderr


def test_compare_and_history_as_json(here):
    found = json.loads(harness("compare", "made~2", "made", "--json", "--gate", cwd=here).stdout)
    assert (found["gate"]["code"], found["gate"]["result"]) == (1, "worse")
    assert found["ratios"][0]["verdict"] == "slower"
    found = json.loads(harness("history", "made", "--json", cwd=here).stdout)
    assert [run["run"] for run in found["groups"][0]["runs"]] == ["run0", "run1", "run2"]


def test_history_shows_every_run_of_the_latest_suite(here):
    done = harness("history", cwd=here)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("made: 3 runs in 1 group")
    assert done.stdout.count("run2 ") >= 1
    assert "None found" in done.stdout
    assert harness("history", "made.yaml", "--last", "1", cwd=here).stdout.count("run1 ") == 0
    assert harness("history", "mode", cwd=here).returncode == 2
    (here / "results" / "made" / "run1" / "plan.json").write_text("{")
    done = harness("history", cwd=here)
    assert "cannot be read" in done.stderr
    assert done.returncode == 0


def test_history_estimates_how_much_runs_differ_from_earlier_runs(here):
    for number in range(3, 10):
        store(here / "results", f"run{number}", 1.1 * (1.04 if number % 2 else 1.0), number)
    done = harness("compare", "made~1", "made", "--gate", cwd=here)
    assert done.returncode == 1
    done = harness("compare", "made~1", "made", "--gate", "--history", cwd=here)
    assert "Verdicts use the spread of 9 earlier comparable runs." in done.stdout
    assert done.returncode == 4


def test_neither_command_imports_torch(here):
    import subprocess
    import sys

    code = (
        "import sys; from harness.cli.app import cli\n"
        "for words in (['compare', 'made~1', 'made'], ['history']):\n"
        "    try: cli.main(words)\n"
        "    except SystemExit as end: assert not end.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
