"""Gradients, clipping and what models report during training, as a table of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.analysis.findings import Findings
from harness.records.plan import Block, Record
from harness.report.cells import UNKNOWN, in_words
from harness.report.table import Section, Table, present

WORDS = (
    "One training run per level under the suite's seed, without a clock. Norms are of the whole gradient before "
    "clipping: the median and the 99th percentile over steps. Clipped is the share of updates that shortened the "
    "gradient, and the median of what was left of its length. Values that models report are before and after training."
)
#: An update that takes more than this share off the norm clipped its gradient.
SHORTER = 1e-4
#: Of a longer list, this many values are shown.
SHOWN = 5


def health(findings: Findings) -> Section:
    """What training runs showed under close observation."""
    tables = (health_table(findings.plan.axis, block, findings.health) for block in findings.plan.blocks)
    return Section("Health", WORDS, present(tables), why=True)


def health_table(axis: str, block: Block, records: Sequence[Record]) -> Table | None:
    """A row per level; None where no training was observed."""
    looked = {r.level: r.data for r in records if (r.block, r.measure, r.outcome) == (block.id, "health", "ok")}
    if not looked:
        return None
    names = list(dict.fromkeys(name for data in looked.values() for name in data["probes"] if name != "lags"))
    rows = []
    for trial in block.trials:
        data = looked.get(trial.level)
        if data is None:
            continue
        cells = [trial.level, norms_cell(data["before"]), clipped_cell(data["before"], data["after"])]
        cells.append("never" if data["first_bad"] is None else str(data["first_bad"]))
        cells += [probe_cell(data["probes"].get(name)) for name in names]
        rows.append(tuple(cells))
    headers = (axis, "gradient norm", "clipped", "first bad step", *map(in_words, names))
    steps = max(int(data["steps"]) for data in looked.values())
    lags = next((data["probes"]["lags"][0] for data in looked.values() if "lags" in data["probes"]), None)
    text = [f"{steps} steps."]
    if lags:
        text.append(f"Gradients by lag are at {', '.join(f'{lag:g}' for lag in _some(lags))} steps before the end.")
    return Table(f"{block.name}: health", headers, tuple(rows), (" ".join(text),))


def norms_cell(norms: Sequence[float | None]) -> str:
    """Median and 99th percentile; None stands for a value that is no number."""
    finite = [norm for norm in norms if norm is not None]
    return f"{np.median(finite):.3g}, {np.quantile(finite, 0.99):.3g}" if finite else UNKNOWN


def clipped_cell(before: Sequence[float | None], after: Sequence[float | None]) -> str:
    """The share of updates that shortened the gradient, and the median of what was left of it."""
    pairs = [(b, a) for b, a in zip(before, after, strict=False) if b and a is not None]
    kept = [a / b for b, a in pairs if a < b * (1 - SHORTER)]
    if not pairs:
        return UNKNOWN
    return f"{len(kept) / len(pairs):.0%}" + (f", to {np.median(kept):.0%}" if kept else "")


def probe_cell(looks: Sequence[Any] | None) -> str:
    """The first and the last value of a number; of a list, some of its values at the end."""
    if not looks:
        return UNKNOWN
    if isinstance(looks[-1], list):
        return " ".join(_number(value, ".2g") for value in _some(looks[-1]))
    return f"{_number(looks[0], '.3g')} to {_number(looks[-1], '.3g')}"


def _number(value: float | None, form: str) -> str:
    return UNKNOWN if value is None else format(value, form)


def _some(values: Sequence[Any]) -> list[Any]:
    """At most `SHOWN` of the values, evenly, the first and the last among them."""
    if len(values) <= SHOWN:
        return list(values)
    return [values[round(i * (len(values) - 1) / (SHOWN - 1))] for i in range(SHOWN)]
