"""Lines of text for a terminal, with rich: consoles, paragraphs that break between words, and tables."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from harness.plugins.isolation import visible
from harness.wrapping import joined

#: What the second and later lines of a paragraph begin with.
INDENT = "  "
#: The width where the output is no terminal, and the least one that is used.
WIDTH, NARROWEST = 80, 20


def console(stream: TextIO, **options: Any) -> Console:
    """A console that writes to a stream. NO_COLOR means no escape sequences at all; FORCE_COLOR means colours also
    where the stream is no terminal."""
    width = max(shutil.get_terminal_size((WIDTH, 24)).columns, NARROWEST)
    settings = {
        "file": stream, "width": width, "force_jupyter": False, "markup": False, "highlight": False, "emoji": False,
        "legacy_windows": False, **options,
    }  # fmt: skip
    found = Console(**settings)
    return Console(**{**settings, "color_system": None}) if found.no_color else found


def text_for(stream: TextIO | None, lines: Callable[[int], Iterable[Text]]) -> str:
    """The lines, which are made for a width, as text for a stream. Without a stream it has no colours."""
    colours = console(stream).color_system if stream else None
    text = io.StringIO()
    there = console(text, force_terminal=bool(colours), color_system=colours)
    print_on(there, lines(there.width))
    return text.getvalue().removesuffix("\n")


def print_on(there: Console, lines: Iterable[Text]) -> None:
    """Print lines that fit."""
    for line in lines:
        there.print(line, no_wrap=True, overflow="ignore", crop=False)


def after_blank(found: Iterable[Text]) -> Iterator[Text]:
    """The lines after an empty one; nothing where there are none."""
    several = list(found)
    if several:
        yield Text()
    yield from several


def paragraph(text: Text, width: int, most: int | None = None, indent: str = INDENT) -> list[Text]:
    """Text in lines that break between words; the second and later ones are indented. Of more than `most` lines, the
    rest is left out."""
    if not text.plain.strip():
        return []
    found = [text] if not (offsets := list(breaks(text.plain, width, len(indent)))) else list(text.divide(offsets))
    if most is not None and len(found) > most:
        found = found[:most]
        found[-1] = shortened(found[-1], width - len(indent))
    for line in found:
        line.rstrip()
    return [found[0], *(Text(indent).append_text(line) for line in found[1:])]


def breaks(text: str, width: int, indent: int) -> Iterator[int]:
    """Where lines begin, other than the first: always at a word."""
    used, room = 0, width
    for match in re.finditer("[^ ]+ *", joined(text)):
        if used and used + cell_len(match[0].rstrip()) > room:
            yield match.start()
            used, room = 0, width - indent
        used += cell_len(match[0])


def shortened(line: Text, width: int) -> Text:
    """The line with a sign that more follows, which replaces its last words if it is too long."""
    line.rstrip()
    while cell_len(line.plain) + 2 > width and " " in line.plain:
        line = line[: line.plain.rindex(" ")]
    return line.append(" …")


def labelled(label: str, text: str, width: int, style: str = "bold", most: int | None = None) -> list[Text]:
    """A paragraph that begins with a label; nothing where there is no text."""
    if not text:
        return []
    return paragraph(Text.assemble((f"{visible(label)}:", style), " ", visible(text)), width, most)


def fits(rows: Sequence[Sequence[Text]], width: int) -> bool:
    """Whether a table is narrow enough."""
    return sum(widths_of(rows)) + 2 * (len(rows[0]) - 1) <= width


def table_lines(rows: Sequence[Sequence[Text]]) -> list[Text]:
    """A table in lines; two spaces between columns."""
    widths = widths_of(rows)
    found = []
    for row in rows:
        line = Text()
        for cell, wide in zip(row, widths, strict=True):
            line.append_text(cell).append(" " * (wide - cell_len(cell.plain) + 2))
        line.rstrip()
        found.append(line)
    return found


def widths_of(rows: Sequence[Sequence[Text]]) -> list[int]:
    """The width of each column."""
    return [max(cell_len(cell.plain) for cell in column) for column in zip(*rows, strict=True)]


def named(text: str) -> Text:
    """A name from a suite."""
    return Text(visible(text))


def head(text: str) -> Text:
    """The name of a row or column that is a heading."""
    return Text(visible(text), "bold")
