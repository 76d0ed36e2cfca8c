"""`harness ab` with functions, as a user runs it: answers, exit codes, JSON, another commit, and what a run leaves."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from commands import call

BENCH = """
import torch


def old(x):
    for _ in range(4):
        x = torch.tanh(x)
    return x


def slow(x):
    for _ in range(40):
        torch.tanh(x)
    return old(x)


def wrong(x):
    return old(x) + 1


def make():
    generator = torch.Generator().manual_seed(0)
    yield torch.randn(100, 100, generator=generator)
"""
INPUTS = ("--inputs", "bench.py:make")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with functions and one run of them."""
    here = tmp_path_factory.mktemp("ab")
    (here / "bench.py").write_text(BENCH)
    return here


@pytest.fixture(scope="module")
def compared(folder):
    """The result of comparing `old` with a function that does ten times as much."""
    return call("ab", "bench.py:old", "bench.py:slow", *INPUTS, "--expect", "at most 5% slower", "--json", cwd=folder)


def test_the_answers_come_as_json_and_as_an_exit_code(compared):
    found = json.loads(compared.stdout)
    assert compared.returncode == 1  # the claim is false, also in a second measurement
    assert found["answers"][0].startswith("slow takes ")
    assert found["answers"][0].endswith(": slower")
    assert found["answers"][1].startswith("slow needs ")
    (row,) = [row for row in found["comparisons"] if row["metric"] == "step_time"]
    assert row["low"] > 3
    assert [(claim["claim"], claim["answer"]) for claim in found["claims"]] == [("slow is at most 5% slower", "fails")]


def test_a_run_is_a_run(compared, folder):
    """It can be opened by its name, reported and resumed, and its suite is YAML."""
    assert "times as long as old" in call("report", "ab-slow", cwd=folder).stdout.replace("×", " times")
    assert "Timed on 1 input from bench.py:make" in call("report", "ab-slow", "--verbose", cwd=folder).stdout
    run = next((folder / "results" / "ab-slow").iterdir())
    records = (run / "records.jsonl").read_text()
    again = call("run", "--resume", run, cwd=folder)
    assert again.returncode == 0, again.stderr
    assert (run / "records.jsonl").read_text() == records
    assert call("check", run / "suite.yaml", cwd=folder).returncode == 2  # paths in a suite are relative to it


def test_a_comparison_is_exported_as_a_script_and_as_an_issue(compared, folder):
    """The script contains the functions, so it runs alone."""
    script = call("export", "slow", "ab-slow", "--script", cwd=folder)
    assert script.returncode == 0, script.stderr
    alone = subprocess.run([sys.executable, "-c", script.stdout], capture_output=True, text=True, check=True)
    assert float(alone.stdout.strip().rpartition(" ")[2]) > 3  # the ratio
    issue = call("export", "slow", "ab-slow", "--issue", "--no-check", cwd=folder).stdout
    assert issue.startswith("- slow takes ")
    assert script.stdout.strip() in issue


def test_a_changed_file_is_not_measured_into_an_earlier_run(compared, folder):
    run = next((folder / "results" / "ab-slow").iterdir())
    (folder / "bench.py").write_text(BENCH + "\n# changed\n")
    try:
        refused = call("run", "--resume", run, cwd=folder)
    finally:
        (folder / "bench.py").write_text(BENCH)
    assert refused.returncode == 2
    assert "plugins or data have changed since this run began" in refused.stderr


def test_a_wrong_function_is_named_with_both_exits(folder):
    found = call("ab", "bench.py:old", "bench.py:wrong", *INPUTS, cwd=folder)
    assert found.returncode == 3
    last = found.stdout.strip().splitlines()[-1]
    assert last.startswith("wrong is invalid: it must return what old returns, but result is off by")
    assert last.endswith("use the option --different, or --tolerance for a larger error.")


def test_a_file_that_cannot_be_imported_is_a_failure_of_its_own_function(folder):
    (folder / "cannot_be_imported.py").write_text("import no_such_module_f\ndef f(x): return x\n")
    found = call("ab", "bench.py:old", "cannot_be_imported.py:f", *INPUTS, cwd=folder)
    assert found.returncode == 3
    last = found.stdout.strip().splitlines()[-1]
    assert last.startswith("f failed: verifying: ")
    assert (
        "cannot_be_imported.py:1: importing cannot_be_imported failed: ModuleNotFoundError: No module named 'no_such_module_f'"
        in last
    )


@pytest.mark.slow
def test_another_commit_is_the_baseline(folder):
    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=folder, check=True)

    git("init", "-q")
    git("add", "bench.py")
    git("commit", "-qm", "one")
    (folder / "bench.py").write_text(BENCH.replace("range(4)", "range(2, 6)"))
    found = call("ab", "bench.py:old", "--git", "HEAD", *INPUTS, "--budget", "1s", cwd=folder)
    (folder / "bench.py").write_text(BENCH)
    assert found.returncode == 0, found.stderr
    assert "old takes " in found.stdout
    assert " times as long as old (HEAD) " in found.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["bench.py:old"], "ab compares at least two functions. Name a second one, or an older commit with --git."),
        (["bench.py:old", "bench.py:old"], "bench.py:old is given twice"),
        (["bench.py:old", "bench.py:slwo"], "bench.py has no function 'slwo'. Did you mean slow?"),
        (["bench.py:old", "bnch.py:slow"], "bnch.py: file not found. Did you mean bench.py?"),
        (["bench.py:old", "bench.py:slow", "--inputs", "bench.py:mkae"], "has no function 'mkae'. Did you mean make?"),
        (["bench.py:old", "bench.py:slow", "--expect", "fastr"], "--expect: expected lower, higher"),
        (["bench.py:old", "bench.py:slow", "--budget", "long"], "budget: expected a duration with its unit"),
        (["bench.py:old", "bench.py:slow", "--git", "nosuch"], "--git nosuch: "),
    ],
)
def test_mistakes_end_before_anything_is_measured(folder, arguments, says):
    found = call("ab", *arguments, cwd=folder)
    assert found.returncode == 2
    assert says in found.stderr


def test_a_try_of_a_series_has_no_expectation(folder):
    """It is refused before it is measured, so no try is spent and no run is left."""
    options = ("--series", "night", "--expect", "at most 5% slower", "--results", "tries")
    found = call("ab", "bench.py:old", "bench.py:slow", *INPUTS, *options, cwd=folder)
    assert found.returncode == 2
    assert (
        "an expectation asks for something else. Leave out the expectation (--expect), or the series." in found.stderr
    )
    assert not list((folder / "tries").glob("ab-*/*"))
    assert "0 tries" in call("series", "night", "--results", "tries", cwd=folder).stdout
