"""The stored findings of the reference runs; `python tests/reference_findings.py` computes and stores them.

Regenerate only when a statistical method changes on purpose, or when a reference run is measured again, and say so in
CHANGELOG.md. Never regenerate to make a failing test pass after a refactoring: the stored numbers are the check that a
refactoring changed none of them. Sentences (reasons) are not stored, since they may be reworded.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from harness.analysis.findings import find
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.records.store import Store
from harness.report.rows import findings_in_rows
from harness.report.tables.explain import in_json

ROOT = Path(__file__).resolve().parent.parent
RUNS = ROOT / "results" / "reference"
STORED = Path(__file__).parent / "data" / "reference_findings.json.gz"
#: Columns of sentences.
SENTENCES = ("reason", "because")


def reference_runs() -> list[Path]:
    """The folders of the reference runs; none in a source distribution."""
    return sorted(plan.parent for plan in RUNS.glob("*/plan.json"))


def stored() -> dict[str, dict[str, Any]]:
    """The stored findings by the name of the run."""
    found: dict[str, dict[str, Any]] = json.loads(gzip.decompress(STORED.read_bytes()))
    return found


def found_in(run: Path, catalog: Catalog) -> dict[str, Any]:
    """The findings of a run as JSON values: each table by its columns, and the values that no table contains."""
    store = Store.open(run)
    findings = find(store.plan(), store.records(), catalog)
    found: dict[str, Any] = {table.name: _by_column(table.rows) for table in findings_in_rows(findings)}
    found |= {
        "floor": findings.floor,
        "null_biased": findings.null_biased,
        "smallest_visible": findings.smallest_visible(),
        "break_even": [
            {
                "what": curves.what, "rest": dict(curves.rest), "mode": curves.mode, "level": curve.level, "at": one.at,
                "low": one.low, "high": one.high, "faster": one.faster,
            }
            for curves in findings.break_evens
            for curve in curves.curves
            for one in curve.crossings
        ],
        "explained": [
            {name: value for name, value in in_json(one).items() if name not in SENTENCES}
            for one in findings.explained
        ],
    }  # fmt: skip
    values: dict[str, Any] = json.loads(json.dumps(found))  # tuples become lists, as in the stored file
    return values


def _by_column(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = [name for name in (rows[0] if rows else ()) if name not in SENTENCES]
    return {name: [row[name] for row in rows] for name in names}


def write(findings: dict[str, dict[str, Any]]) -> None:
    """Stores the findings. The same findings give the same bytes."""
    text = json.dumps(findings, ensure_ascii=False, separators=(",", ":"))
    STORED.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    write({run.name: found_in(run, Catalog(load_plugins())) for run in reference_runs()})
