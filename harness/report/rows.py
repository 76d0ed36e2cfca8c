"""The findings as rows of plain values for `harness.Result`, and the CSV and JSON files of them.

docs/tables.md describes the columns and the fields."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from harness.analysis.findings import Findings
from harness.analysis.grouping import axes_of
from harness.analysis.samples import Samples
from harness.modes import WORDS
from harness.records.plan import LEARNING
from harness.records.record import Record
from harness.report.formats import saved
from harness.report.report import Report

Row = dict[str, Any]
#: Where the value of a column comes from: an attribute of the finding, or a function of it.
Source = str | Callable[[Any], Any]

#: Text that a spreadsheet would take for a formula.
FORMULA = re.compile(r"[=@\t\r]|[+-](?![\w .,%+-]*$)")
#: Written for every run, even if empty.
ALWAYS = ("comparisons", "numbers", "resources", "claims")
#: Raised when a field of `to_json` changes its meaning or goes; not when one is added.
FORMAT = 2


def _flags(one: Any) -> str:
    return " ".join(flag.replace(" ", "-") for flag in one.flags)


_VERDICT: dict[str, Source] = {"verdict": "verdict", "reason": "reason", "flags": _flags}
#: The columns of each table after those of the context, which has a column for each axis that is not compared. `level`
#: is the level of the compared axis, `baseline` the one that it is compared with.
COLUMNS: dict[str, dict[str, Source]] = {
    "comparisons": {
        "mode": "mode", "level": "level", "baseline": "baseline", "metric": "metric", "ratio": "size", "low": "low",
        "high": "high", "confidence": "confidence", "p_adjusted": "adjusted", "processes": lambda c: len(c.values),
        **_VERDICT, "clock": "clock", "cpu_share": "cpu_share", "ratio_of_means": "ratio_of_means",
        "ratio_of_p10": "ratio_of_fast", "log_ratio_of_each_process": "values",
    },
    "numbers": {"mode": "mode", "level": "level", "metric": "metric", "value": "value"},
    "resources": {
        "mode": "mode", "level": "level", "quantity": "metric", "value": "value", "unit": "quantity.unit",
        "ratio": "ratio", "verdict": "verdict", "each_process": "values",
    },
    "claims": {"claim": "claim.says", "answer": "answer", "expected": "expected", "reason": "reason"},
    "effects": {
        "mode": "mode", "metric": "metric", "estimand": "kind", "factors": "level", "scale": "scale", "effect": "size",
        "low": "low", "high": "high", "confidence": "confidence", "p_adjusted": "adjusted",
        "replicates": lambda e: len(e.values), **_VERDICT, "contrast_of_each_replicate": "values",
    },
    "learning": {
        "level": "level", "baseline": "baseline", "score": "metric", "scale": "scale", "size": "size", "low": "low",
        "high": "high", "p_sign_flip": "sign_flip", "p_adjusted": "adjusted", "seeds": lambda c: len(c.seeds),
        **_VERDICT, "each_seed": "seeds", "baseline_of_each": "baseline_values", "level_of_each": "values",
    },
    "growth": {
        "along": "axis", "mode": "mode", "level": "level", "quantity": "quantity", "contexts": "fitted",
        "exponent": "exponent.mean", "low": lambda g: g.exponent.interval()[0],
        "high": lambda g: g.exponent.interval()[1], "difference": "size", "difference_low": "low",
        "difference_high": "high",
    },
    "samples": {
        name: name for name in (
            "mode", "level", "role", "process", "sample", "round", "position", "batch", "step_time", "wall", "cpu"
        )
    },
    "curves": {name: name for name in ("level", "seed", "step", "score", "value")},
}  # fmt: skip


def _numbers(findings: Findings) -> Iterator[SimpleNamespace]:
    contexts = {block.id: block.context for block in findings.plan.blocks}
    for (block, level, mode, metric), value in findings.numbers.items():
        yield SimpleNamespace(context=contexts[block], mode=mode, level=level, metric=metric, value=value)


#: Where each table that is made of findings gets them.
_FINDINGS: dict[str, Callable[[Findings], Iterable[Any]]] = {
    "comparisons": lambda findings: findings.comparisons,
    "numbers": _numbers,
    "resources": lambda findings: findings.quantities,
    "claims": lambda findings: findings.claims,
    "effects": lambda findings: findings.effects,
    "learning": lambda findings: findings.learning.comparisons,
    "growth": lambda findings: findings.growth,
}


@dataclass(frozen=True)
class Rows:
    """A table: its name, the names of its columns, and for each row a value of each column. Iterating over it gives the
    rows."""

    name: str
    columns: tuple[str, ...]
    rows: list[Row]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def findings_in_rows(findings: Findings) -> list[Rows]:
    """Every table that is made of findings."""
    return [rows_of(name, findings) for name in _FINDINGS]


def rows_of(name: str, findings: Findings, records: Iterable[Record] = ()) -> Rows:
    """One table by its name; "samples" and "curves" are made of the records."""
    if name == "samples":
        return _samples(findings, records)
    if name == "curves":
        return _curves(findings, records)
    getters = [attrgetter(source) if isinstance(source, str) else source for source in COLUMNS[name].values()]
    found = ((getattr(one, "context", {}), [get(one) for get in getters]) for one in _FINDINGS[name](findings))
    return _rows(name, findings, found)


def _samples(findings: Findings, records: Iterable[Record]) -> Rows:
    """Every sample of the clock, in seconds per step: the time that decides, both clocks, and the wall time of each
    phase, which is None where a mode does not have the phase."""
    blocks = {block.id: block for block in findings.plan.blocks}
    timed = [r for r in records if r.measure.startswith("speed.") and r.outcome == "ok" and r.block in blocks]
    phases = list(dict.fromkeys(phase for record in timed for phase in record.data["phases"]))
    found: list[tuple[Mapping[str, str], Sequence[Any]]] = []
    for record in timed:
        block = blocks[record.block]
        samples = Samples.from_record(record.data, findings.timed(block, record.mode).clock)
        columns = (
            samples.round, record.data["position"], samples.batch, samples.seconds, samples.wall, samples.cpu_seconds,
            *(samples.phases.get(phase, np.full(len(samples.wall), None)) for phase in phases),
        )  # fmt: skip
        place = (record.mode, record.level, record.role, record.replicate)
        found += [(block.context, (*place, number, *row)) for number, row in enumerate(zip(*columns, strict=True))]
    return _rows("samples", findings, found, [f"{phase}_time" for phase in phases])


def _curves(findings: Findings, records: Iterable[Record]) -> Rows:
    """Every score on the test examples of every training run, at each step where it was evaluated."""
    blocks = {block.id: block for block in findings.plan.blocks}
    found = [
        (blocks[record.block].context, (record.level, record.data["seed"], step, score, value))
        for record in records
        if record.measure == LEARNING and record.outcome in ("ok", "diverged") and record.block in blocks
        for score, values in record.data["scores"].items()
        for step, value in zip(record.data["evaluated"], values, strict=False)
    ]
    return _rows("curves", findings, found)


def _rows(
    name: str, findings: Findings, found: Iterable[tuple[Mapping[str, str], Sequence[Any]]], more: Sequence[str] = ()
) -> Rows:
    """Contexts and values as rows. A claim may be about several contexts, so its table has none."""
    fixed = (*COLUMNS[name], *more)
    axes = [] if name == "claims" else sorted(axes_of(findings.plan.blocks))
    # An axis may have any name; one that a column has already gets a prefix.
    columns = (*(f"axis_{axis}" if axis in fixed else axis for axis in axes), *fixed)
    rows = [
        dict(zip(columns, (*(context.get(axis) for axis in axes), *map(_plain, values)), strict=True))
        for context, values in found
    ]
    return Rows(name, columns, rows)


def _plain(value: Any) -> Any:
    """Numbers and words as Python has them, several of them as a list."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, str):
        return str(value)
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def to_json(report: Report) -> dict[str, Any]:
    """The report as JSON values. Tables are lists of rows with the columns of the CSV files."""
    findings = report.findings
    return {
        "format": FORMAT,
        "run": report.run,
        "question": report.question,
        "axis": findings.plan.axis,
        "modes": {
            mode: words for mode, words in WORDS.items() if any(mode in b.measures.modes for b in findings.plan.blocks)
        },
        "answer": report.answer,
        "summary": list(report.summary),
        "first_look": report.first_look,
        **{table.name: table.rows for table in findings_in_rows(findings)},
        "warnings": list(report.warnings),
        "failures": list(report.failures),
        "skipped": list(report.skipped),
        "problems": list(report.problems),
        "floor": findings.floor,
        "smallest_visible": findings.smallest_visible(),
    }


