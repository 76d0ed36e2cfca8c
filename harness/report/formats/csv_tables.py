"""The findings as CSV files: full precision, one row per finding."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

from harness.report.report import Report
from harness.report.rows import Rows, findings_in_rows

#: Text that a spreadsheet would take for a formula.
FORMULA = re.compile(r"[=@\t\r]|[+-](?![\w .,%+-]*$)")
#: Written for every run, even if empty.
ALWAYS = ("comparisons", "numbers", "resources", "claims")


def write(report: Report, folder: Path) -> list[Path]:
    """Write tables/NAME.csv for each table of findings: comparisons, numbers, resources and claims always, the others
    where they have rows."""
    folder = folder / "tables"
    folder.mkdir(exist_ok=True)
    return [
        _write(folder / f"{table.name}.csv", table, report.findings.plan.axis)
        for table in findings_in_rows(report.findings)
        if table.rows or table.name in ALWAYS
    ]


def _write(path: Path, table: Rows, axis: str) -> Path:
    """The column of levels has the name of the compared axis; the baseline is left out."""
    columns = [column for column in table.columns if column != "baseline"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([_cell(axis) if column == "level" else column for column in columns])
        writer.writerows([_cell(row[column]) for column in columns] for row in table.rows)
    return path


def _cell(value: Any) -> Any:
    """A value as the file has it; an apostrophe makes a formula text."""
    if value is None:
        return ""
    if isinstance(value, str) and FORMULA.match(value):
        return f"'{value}"
    return " ".join(f"{each:.6g}" for each in value) if isinstance(value, list) else value
