"""Verdicts, answers and flags are spelled in one module, and each of them has words and an explanation."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness
from harness.analysis.verdicts import DECIDED, DIFFERENT, EXCLUDED, OPEN, Answer, Flag, Verdict
from harness.report.cells import WORDING

ROOT = Path(harness.__file__).parent
SPELLED = ROOT / "analysis" / "verdicts.py"
FILES = sorted(
    path
    for package in ("analysis", "report", "api", "cli", "tools/comparison")
    for path in (ROOT / package).rglob("*.py")
)
#: Words with other meanings too: the direction of a score, the outcome of a record, more operator calls.
COMMON = {"", "same", "more", "less", "shown", "missing", "new", "extended", "diverged", "better", "worse"}
WORDS = {str(word) for kind in (Verdict, Answer, Flag) for word in kind} - COMMON


def literals(tree: ast.AST) -> Iterator[ast.Constant]:
    """The string constants of a module that are not compared with the outcome of a record."""
    outcomes = {
        id(constant)
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and "outcome" in ast.unparse(node.left)
        for constant in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in outcomes:
            yield node


def stray(source: str) -> list[str]:
    return [f"{node.lineno}: {node.value}" for node in literals(ast.parse(source)) if node.value in WORDS]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_verdicts_answers_and_flags_are_spelled_in_one_module(path):
    if path != SPELLED:
        assert stray(path.read_text()) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('x = one.verdict == "faster"', ["1: faster"]),
        ('LOOKS = {"unranked": "void"}', ["1: unranked"]),
        ('flags.append("cpu-clock")', ["1: cpu-clock"]),
        ('bad = record.outcome in ("failed", "invalid")', []),
        ("x = Verdict.FASTER", []),
    ],
)
def test_literal_verdict_in_another_module_is_found(source, found):
    assert stray(source) == found


def test_deciding_and_excluded_verdicts_are_disjoint():
    assert DIFFERENT < DECIDED
    assert not DECIDED & (EXCLUDED | OPEN)


def test_every_verdict_has_words():
    of_two_runs = {Verdict.NONE, Verdict.SHOWN, Verdict.MISSING, Verdict.NEW, Verdict.NOT_COMPARABLE}
    assert {*Verdict, *Answer} - of_two_runs <= set(WORDING)
    assert all(WORDING[verdict].preposition for verdict in DECIDED | EXCLUDED)


def test_every_flag_has_an_explanation():
    assert all(len(flag.meaning) > 40 and not flag.meaning.endswith(".") for flag in Flag)
    assert Flag("cpu-clock") is Flag.CPU_CLOCK
    assert f"{Flag.CPU_CLOCK}" == "cpu-clock"
