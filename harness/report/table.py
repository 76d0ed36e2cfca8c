"""A table of text, and a section of tables, as every format shows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from harness.analysis.grouping import grouped

Shown = TypeVar("Shown")
#: These columns stay if all their cells are equal, and so do intervals and the first column.
KEPT = ("verdict", "ratio", "points", "difference", "speed and quality")


@dataclass(frozen=True)
class Table:
    """A table of text, with sentences under it."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """Tables under one heading, with `words` on how to read them. `details` are tables for formats with much room, not
    for the terminal. `why` marks sections that give reasons; the others give answers."""

    title: str
    words: str
    tables: tuple[Table, ...] = ()
    details: tuple[Table, ...] = ()
    why: bool = False


def present(found: Iterable[Shown | None]) -> tuple[Shown, ...]:
    """The tables or sections that are not None."""
    return tuple(one for one in found if one)


def verdict_beside_interval(table: Table) -> Table:
    """The table with the verdicts right after the intervals, for screens on which the last columns are out of sight."""
    heads = list(table.headers)
    at = next((i for i, title in enumerate(heads) if title.endswith("interval")), None)
    if at is None or "verdict" not in heads:
        return table
    order = [i for i in range(len(heads)) if i != heads.index("verdict")]
    order.insert(at + 1, heads.index("verdict"))
    headers, *rows = (tuple(cells[i] for i in order) for cells in (table.headers, *table.rows))
    return replace(table, headers=headers, rows=tuple(rows))


def without_constant_columns(section: Section) -> Section:
    """The section without columns whose cells are equal in every row of a table. A note gives their values. Tables with
    the same headers keep the same columns."""
    return replace(section, tables=_varying(section.tables), details=_varying(section.details))


def _varying(tables: Iterable[Table]) -> tuple[Table, ...]:
    found, those = list(tables), list[Table]()
    left_out = {
        headers: [
            i for i, title in enumerate(headers)
            if i and title not in KEPT and not title.endswith("interval") and all(_constant(one, i) for one in alike)
        ]
        for headers, alike in grouped(found, lambda one: one.headers).items()
    }  # fmt: skip
    for one in found:
        constant = left_out[one.headers]
        headers, *rows = (
            tuple(cell for i, cell in enumerate(cells) if i not in constant) for cells in (one.headers, *one.rows)
        )
        values = [f"{one.headers[i]} {_constant(one, i)}" for i in constant]
        note = (f"The same in all rows: {'; '.join(values)}.",) if values else ()
        those.append(Table(one.title, headers, tuple(rows), (*one.notes, *note)))
    return tuple(those)


def _constant(table: Table, column: int) -> str:
    """What all cells of a column say that are not empty; nothing where they differ, or only one has a text."""
    texts = [row[column] for row in table.rows if row[column]]
    return texts[0] if len(texts) > 1 and len(set(texts)) == 1 else ""


def checked(section: Any) -> Section | None:
    """What a kind of measurement gives as its section, if every format can show it. Raises TypeError or ValueError
    otherwise."""
    if section is None:
        return None
    _expect(section, Section, "its section")
    texts = [section.title, section.words]
    for table in (*section.tables, *section.details):
        _expect(table, Table, "a table of its section")
        texts += [table.title, *table.headers, *table.notes, *(cell for row in table.rows for cell in row)]
        if any(len(row) != len(table.headers) for row in table.rows):
            raise ValueError(f"a row of its table {table.title!r} does not have {len(table.headers)} cells")
    for text in texts:
        _expect(text, str, "a text of its section")
    found: Section = section
    return found


def _expect(value: Any, kind: type, what: str) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{what} is {str(value)[:40]!r} of type {type(value).__name__}; expected {kind.__name__}")
