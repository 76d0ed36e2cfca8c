"""TODO."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.analysis.break_even import Along, BreakEven, Line
from harness.report.table import Table

WORDS = (
    "Where the ratio crosses 1 between two contexts, by straight lines through the logs of the ratios. The range is "
    "where the intervals, drawn through in the same way, hold 1; it is open where they still do at the last context."
)


def break_even_tables(alongs: Sequence[Along], axis: str) -> tuple[Table, ...]:
    """A table for each number and mode by which some level breaks even: where, in which range, and where it pays."""
    groups: dict[tuple[str, str], list[Along]] = {}
    for along in alongs:
        groups.setdefault((along.what, along.mode), []).append(along)
    tables = []
    for (what, mode), those in groups.items():
        if not any(line.crossings for along in those for line in along.lines):
            continue
        name = what.replace("_", " ")
        rows = [row for along in those for line in along.lines for row in _rows(along, line)]
        headers = (*those[0].rest, axis, name, "range", "faster")
        often = [
            " · ".join([*along.rest.values(), line.level])
            for along in those
            for line in along.lines
            if len(line.crossings) > 1
        ]
        notes = (
            (f"More than once: {', '.join(often)}. There {name} alone does not tell where it pays.",) if often else ()
        )
        tables.append(Table(f"{mode}: break-even along {name}", headers, tuple(rows), notes))
    return tuple(tables)


def _rows(along: Along, line: Line) -> Iterator[tuple[str, ...]]:
    """A row for each break-even of a level, or one that says there is none."""
    start = (*along.rest.values(), line.level)
    for one in line.crossings:
        yield (*start, along.show(one.at), range_in_words(one, along.show), one.faster)
    if not line.crossings:
        verdicts = dict.fromkeys(point.verdict for point in line.points)
        where = f"{' or '.join(verdicts)} in all {len(line.points)} contexts"
        yield (*start, "none", "", where)


def range_in_words(one: BreakEven, show: Callable[[float], str]) -> str:
    """The range of a break-even, with the ends that the data do not reach left open."""
    if one.low is None:
        return f"up to {show(one.high or 0.0)}"
    return f"from {show(one.low)}" if one.high is None else f"{show(one.low)} to {show(one.high)}"
