"""The kind of measurement `health`: its settings, and its section of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field

from harness.analysis.quantities import KindFindings
from harness.plan.estimates import PROCESS
from harness.plugins.rehearsal import Rehearsal
from harness.records.plan import Block
from harness.records.settings import Settings
from harness.report.cells import UNKNOWN, in_words, section_words
from harness.report.table import Section, Table

WORDS = section_words(
    "One training run of each level under the suite's seed; nothing is timed.",
    ("gradient norm", "of the whole gradient before clipping: median and 99th percentile over steps"),
    ("clipped", "the share of updates that shorten the gradient, and the median share of its length that remains"),
    ("first bad step", "the first step whose loss or gradient is not finite"),
    (
        "other columns",
        "what the model reports about itself, before and after training; of lists, a few values after it",
    ),
)
#: An update clips its gradient if it removes at least this share of its norm.
SHORTER = 1e-4
#: A longer list is shown by this many of its values.
SHOWN = 5


#: One look at a model, as a multiple of a training step; and the assumed seconds of a step that was not rehearsed.
LOOK, DEFAULT_STEP = 5.0, 0.01


class Health(Settings):
    """A short training run inspected in detail: gradients by time lag, gates, clipping. Nothing is timed."""

    steps: int = Field(200, ge=1, description="training steps of the run", examples=[600])
    looks: int = Field(5, ge=1, le=100, description="how often the model is inspected during the run", examples=[10])


def seconds(settings: Health, block: Block, rehearsal: Rehearsal) -> float:
    """Estimates its time: one training run of each level, and a few steps for each look at the model."""
    total = 0.0
    for level in rehearsal.levels.values():
        step = level.training or level.step.get("train", DEFAULT_STEP)
        total += rehearsal.fork + 2 * level.build + PROCESS + (settings.steps + LOOK * (settings.looks + 1)) * step
    return total


def section(found: KindFindings) -> Section | None:
    """A table for each block that was inspected."""
    tables = tuple(table for block in found.plan.blocks if (table := health_table(found, block)))
    return Section("Health", WORDS, tables, why=True) if tables else None


def health_table(found: KindFindings, block: Block) -> Table | None:
    """A row for each level; None where none was inspected."""
    stored = {
        t.trial.level: t.stages["health"][0] for t in found.data.trials if t.block is block and "health" in t.stages
    }
    if not stored:
        return None
    names = list(dict.fromkeys(name for data in stored.values() for name in data["probes"] if name != "lags"))
    rows = [row(level, data, names) for level, data in stored.items()]
    headers = (found.plan.axis, "gradient norm", "clipped", "first bad step", *map(in_words, names))
    steps = max(int(data["steps"]) for data in stored.values())
    notes = f"{steps} steps."
    lags = next((data["probes"]["lags"][0] for data in stored.values() if "lags" in data["probes"]), None)
    if lags:
        shown = ", ".join(f"{lag:g}" for lag in some_of(lags))
        notes += f" Gradients by lag are shown at {shown} steps before the end."
    return Table(f"{block.name}: health", headers, tuple(rows), (notes,))


def row(level: str, data: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    """The cells of a level."""
    first_bad = "never" if data["first_bad"] is None else str(data["first_bad"])
    probes = [probe_cell(data["probes"].get(name)) for name in names]
    return (level, norms_cell(data["before"]), clipped_cell(data["before"], data["after"]), first_bad, *probes)


def norms_cell(norms: Sequence[float | None]) -> str:
    """Median and 99th percentile of the norms; None is a norm that is not finite."""
    finite = [norm for norm in norms if norm is not None]
    return f"{np.median(finite):.3g}, {np.quantile(finite, 0.99):.3g}" if finite else UNKNOWN


def clipped_cell(before: Sequence[float | None], after: Sequence[float | None]) -> str:
    """The share of updates that shorten the gradient, and how much of it remains."""
    pairs = [(b, a) for b, a in zip(before, after, strict=False) if b and a is not None]
    remaining = [a / b for b, a in pairs if a < b * (1 - SHORTER)]
    if not pairs:
        return UNKNOWN
    return f"{len(remaining) / len(pairs):.0%}" + (f", to {np.median(remaining):.0%}" if remaining else "")


def probe_cell(looks: Sequence[Any] | None) -> str:
    """A number before and after training; of a list, some of its values after training."""
    if not looks:
        return UNKNOWN
    if isinstance(looks[-1], list):
        return " ".join(number_text(value, ".2g") for value in some_of(looks[-1]))
    return f"{number_text(looks[0], '.3g')} to {number_text(looks[-1], '.3g')}"


def number_text(value: float | None, form: str) -> str:
    """A number, or a dash where it is not finite."""
    return UNKNOWN if value is None else format(value, form)


def some_of(values: Sequence[Any]) -> list[Any]:
    """At most `SHOWN` of the values, evenly spaced, with the first and the last."""
    if len(values) <= SHOWN:
        return list(values)
    return [values[round(i * (len(values) - 1) / (SHOWN - 1))] for i in range(SHOWN)]
