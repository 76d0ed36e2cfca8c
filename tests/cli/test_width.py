"""The text of commands fits the terminal, and is never broken inside a word."""

from __future__ import annotations

import pytest
from commands import Screen, call
from made_runs import store
from reference_findings import ROOT, RUNS
from toy_suite import TOY

from harness.api.examined import ExaminedPlan
from harness.tools.selftest import doctor_command
from harness.tools.selftest.doctor import Result

#: Commands that print text, by a name.
COMMANDS = {
    "list": ("list",),
    "list optimizations": ("list", "optimizations"),
    "list promises": ("list", "promises"),
    "a model": ("describe", "linear"),
    "a kind of measurement": ("describe", "speed"),
    "a reporter": ("describe", "html"),
    "a metric": ("describe", "step_time"),
    "a command": ("describe", "run"),
    "doctor": ("doctor",),
    "plots": ("plot", "WHY", "--list"),
    "explain": ("explain", "WHY", "--only", "cell=lstm"),
    "plan": ("plan", "toy.yaml"),
    "compare": ("compare", "made~1", "made"),
    "history": ("history", "made"),
}
RESULTS = [
    Result("torch", "ok", "2.13.0+cpu, AVX512, mkl, oneDNN True; 1 thread on 2 cores; Python 3.11.7"),
    Result(
        "other load", "note", "1.2 of 2 cores busy: " + "a-program (12), " * 6, "stop other programs while you measure"
    ),
    Result("plugin mine", "problem", "importing it failed " * 6, "fix or uninstall it"),
]


def text_of(*arguments: str, cwd, columns: int, monkeypatch) -> str:
    """What a command prints on a terminal of this width."""
    monkeypatch.setenv("COLUMNS", str(columns))
    why = RUNS / "why"
    words = [str(why) if word == "WHY" else word for word in arguments]
    if "WHY" in arguments and not why.exists():
        pytest.skip("a source distribution has no reference runs")
    return call("-p", TOY, *words, cwd=cwd, kind=Screen).stdout.replace(str(ROOT), ".")


@pytest.fixture
def folder(here, monkeypatch):
    """A folder with a suite and two runs. `doctor` and `plan` measure nothing: the one has made results, and the other
    an examination without a rehearsal."""
    monkeypatch.setattr(doctor_command, "results", lambda *_, **__: iter(RESULTS))
    monkeypatch.setattr(
        "harness.api.examined.examined_plan",
        lambda suite, catalog, plan, timed: ExaminedPlan(plan, catalog, [None] * len(plan.blocks), 1.0, 1),
    )
    monkeypatch.setattr("time.process_time", lambda: 1.0)
    for number, name in enumerate(("first", "second")):
        store(here / "results", name, 1.1, number)
    return here


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_no_line_is_wider_than_the_terminal_and_no_word_is_broken(folder, monkeypatch, command):
    wide = text_of(*command, cwd=folder, columns=1000, monkeypatch=monkeypatch)
    narrow = text_of(*command, cwd=folder, columns=80, monkeypatch=monkeypatch)
    assert len(wide.split()) > 10, wide
    assert [line for line in narrow.splitlines() if len(line) > 80 and " " in line.strip()] == []
    rules = {word for word in narrow.split() if set(word) == {"-"}}
    assert set(narrow.split()) - rules <= set(wide.split())


@pytest.mark.parametrize("columns", [60, 120])
def test_a_description_fits_narrow_and_wide_terminals(folder, monkeypatch, columns):
    for name in ("speed", "linear"):
        text = text_of("describe", name, cwd=folder, columns=columns, monkeypatch=monkeypatch)
        assert max(len(line) for line in text.splitlines() if " " in line.strip()) <= columns


def test_the_list_of_all_parts_fits_a_screen(folder, monkeypatch):
    text = text_of("list", cwd=folder, columns=80, monkeypatch=monkeypatch)
    assert len(text.splitlines()) <= 24
    assert "promises (" in text
    assert "  linear " not in text
    assert "linear  " in text_of("list", "models", cwd=folder, columns=80, monkeypatch=monkeypatch)
