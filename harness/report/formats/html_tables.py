"""The report's tables as a page shows them: numbers that can be sorted, verdicts as badges, like tables merged."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.analysis.grouping import grouped
from harness.report.cells import BASELINE, FIRST_LOOK, WORDING
from harness.report.table import Table, verdict_beside_interval

#: More tables than this with the same columns become one, with a column for the context.
MOST_SEPARATE = 4
#: A number at the beginning of a cell, perhaps with a unit.
NUMBER = re.compile(r"\s*([+\-−]?\d[\d,]*(?:\.\d+)?(?:[eE][+\-]?\d+)?)\s?([A-Za-zµ]*)")
#: The units in a report in terms of the smallest one.
UNITS = {
    "kB": 1e3, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40,
    "kFLOP": 1e3, "MFLOP": 1e6, "GFLOP": 1e9, "TFLOP": 1e12, "PFLOP": 1e15,
    "µs": 1e-3, "s": 1e3, "min": 6e4, "h": 3.6e6,
}  # fmt: skip
#: Texts with more characters than this are broken into lines.
LONG = 36


@dataclass(frozen=True)
class Cell:
    """A cell's text. `value` is what to sort by where that is not the number in the text. In a cell of a verdict,
    `verdict` is the word, `kind` its look, and `text` what follows."""

    text: str
    value: str = ""
    verdict: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Column:
    """A column's head, and what its cells are: numbers (n), verdicts (v), long text (w), or other text."""

    title: str
    look: Literal["", "n", "v", "w"] = ""


@dataclass(frozen=True)
class Grid:
    """A table as the page shows it. `baselines` are the numbers of rows that others are compared with."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]
    baselines: frozenset[int]


def grids_of(tables: Sequence[Table]) -> list[Grid]:
    """The tables in order; more than `MOST_SEPARATE` tables with the same columns become one, which can be sorted. A
    note that all tables with the same columns have is shown once, below the last of them."""
    found = []
    for those in grouped(tables, lambda table: table.headers).values():
        if len(those) > MOST_SEPARATE:
            found.append(merged(those))
            continue
        shared = set.intersection(*(set(table.notes) for table in those))
        own = [replace(table, notes=tuple(note for note in table.notes if note not in shared)) for table in those[:-1]]
        found += [*own, those[-1]]
    return [grid_of(table) for table in found]


def merged(tables: Sequence[Table]) -> Table:
    """One table of all rows. The common parts of the titles make its title; notes that several tables share are given
    once, after their names."""
    begin, end = common(words_of(table.title) for table in tables)
    titles = [words_of(table.title) for table in tables]
    names = ["".join(words[begin : len(words) - end]).strip(" ·:") for words in titles]
    rows = tuple((name, *row) for name, table in zip(names, tables, strict=True) for row in table.rows)
    notes: dict[str, list[str]] = {}
    for name, table in zip(names, tables, strict=True):
        for note in table.notes:
            notes.setdefault(note, []).append(name)
    given = tuple(note if len(of) == len(tables) else f"{', '.join(of)}: {note}" for note, of in notes.items())
    shared = "".join([*titles[0][:begin], *titles[0][len(titles[0]) - end :]]).strip(" ·:")
    title = f"{shared}, {len(tables)} contexts" if shared else f"{len(tables)} contexts"
    return Table(title, ("context", *tables[0].headers), rows, given)


def words_of(title: str) -> list[str]:
    """A title's parts and the separators between them."""
    return re.split(r"( · |: )", title)


def common(titles: Iterable[list[str]]) -> tuple[int, int]:
    """How many parts all titles begin with, and how many they end with."""
    every = list(titles)
    shortest = min(map(len, every))

    def shared(at: Sequence[int]) -> int:
        return next((n for n, i in enumerate(at) if len({words[i] for words in every}) > 1), len(at))

    begin = shared(range(shortest))
    return begin, shared([-i for i in range(1, shortest - begin + 1)])


def grid_of(table: Table) -> Grid:
    """A table's cells with what they are."""
    table = verdict_beside_interval(table)
    columns, cells = [], []
    for i, title in enumerate(table.headers):
        texts = [row[i] for row in table.rows]
        wide = any(len(text) > LONG for text in texts)
        if title == "verdict":
            columns.append(Column(title, "v" if wide else ""))
            cells.append([verdict_cell(text) for text in texts])
        else:
            numbers = are_numbers(texts)
            columns.append(Column(title, "n" if numbers else "w" if wide else ""))
            cells.append([Cell(text, value_of(text, numbers)) for text in texts])
    rows = tuple(zip(*cells, strict=True))
    baselines = frozenset(n for n, row in enumerate(rows) if any(cell.verdict == BASELINE for cell in row))
    return Grid(table.title, tuple(columns), rows, table.notes, baselines)


def are_numbers(texts: Iterable[str]) -> bool:
    """Whether every cell that has a value begins with a number."""
    known = [text for text in texts if text.strip() not in ("", "-", "never", "none")]
    return bool(known) and all(NUMBER.match(text) for text in known)


def value_of(text: str, numbers: bool) -> str:
    """What to sort a number by where a browser cannot read it from the text: with commas, a unit or a minus sign."""
    found = NUMBER.match(text) if numbers else None
    if not found:
        return ""
    plain = found[1].replace(",", "").replace("−", "-")
    factor = UNITS.get(found[2].removesuffix("/s") if "FLOP" in found[2] else found[2], 1.0)
    return "" if factor == 1.0 and plain == found[1] else f"{float(plain) * factor:.10g}"


def verdict_cell(text: str) -> Cell:
    """A verdict's word, its look, and the reason and flags that follow it."""
    rest = text.removeprefix(f"{FIRST_LOOK}: ")
    word = re.split(r"[\s;:(]", rest, maxsplit=1)[0]
    if word not in WORDING:
        return Cell(text)
    after = rest[len(word) :].strip(" ;:")
    if rest != text:
        return Cell(after, verdict=f"{FIRST_LOOK}: {word}", kind="open")
    return Cell(after, verdict=word, kind=WORDING[word].look)
