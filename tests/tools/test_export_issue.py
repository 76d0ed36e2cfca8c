"""`harness export --issue`: the text of an issue with the rows, the failure and the script of one trial."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from commands import harness
from exported import LEVELS
from toy_suite import SUITE

from harness.report.table import Section, Table
from harness.tools.export.issue_text import fenced, machine_rows, tables_of
from harness.tools.export.trials import find_trial


@pytest.mark.slow  # docs/export.md tests the same, except for the failure
def test_an_issue_has_the_rows_of_the_trial_its_failure_and_the_script(here):
    text = SUITE.replace("Does the toy work?", "Is a | b <i>faster</i>?")
    (here / "toy.yaml").write_text(text.replace("    backwards:", "    broken: {model: broken}\n    backwards:"))
    assert harness("run", "toy.yaml", "--quick", cwd=here).returncode == 3
    done = harness("export", "backwards", "--issue", "--no-check", cwd=here)
    assert done.returncode == 0, done.stderr
    issue = done.stdout
    assert "Question: Is a \\| b &lt;i>faster&lt;/i>?" in issue
    assert "This was a first look in one process: there are no verdicts yet." in issue
    rows = [" ".join(line.split()) for line in issue.splitlines() if line.startswith("| ")]
    assert any(row.startswith("| plain | 1 |") for row in rows)
    assert any(row.startswith("| backwards |") and "first look" in row for row in rows)
    assert not any(row.startswith("| broken") for row in rows)
    assert any(row.startswith(f"| torch | {torch.__version__} (CPU capability") for row in rows)
    assert "PyTorch built with:" in issue
    assert "<summary>trial.py</summary>\n\n```python\n# One trial of a benchmark" in issue
    assert "# Measured" in issue
    failed = harness("export", "broken", "--issue", "--no-check", cwd=here).stdout
    assert "### Failure\n\n```text\n" in failed
    assert "RuntimeError: the toy is broken" in failed
    whole = harness("export", "plain", "--issue", "--no-check", cwd=here).stdout
    assert re.search(r"^\| backwards +\|", whole, re.MULTILINE)


def test_an_issue_takes_the_rows_and_operators_of_its_trial(planned):
    plan = planned(LEVELS)
    block, trial = find_trial(plan, "adaptive")

    def section(title: str, why: bool, *tables: tuple[str, str]) -> Section:
        rows = tuple((level, "1") for level in ("plain", "adaptive", "lazy"))
        return Section(title, f"{title}.", tuple(Table(name, (first, "x"), rows) for name, first in tables), why=why)

    sections = (
        section("Comparisons", False, ("all · train", "what"), ("others · train", "what")),
        section("Effects", False, ("all · train: effects", "what")),
        section("Why", True, ("all · train: adaptive against plain", "phase"), ("all · train: lazy against plain", "phase"),
                ("all · train · adaptive: operators", "phase"), ("all · train: memory", "what")),
    )  # fmt: skip
    report: Any = SimpleNamespace(sections=sections, findings=SimpleNamespace(plan=plan))
    words, answers, why = tables_of(report, block, trial)
    assert words == ["Comparisons."]
    assert [(table.title, [row[0] for row in table.rows]) for table in answers] == [
        ("all · train", ["plain", "adaptive"])
    ]
    assert [(table.title, len(table.rows)) for table in why] == [
        ("all · train: adaptive against plain", 3), ("all · train · adaptive: operators", 3), ("all · train: memory", 2)
    ]  # fmt: skip
    _, answers, _ = tables_of(report, block, block.baseline)
    assert [len(table.rows) for table in answers] == [3]


def test_an_issue_names_the_gpus(exported):
    facts = {"cuda_build": "12.8", "cudnn": 91002, "gpus": 2, "gpu_models": ["A", "B", "A"], "gpu_driver": "570"}
    assert machine_rows(exported("plain"), facts)["CUDA"] == "12.8, cuDNN 91002, 2 x A, 1 x B, driver 570"
    assert machine_rows(exported("plain"), {"cuda_build": "12.8", "gpus": 0})["CUDA"] == "12.8, cuDNN None, 0 GPUs"
    assert machine_rows(exported("plain"), {})["CUDA"] == "none in this build"


def test_a_fence_is_longer_than_any_inside():
    assert fenced("a ```` b", "text") == ["`````text", "a ```` b", "`````"]
