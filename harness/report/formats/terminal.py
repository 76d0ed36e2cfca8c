"""The report as plain text: what the terminal shows, and the same in a file."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tabulate import tabulate

from harness.plugins.isolation import visible
from harness.report.formats import saved, tensorboard
from harness.report.plots import plots
from harness.report.report import Report
from harness.report.table import Section, Table, verdict_beside_interval


def write(report: Report, folder: Path) -> list[Path]:
    """Write report.txt into the run's folder."""
    return saved(folder / "report.txt", "\n".join(_lines(report, None, 0)) + "\n")


def render(report: Report, folder: Path | None = None) -> str:
    """The whole text, as wide as the terminal; with the run's folder it says where the report is."""
    return "\n".join(_lines(report, folder, columns()))


def columns() -> int:
    """The width of the terminal; 0, which is no limit, where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def _lines(report: Report, folder: Path | None, width: int) -> Iterator[str]:
    yield from (prose(text, width) for text in (report.question, report.answer, report.banner, *report.summary) if text)
    yield from sections(report.sections, width)
    claims = [claim.sentence() for claim in report.claims]
    yield from remarks((("Flags", report.flags), *report.remarks, ("Claims", claims)), width)
    yield ""
    if folder is not None:
        yield f"Report: {page_in(folder)}"
    last = (plots.missing_plots(report), tensorboard.missing_curves(report), report.last_line)
    yield from (prose(text, width) for text in last if text)


def page_in(folder: Path) -> Path:
    """The page of a run to read; its folder if there is none."""
    return next((page for name in ("report.html", "report.md") if (page := folder / name).is_file()), folder)


def sections(those: Iterable[Section], width: int | None = None) -> Iterator[str]:
    """Tables under their headings, without details."""
    for one in those:
        if one.tables or not one.details:
            yield "\n" + "\n".join(prose(line, width) for line in f"{one.title}. {one.words}".strip().splitlines())
        for each in one.tables:
            yield f"\n{table(each, width)}"


def remarks(those: Iterable[tuple[str, Sequence[str]]], width: int | None = None) -> Iterator[str]:
    """Lines under their headings, without empty ones."""
    for title, lines in those:
        if lines:
            yield f"\n{title}"
        yield from (prose(line, width, "  ") for line in lines)


def prose(text: str, width: int | None = None, indent: str = "") -> str:
    """Text in lines of this width, by default that of the terminal. Control characters are made visible, so no name or
    reason can command the terminal."""
    text, width = visible(text), columns() if width is None else width
    if not width:
        return indent + text
    return textwrap.fill(
        text, width, initial_indent=indent, subsequent_indent="  " if text.startswith("- ") else 2 * indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def table(one: Table, width: int | None = None) -> str:
    """A table under its title, with its notes. Columns that do not fit are shown below, beside the first one again."""
    width = columns() if width is None else width
    if width and sum(widths_of(one)) + 2 * len(one.headers) > width:
        one = verdict_beside_interval(one)
    cells = [[visible(cell) for cell in row] for row in (one.headers, *one.rows)]
    widths = widths_of(one)
    room = width - widths[0] - 2 if width else sum(widths) + 2 * len(widths)
    parts, left = [[0]], room
    for index, wanted in enumerate(widths[1:], 1):
        if len(parts[-1]) > 1 and wanted > left:
            parts.append([0])
            left = room
        parts[-1].append(index)
        left -= wanted + 2
    # Only a cell that is wider than the terminal is wrapped. tabulate's own wrapping fails for numbers with commas.
    cells[1:] = [[row[0], *(textwrap.fill(cell, max(room, 20)) for cell in row[1:])] for row in cells[1:]]
    texts = [
        tabulate([[row[i] for i in part] for row in cells[1:]], [cells[0][i] for i in part], disable_numparse=True)
        for part in parts
    ]
    return "\n".join([prose(one.title, width), "\n\n".join(texts), *(prose(note, width) for note in one.notes)])


def widths_of(one: Table) -> list[int]:
    """The width of each column."""
    cells = [[visible(cell) for cell in row] for row in (one.headers, *one.rows)]
    return [max(len(column[0]) + 2, *map(len, column)) for column in zip(*cells, strict=True)]
