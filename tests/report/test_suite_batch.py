"""A run of all suites in a folder ends with one page of claims."""

from __future__ import annotations

import json
from pathlib import Path

from commands import harness
from learning_suite import TEXT

CLAIM = "claims:\n  - {says: SAYS, level: other, metric: close, expect: EXPECT}\n"


def suite(says: str, expect: str) -> str:
    text = TEXT.replace("steps: 20, evaluations: 4", "steps: 4, evaluations: 1")
    return text + CLAIM.replace("SAYS", says).replace("EXPECT", expect)


def test_suite_batch_ends_with_one_page_and_resumes(tmp_path: Path):
    """The second suite has an error at first: nothing is measured before all suites are planned."""
    suites = tmp_path / "many"
    suites.mkdir()
    (suites / "one.yaml").write_text(suite("Order is no matter", "equal within 90 points") + "presets: {x: {}}\n")
    (suites / "two.yaml").write_text(
        suite("Order is all", "better by 90 points").replace("metric: close", "metric: clos")
    )
    done = harness("run", "many", "--preset", "x", "--jobs", "1", cwd=tmp_path)
    assert done.returncode == 2
    assert "two.yaml:14:48: there is no metric named" in done.stderr
    (page,) = (tmp_path / "results" / "pages").iterdir()
    assert json.loads((page / "page.json").read_text())["runs"] == {}
    (suites / "two.yaml").write_text(suite("Order is all", "better by 90 points"))
    done = harness("run", "--resume", page, "--jobs", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page_data = json.loads((page / "page.json").read_text())
    assert set(page_data["runs"]) == {"one.yaml", "two.yaml"}
    assert [
        json.loads((page / run / "plan.json").read_text())["overrides"].get("preset")
        for run in page_data["runs"].values()
    ] == ["x", None]
    text = (page / "claims.md").read_text()
    assert "2 claims: 1 true, 1 false, 0 undecided." in text
    for says, answer in (("Order is no matter", "true"), ("Order is all", "false")):
        assert any(line.startswith(f"| {says}") and f"| {answer} " in line for line in text.splitlines()), text
    for run in page_data["runs"].values():
        assert f"({run}/report.md)" in text
    assert 'False: "Order is all"' in done.stdout.rpartition("\ntwo: ")[2]
    again = harness("report", page, cwd=tmp_path)
    assert again.returncode == 0
    assert (page / "claims.md").read_text() == text
