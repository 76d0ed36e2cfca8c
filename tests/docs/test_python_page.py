"""docs/python.md lists every table with all its columns."""

from __future__ import annotations

import re
from pathlib import Path

from harness.report.rows import COLUMNS

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text()


def test_every_column_is_listed():
    rows = re.search(r"\| table \| columns \|\n.*?\n(\|.*?)\n\n", PAGE, re.DOTALL)[1].splitlines()
    described = {}
    for row in rows:
        _, name, columns, _ = row.split("|")
        listed = columns.partition(", and ")[0]
        described[name.strip(" `")] = tuple(re.findall(r"`(\w+)`", listed))
    assert described == {name: tuple(columns) for name, columns in COLUMNS.items()}
