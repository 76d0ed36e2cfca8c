"""A table of text and a section of tables, as every way of showing a report draws them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table of text, with sentences that belong under it."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """Tables under one heading, with words on how to read them. `details` are tables for where there is room: not for
    the terminal. `why` says that they give reasons, where the others give answers."""

    title: str
    words: str
    tables: tuple[Table, ...] = ()
    details: tuple[Table, ...] = ()
    why: bool = False
