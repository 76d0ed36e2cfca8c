"""The findings as CSV files: full precision, one row a fact."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

from harness.report.report import Report
from harness.report.rows import Rows, findings_in_rows

#: Text that a spreadsheet would take for a formula: a sign before anything but words and numbers is one.
FORMULA = re.compile(r"[=@\t\r]|[+-](?![\w .,%+-]*$)")
#: Written of every run, also where there is nothing in them.
ALWAYS = ("comparisons", "numbers", "resources", "claims")


def write(report: Report, folder: Path) -> list[Path]:
    """Write tables/comparisons.csv, tables/numbers.csv, tables/resources.csv and tables/claims.csv; of an
    ablation design tables/effects.csv, of what was learned tables/learning.csv, and of exponents tables/growth.csv."""
    folder = folder / "tables"
    folder.mkdir(exist_ok=True)
    return [
        _write(folder / f"{table.name}.csv", table, report.findings.plan.axis)
        for table in findings_in_rows(report.findings)
        if table.rows or table.name in ALWAYS
    ]


def _write(path: Path, table: Rows, axis: str) -> Path:
    """The column of levels is called as the axis is that is compared, and its baseline is not said in every row."""
    columns = [column for column in table.columns if column != "baseline"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([_cell(axis) if column == "level" else column for column in columns])
        writer.writerows([_cell(row[column]) for column in columns] for row in table.rows)
    return path


def _cell(value: Any) -> Any:
    """A value as the file has it; what would be a formula is made text by an apostrophe before it."""
    if value is None:
        return ""
    if isinstance(value, str) and FORMULA.match(value):
        return f"'{value}"
    return " ".join(f"{each:.6g}" for each in value) if isinstance(value, list) else value
