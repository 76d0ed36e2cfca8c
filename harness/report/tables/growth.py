"""Exponents of growth as tables of text."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.findings import Findings
from harness.analysis.grouping import FEWEST, grouped
from harness.analysis.growth import Growth
from harness.analysis.stats import Estimate
from harness.report.cells import UNKNOWN, place_in_words
from harness.report.table import Section, Table


def exponents(findings: Findings) -> Section:
    """How quantities grow along axes of numbers."""
    words = (
        "A quantity is taken to grow as the level to the power b (1 is linear, 2 quadratic). The exponent b is fitted "
        "by least squares on logarithms, with a 95 % interval (t; degrees of freedom: number of contexts less two)."
    )
    return Section("Growth", words, growth_tables(findings.growth, findings.plan.axis), why=True)


def growth_tables(growth: Sequence[Growth], axis: str) -> tuple[Table, ...]:
    """A table for each group of contexts and mode: the exponents of each level of the compared axis."""
    tables = grouped(growth, lambda one: (one.block.id, one.axis, one.mode))
    return tuple(_table(found, axis) for found in tables.values())


def _table(growth: Sequence[Growth], compared: str) -> Table:
    first = growth[0]
    cells = {(one.level, one.quantity): exponent_cell(one.exponent) for one in growth}
    levels = dict.fromkeys([trial.level for trial in first.block.trials] + [one.level for one in growth])
    titles = {one.quantity: one.title for one in growth}
    notes = [f"{first.contexts} contexts, up to {first.axis} {first.block.context[first.axis]}."]
    if first.contexts == FEWEST:
        notes[0] += " With one degree of freedom, t is 12.7."
    for one in growth:
        if one.fitted < one.contexts:
            notes.append(f"{one.level}: {one.title} is known in {one.fitted} of them.")
    return Table(
        f"{place_in_words(*first.context.values())} · {first.mode}: growth along {first.axis}",
        (compared, *titles.values()),
        tuple((level, *(cells.get((level, quantity), UNKNOWN) for quantity in titles)) for level in levels),
        tuple(notes),
    )


def exponent_cell(exponent: Estimate) -> str:
    """An exponent with its interval."""
    # Adding 0 removes the sign of a zero.
    mean, low, high = (f"{round(value, 2) + 0.0:.2f}" for value in (exponent.mean, *exponent.interval()))
    return f"{mean} ({low} to {high})"
