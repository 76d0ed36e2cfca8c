"""What changes along axes of numbers, as tables of text: break-evens, and exponents of growth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.analysis.break_even import BreakEven, RatioCurve, RatioCurves
from harness.analysis.findings import Findings
from harness.analysis.grouping import FEWEST, grouped
from harness.analysis.growth import Growth
from harness.analysis.stats import Estimate
from harness.modes import step_note
from harness.report.cells import UNKNOWN, few_digits, in_words, place_in_words, section_words
from harness.report.table import Section, Table


def break_evens(findings: Findings) -> Section:
    """Where ratios cross 1."""
    words = section_words(
        "Where a level becomes faster or slower than the baseline: the ratio crosses 1 between two contexts.",
        ("break-even", "where straight lines between the logs of ratios cross 1"),
        ("range", "where the intervals, connected in the same way, include 1; open if they do at the last context"),
        ("is faster", "on which side of the break-even the level is faster than the baseline"),
    )
    return Section("Break-even", words, break_even_tables(findings.break_evens, findings.plan.axis))


def break_even_tables(found: Sequence[RatioCurves], axis: str) -> tuple[Table, ...]:
    """A table for each number and mode by which some level breaks even."""
    tables = []
    for (what, mode), those in grouped(found, lambda one: (one.what, one.mode)).items():
        curves = [(one, curve) for one in those for curve in one.curves]
        if not any(curve.crossings for _, curve in curves):
            continue
        name = in_words(what)
        rows = tuple(row for one, curve in curves for row in _break_even_rows(one, curve))
        headers = (*those[0].rest, axis, f"break-even {name}", "range", "is faster")
        often = [
            place_in_words(*one.rest.values(), curve.level) for one, curve in curves if len(curve.crossings) > 1
        ]  # fmt: skip
        note = f"More than one break-even: {', '.join(often)}. {name.capitalize()} alone does not say what is faster."
        notes = (*step_note(mode), *((note,) if often else ()))
        tables.append(Table(f"{mode}: break-even along {name}", headers, rows, notes))
    return tuple(tables)


def _break_even_rows(found: RatioCurves, curve: RatioCurve) -> Iterator[tuple[str, ...]]:
    """A row for each break-even of a level, or one that says there is none."""
    start, show = (*found.rest.values(), curve.level), number_format(found)
    for one in curve.crossings:
        yield (*start, show(one.at), range_in_words(one, show), one.faster)
    if not curve.crossings:
        verdicts = dict.fromkeys(point.verdict for point in curve.points)
        yield (*start, "none", "", f"{' or '.join(verdicts)} in all {len(curve.points)} contexts")


def number_format(found: RatioCurves) -> Callable[[float], str]:
    """How the numbers of some curves are written."""
    return found.metric.show if found.metric else few_digits


def range_in_words(one: BreakEven, show: Callable[[float], str]) -> str:
    """The range of a break-even; an end that the data do not reach is left open."""
    if one.low is None:
        return f"up to {show(one.high or 0.0)}"
    return f"from {show(one.low)}" if one.high is None else f"{show(one.low)} to {show(one.high)}"


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
    return tuple(_growth_table(found, axis) for found in tables.values())


def _growth_table(growth: Sequence[Growth], compared: str) -> Table:
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
        (*step_note(first.mode), *notes),
    )


def exponent_cell(exponent: Estimate) -> str:
    """An exponent with its interval."""
    # Adding 0 removes the sign of a zero.
    mean, low, high = (f"{round(value, 2) + 0.0:.2f}" for value in (exponent.mean, *exponent.interval()))
    return f"{mean} ({low} to {high})"
