"""Text in lines that fit the terminal."""

from __future__ import annotations

import shutil
import sys
import textwrap


def columns() -> int:
    """The width of the terminal; 0, which is no limit, where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def wrapped(text: str, indent: str = "", hang: str | None = None, width: int | None = None) -> str:
    """A paragraph in lines of this width, by default that of the terminal, and never broken inside a word. The first
    line begins with `indent`, the others with `hang`, by default the same."""
    width = columns() if width is None else width
    if not width:
        return indent + text
    return textwrap.fill(
        text, width, initial_indent=indent, subsequent_indent=indent if hang is None else hang,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
