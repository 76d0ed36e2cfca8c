"""The report as plain text: what the terminal shows, and the same in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate

from harness.plugins.isolation import visible
from harness.report.formats import saved, tensorboard
from harness.report.plots import plots
from harness.report.report import Report
from harness.report.table import Section, Table, verdict_beside_interval
from harness.wrapping import columns, wrapped

#: The least width of a column whose text is wrapped.
LEAST_TEXT = 20


def write(report: Report, folder: Path) -> list[Path]:
    """Write report.txt into the run's folder."""
    return saved(folder / "report.txt", "\n".join(_lines(report, None, 0)) + "\n")


def render(report: Report, folder: Path | None = None) -> str:
    """The whole text, as wide as the terminal; with the run's folder it says where the report is."""
    return "\n".join(_lines(report, folder, columns()))


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
    text = visible(text)
    return wrapped(text, indent, "  " if text.startswith("- ") else 2 * indent, width)


def table(one: Table, width: int | None = None) -> str:
    """A table under its title, with its notes. If it does not fit, its widest text is wrapped; if that is not enough,
    the columns that do not fit are shown below, beside the first one again."""
    width = columns() if width is None else width
    headers, *rows = (tuple(map(visible, row)) for row in (one.headers, *one.rows))
    one = replace(one, headers=headers, rows=tuple(rows))
    if width and whole_width(widths_of(one)) > width:
        one = with_wrapped_text(verdict_beside_interval(one), width)
    widths = widths_of(one)
    room = width - widths[0] - 2 if width else whole_width(widths)
    parts, left = [[0]], room
    for index, wanted in enumerate(widths[1:], 1):
        if len(parts[-1]) > 1 and wanted > left:
            parts.append([0])
            left = room
        parts[-1].append(index)
        left -= wanted + 2
    # Also a cell that is wider than the terminal is wrapped. tabulate's own wrapping fails for numbers with commas.
    rows = [(row[0], *(fill(cell, max(room, LEAST_TEXT)) for cell in row[1:])) for row in one.rows]
    texts = [
        tabulate([[row[i] for i in part] for row in rows], [one.headers[i] for i in part], disable_numparse=True)
        for part in parts
    ]
    return "\n".join([prose(one.title, width), "\n\n".join(texts), *(prose(note, width) for note in one.notes)])


def with_wrapped_text(one: Table, width: int) -> Table:
    """The table with its widest column wrapped so that all columns fit; as it is if that would leave it too little."""
    widths = widths_of(one)
    index = widths.index(max(widths))
    room = width - whole_width(widths) + widths[index]
    words = [len(word) for cells in (one.headers, *one.rows) for word in cells[index].split()]
    if room < max(LEAST_TEXT, *words):
        return one
    rows = tuple(tuple(fill(cell, room) if i == index else cell for i, cell in enumerate(row)) for row in one.rows)
    return replace(one, rows=rows)


def fill(cell: str, width: int) -> str:
    """A cell in lines of this width, which are never broken inside a word."""
    return "\n".join(wrapped(line, width=width) for line in cell.split("\n"))


def whole_width(widths: Sequence[int]) -> int:
    """The width of a table with columns of these widths."""
    return sum(widths) + 2 * (len(widths) - 1)


def widths_of(one: Table) -> list[int]:
    """The width of each column."""
    lines = [[line for row in one.rows for line in row[index].split("\n")] for index in range(len(one.headers))]
    return [max(len(head) + 2, *map(len, cells)) for head, cells in zip(one.headers, lines, strict=True)]
