"""A table of text, and a section of tables, as every format shows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

Shown = TypeVar("Shown")


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
