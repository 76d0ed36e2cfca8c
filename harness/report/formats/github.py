"""The summary of a run for GitHub Actions: question, answer, claims, and one small table of all comparisons."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from harness.records.plan import digest
from harness.report.cells import first_few
from harness.report.formats import saved
from harness.report.formats.markdown import escape, table
from harness.report.report import Report
from harness.report.tables.matrix import matrices

#: The variable that names the file of the step's summary, and the most bytes that GitHub shows of it.
VARIABLE, LIMIT = "GITHUB_STEP_SUMMARY", 2**20
#: At most this many lines of each kind, and this many tables.
MOST_LINES, MOST_TABLES = 12, 4


def write(report: Report, folder: Path) -> list[Path]:
    """Write summary.md into the folder. For a run's own folder, append it to the step's summary where there is one."""
    path = folder / "summary.md"
    saved(path, render(report))
    summary = os.environ.get(VARIABLE)
    if summary and (folder / "plan.json").is_file():
        append(report, Path(summary))
    return [path]


def append(report: Report, summary: Path) -> None:
    """Add the report to a step's summary if there is room. An HTML comment marks it, so that the same report is not
    added twice."""
    before = summary.read_text(encoding="utf-8", errors="replace") if summary.exists() else ""
    text = render(report)
    mark = f"<!-- harness {digest(text)} -->\n"
    start = "" if not before or before.endswith("\n") else "\n"
    added = start + text + mark
    if mark not in before and len((before + added).encode()) <= LIMIT:
        with summary.open("a", encoding="utf-8") as file:
            file.write(added)


def render(report: Report) -> str:
    """The summary. Of what is long it has the beginning, and the number of what is left out."""
    lines = [f"## {escape(report.question)}", "", *([escape(report.banner), ""] if report.banner else [])]
    lines += [f"**{escape(report.answer)}**", ""]
    lines += listed([f"**{one.words}**: {escape(one.says)}. {escape(one.details)}." for one in report.claims])
    lines += listed([escape(sentence) for sentence in report.summary])
    tables = matrices(report.findings) or [one for section in report.sections for one in section.tables]
    for one in tables[:MOST_TABLES]:
        lines += table(one, "###", escape, escape)
    for title, texts in report.remarks:
        lines += [f"### {title}", "", *listed([escape(text) for text in texts])]
    lines += listed([escape(flag) for flag in report.flags])
    lines += [escape(report.last_line), ""] if report.last_line else []
    lines += [f"Run {escape(report.run)} on {escape(report.machine)}. All tables and plots are in report.html.", ""]
    return "\n".join(lines)


def listed(texts: Sequence[str]) -> list[str]:
    """Texts as a list, with an empty line after it."""
    return [*(f"- {text}" for text in first_few(texts, MOST_LINES)), ""] if texts else []