def write_json(report: Report, folder: Path) -> list[Path]:
    """Write report.json into the run's folder."""
    return saved(folder / "report.json", json_text(to_json(report)) + "\n")


def json_text(data: Mapping[str, Any]) -> str:
    """Values as JSON text that every parser reads. Numbers that are not finite become null."""
    return json.dumps(_finite(data), indent=1, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_csv(report: Report, folder: Path) -> list[Path]:
    """Write tables/NAME.csv for each table of findings: comparisons, numbers, resources and claims always, the others
    where they have rows."""
    folder = folder / "tables"
    folder.mkdir(exist_ok=True)
    return [
        _write_table(folder / f"{table.name}.csv", table, report.findings.plan.axis)
        for table in findings_in_rows(report.findings)
        if table.rows or table.name in ALWAYS
    ]


def _write_table(path: Path, table: Rows, axis: str) -> Path:
    """The column of levels has the name of the compared axis; the baseline is left out."""
    columns = [column for column in table.columns if column != "baseline"]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_cell(axis) if column == "level" else column for column in columns])
    writer.writerows([_cell(row[column]) for column in columns] for row in table.rows)
    (written,) = saved(path, text.getvalue())
    return written


def _cell(value: Any) -> Any:
    """A value as the file has it; an apostrophe makes a formula text."""
    if value is None:
        return ""
    if isinstance(value, str) and FORMULA.match(value):
        return f"'{value}"
    return " ".join(f"{each:.6g}" for each in value) if isinstance(value, list) else value
