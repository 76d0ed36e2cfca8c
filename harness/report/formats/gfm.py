"""Text and tables in the Markdown that GitHub reads."""

from __future__ import annotations

import re
from collections.abc import Callable

from tabulate import tabulate

from harness.plugins.isolation import one_line
from harness.report.table import Table

#: What Markdown, or GitHub's mathematics, would read as more than a character.
SPECIAL = re.compile(r"([\\`*_{}\[\]#~|])")


def escape(text: str) -> str:
    """Text that shows as it is, on one line."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    text = SPECIAL.sub(r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    return text.replace("$", "<span>$</span>")


def cell(text: str) -> str:
    """Text that neither breaks its table nor starts a tag, and is otherwise as it was written."""
    return one_line(text).replace("|", "\\|").replace("<", "&lt;")


def table(
    one: Table, heading: str = "####", text: Callable[[str], str] = escape, note: Callable[[str], str] = escape
) -> list[str]:
    """A table under its own heading; `text` is done to its title and cells, `note` to its notes."""
    rows = [[text(each) for each in row] for row in one.rows]
    grid = tabulate(rows, [text(each) for each in one.headers], tablefmt="github", disable_numparse=True)
    return [f"{heading} {text(one.title)}", "", grid, "", *(line for each in one.notes for line in (note(each), ""))]
