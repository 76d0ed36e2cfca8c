"""Text in lines that fit the terminal."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap

#: A space at which a line is not broken: textwrap breaks lines at spaces of ASCII only.
JOIN = "\N{NO-BREAK SPACE}"


def columns() -> int:
    """The width of the terminal; 0, which is no limit, where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def joined(text: str) -> str:
    """Text of the same length in which a number is joined with its unit."""
    return re.sub(r"(?<=\d) (?=%|(?:ms|s|min)\b)", JOIN, text)


def wrapped(text: str, indent: str = "", hang: str | None = None, width: int | None = None) -> str:
    """A paragraph in lines of this width, by default that of the terminal, never broken inside a word or between a
    number and its unit. The first line begins with `indent`, the others with `hang`, by default the same."""
    width = columns() if width is None else width
    if not width:
        return indent + text
    lines = textwrap.fill(
        joined(text), width, initial_indent=indent, subsequent_indent=indent if hang is None else hang,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return lines.replace(JOIN, " ")
