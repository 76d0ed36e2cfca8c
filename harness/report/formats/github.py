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
from harness.report.table import Table
from harness.report.tables.matrix import Matrix, matrix_of

#: The variable that names the file of the step's summary, and the most bytes that GitHub shows of it.
VARIABLE, LIMIT = "GITHUB_STEP_SUMMARY", 2**20
#: At most this many lines of each kind, and columns and rows of comparisons.
MOST_LINES, MOST_COLUMNS, MOST_ROWS = 12, 5, 24


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
    if matrix := matrix_of(report.findings):
        lines += table(table_of(matrix), "###", escape, escape)
    for title, texts in report.remarks:
        lines += [f"### {title}", "", *listed([escape(text) for text in texts])]
    lines += listed([escape(flag) for flag in report.flags])
    lines += [escape(report.last_line), ""] if report.last_line else []
    lines += [f"Run {escape(report.run)} on {escape(report.machine)}. All tables and plots are in report.html.", ""]
    return "\n".join(lines)


def table_of(matrix: Matrix) -> Table:
    """The matrix as a table. Contexts are columns where they are few, and rows otherwise."""
    levels, places = matrix.levels, matrix.places
    across = len(places) <= MOST_COLUMNS
    columns, names = (places, levels) if across else (levels[:MOST_COLUMNS], places)
    cells = [
        (name, *(matrix.cell(*((name, column) if across else (column, name))).text for column in columns))
        for name in names
    ]  # fmt: skip
    rows, left_out = cells[:MOST_ROWS], len(cells) - MOST_ROWS
    notes = (matrix.caption, *matrix.notes, *([f"{left_out} more rows are in the report."] if left_out > 0 else []))
    if not across and len(levels) > MOST_COLUMNS:
        notes = (*notes, f"{len(levels) - MOST_COLUMNS} more columns are in the report.")
    return Table("Comparisons", (matrix.axis if across else "context", *columns), tuple(rows), notes)


def listed(texts: Sequence[str]) -> list[str]:
    """Texts as a list, with an empty line after it."""
    return [*(f"- {text}" for text in first_few(texts, MOST_LINES)), ""] if texts else []
