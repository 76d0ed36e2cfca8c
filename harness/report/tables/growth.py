"""TODO."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.growth import FEWEST, GROWN, Growth
from harness.analysis.stats import Estimate
from harness.report.table import Table

WORDS = (
    "Exponents b where a quantity is taken to grow as the level's b-th power (1 is linear, 2 quadratic), by least "
    "squares on logarithms, with 95 % intervals (t, two degrees of freedom fewer than contexts)."
)


def growth_tables(growth: Sequence[Growth], axis: str) -> tuple[Table, ...]:
    """A table for each group of contexts and mode: the exponents of each level of the compared axis."""
    tables: dict[tuple[str, str, str], list[Growth]] = {}
    for one in growth:
        tables.setdefault((one.block.id, one.axis, one.mode), []).append(one)
    return tuple(_table(found, axis) for found in tables.values())


def _table(growth: Sequence[Growth], compared: str) -> Table:
    first = growth[0]
    cells = {(one.level, one.quantity): in_words(one.exponent) for one in growth}
    levels = dict.fromkeys([trial.level for trial in first.block.trials] + [one.level for one in growth])
    quantities = [quantity for quantity in GROWN if any(one.quantity == quantity for one in growth)]
    notes = [f"{first.contexts} contexts, up to {first.axis} {first.block.context[first.axis]}."]
    if first.contexts == FEWEST:
        notes[0] += " With one degree of freedom, t is 12.7."
    for one in growth:
        if one.fitted < one.contexts:
            notes.append(f"{one.level}: {GROWN[one.quantity]} is known in {one.fitted} of them.")
    return Table(
        f"{' · '.join(first.context.values()) or 'all'} · {first.mode}: growth along {first.axis}",
        (compared, *(GROWN[quantity] for quantity in quantities)),
        tuple((level, *(cells.get((level, quantity), "-") for quantity in quantities)) for level in levels),
        tuple(notes),
    )


def in_words(exponent: Estimate) -> str:
    """An exponent with its interval."""
    # Adding 0 takes the sign off a zero.
    mean, low, high = (f"{round(value, 2) + 0.0:.2f}" for value in (exponent.mean, *exponent.interval()))
    return f"{mean} ({low} to {high})"
