"""What a close look at training showed, as a table of text: gradients, clipping, and what models say of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.records.plan import Block
from harness.records.record import Record
from harness.report.table import Table

WORDS = (
    "One run a level under the suite's seed, looked at closely, with no clock. Norms are of the whole gradient before "
    "clipping, their median and 99th percentile over steps; clipped says in how many updates the gradient came out "
    "shorter than it went in, and to what share of its length, the median of these. Of what models say of themselves "
    "the first value is before training, the last after it."
)
#: From this share of a norm lost on, an update clipped its gradient.
SHORTER = 1e-4
#: A list of more values than this is shown by so many of them.
SHOWN = 5


def health_table(axis: str, block: Block, records: Sequence[Record]) -> Table | None:
    """A row a level; None where nobody was looked at."""
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
    headers = (axis, "gradient norm", "clipped", "first bad step", *(name.replace("_", " ") for name in names))
    steps = max(int(data["steps"]) for data in looked.values())
    lags = next((data["probes"]["lags"][0] for data in looked.values() if "lags" in data["probes"]), None)
    text = [f"{steps} steps."]
    if lags:
        text.append(f"Gradients by lag are at {', '.join(f'{lag:g}' for lag in _some(lags))} steps before the end.")
    return Table(f"{block.name}: health", headers, tuple(rows), (" ".join(text),))


def norms_cell(norms: Sequence[float | None]) -> str:
    """Median and 99th percentile; None is what was no number."""
    finite = [norm for norm in norms if norm is not None]
    return f"{np.median(finite):.3g}, {np.quantile(finite, 0.99):.3g}" if finite else "-"


def clipped_cell(before: Sequence[float | None], after: Sequence[float | None]) -> str:
    """In how many updates the gradient came out shorter, and how much of it was left."""
    pairs = [(b, a) for b, a in zip(before, after, strict=False) if b and a is not None]
    kept = [a / b for b, a in pairs if a < b * (1 - SHORTER)]
    if not pairs:
        return "-"
    return f"{len(kept) / len(pairs):.0%}" + (f", to {np.median(kept):.0%}" if kept else "")


def probe_cell(looks: Sequence[Any] | None) -> str:
    """The first and the last look: of a number its values, of a list some of its values at the last."""
    if not looks:
        return "-"
    if isinstance(looks[-1], list):
        return " ".join(_number(value, ".2g") for value in _some(looks[-1]))
    return f"{_number(looks[0], '.3g')} to {_number(looks[-1], '.3g')}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _some(values: Sequence[Any]) -> list[Any]:
    """At most `SHOWN` of the values, evenly, the first and the last among them."""
    if len(values) <= SHOWN:
        return list(values)
    return [values[round(i * (len(values) - 1) / (SHOWN - 1))] for i in range(SHOWN)]
