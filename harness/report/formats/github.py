"""The report as the summary of a GitHub Actions job: claims first, then tables, within GitHub's size limit."""

from __future__ import annotations

import os
import re
from pathlib import Path

from harness.records.plan import digest
from harness.report.formats import saved
from harness.report.formats.markdown import escape, table
from harness.report.report import Report

#: The variable that names the file of the step's summary, and the most bytes that GitHub shows of it.
VARIABLE, LIMIT = "GITHUB_STEP_SUMMARY", 2**20


def write(report: Report, folder: Path) -> list[Path]:
    """Write summary.md into the folder. For a run's own folder, append it to the step's summary where there is one."""
    path = folder / "summary.md"
    saved(path, render(report))
    summary = os.environ.get(VARIABLE)
    if summary and (folder / "plan.json").is_file():
        append(report, Path(summary))
    return [path]


def append(report: Report, summary: Path) -> None:
    """Add the report to a step's summary, as much as there is room for. An HTML comment marks it, so that the same
    report is not added twice."""
    before = summary.read_text(encoding="utf-8", errors="replace") if summary.exists() else ""
    mark = f"<!-- harness {digest(render(report))} -->\n"
    start = "" if not before or before.endswith("\n") else "\n"
    room = LIMIT - len((before + start + mark).encode())
    text = render(report, room)
    if mark not in before and len(text.encode()) <= room:
        with summary.open("a", encoding="utf-8") as file:
            file.write(start + text + mark)


def render(report: Report, room: int = LIMIT) -> str:
    """The summary in at most `room` bytes: what does not fit is left out from the end, and counted."""
    pieces = [[f"## {escape(report.question)}", "", *([report.banner, ""] if report.banner else [])]]
    pieces[0] += [f"**{escape(report.answer)}**", ""]
    if report.claims:
        claims = ((one.words, escape(one.says), escape(one.details)) for one in report.claims)
        pieces.append([*(f"- **{answer}**: {says}. {details}." for answer, says, details in claims), ""])
    elif report.summary:
        pieces.append([*(f"- {escape(sentence)}" for sentence in report.summary), ""])
    remarks = [*(f"{title}: {text}" for title, texts in report.remarks for text in texts), *report.flags]
    if remarks:
        pieces.append([*(f"- {escape(text)}" for text in remarks), ""])
    for section in report.sections:
        words = [*map(escape, section.words.splitlines()), ""] if section.words else []
        lines = [f"### {escape(section.title)}", "", *words]
        for one in (*section.tables, *section.details):
            pieces.append([*lines, *_folded(table(one, "####", escape, escape), section.why)])
            lines = []
    last = [*([escape(report.last_line), ""] if report.last_line else []), f"Run {escape(report.run)} on "
            f"{escape(report.machine)}.", ""]  # fmt: skip
    return fitted(["\n".join(piece) for piece in pieces], "\n".join(last), room)


def fitted(pieces: list[str], last: str, room: int) -> str:
    """As many of the pieces as fit, then the last."""
    note = "{} parts of this report are left out: a summary has room for 1 MiB. report.md has all of them.\n"
    room -= len(last.encode()) + len(note) + 2 * len(str(len(pieces)))
    kept: list[str] = []
    for piece in pieces:
        room -= len(piece.encode()) + 1
        if room < 0:
            break
        kept.append(piece)
    left = len(pieces) - len(kept)
    return "\n".join([*kept, *([note.format(left)] if left else []), last])


def _folded(lines: list[str], fold: bool) -> list[str]:
    """Sections that give reasons are folded under the title of their table."""
    if not fold:
        return lines
    title = re.sub(r"^#+ ", "", lines[0])
    return [f"<details><summary>{title}</summary>", "", *lines[2:], "</details>", ""]
