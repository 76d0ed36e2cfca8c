"""Profiles and explanations as tables of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.analysis.explain import Explanation, Row, largest, short
from harness.analysis.findings import Findings
from harness.analysis.profile_warnings import in_words, told_by
from harness.analysis.profiles import NOWHERE, Profiled, event_cost
from harness.records.plan import Block
from harness.report.table import Table

WORDS = (
    "The work set under the profiler, after the clock. Each phase's time is the clock's, shared out as the profile has "
    "it, less what the profiler takes itself; so the rows sum to the measured difference. Between operators is Python, "
    "and in the backward pass the autograd engine."
)
#: An explanation's table has at least so many rows, and more until the rest together is less than this share of the
#: difference; at most so many.
LEAST_ROWS, REST, MOST_ROWS = 10, 0.08, 40
#: A report shows the rows of so many explanations, of the largest differences.
MOST_EXPLAINED = 20
#: How many operators a trial's own table shows.
TOP = 10


def why_tables(findings: Findings) -> tuple[tuple[Table, ...], tuple[Table, ...]]:
    """What the profiles of a run say: how each trial was computed and what its difference comes from; and in detail
    the largest differences, operator by operator, and what takes most in each trial."""
    axis, cost = findings.plan.axis, event_cost(findings.profiles)
    blocks = {block.id: block for block in findings.plan.blocks}
    explained = findings.explained
    tables, details = [], []
    for (block_id, mode), group in findings.profiles.items():
        block = blocks[block_id]
        here = [one for one in explained if (one.block.id, one.mode) == (block_id, mode)]
        tables.append(fingerprint_table(block, mode, group, axis, [one.sentence for one in here]))
        for one in group:
            details += [operators_table(block, one, cost), *([kernels_table(block, one)] if one.kernel_times else [])]
    return tuple(tables), (*map(explanation_table, largest(explained, MOST_EXPLAINED)), *details)


def fingerprint_table(
    block: Block, mode: str, group: Sequence[Profiled], axis: str, sentences: Sequence[str] = ()
) -> Table:
    """Which way each trial went, how many operators it called, page faults and subnormal numbers; under it why each
    takes the time that it takes, and the flags."""
    amounts = [name for name in group[0].counts if all(one.counts.get(name) for one in group)]
    # Of all that is counted, what there is least of: steps that follow on one another, where they are counted.
    fewest = min(amounts, key=lambda name: group[0].counts[name], default="")
    per = f"launches / {fewest.replace('_', ' ').removesuffix('s')}" if fewest else ""
    rows = tuple(
        (
            one.level,
            ", ".join(one.ways),
            f"{sum(one.merged.values()):,.0f}",
            f"{one.launches:,.0f}",
            *([f"{one.launches / one.counts[fewest]:,.1f}"] if fewest else []),
            f"{one.fingerprint['page_faults']:,.0f}",
            "-" if one.fingerprint["subnormal"] is None else f"{one.fingerprint['subnormal']:.1%}",
        )
        for one in group
    )
    headers = (axis, "way", "operator calls a step", "launches", *([per] if per else []), "page faults", "subnormal")
    device = group[0].device
    meant = "kernels on the device" if device == "cuda" else "calls of operators that call no other"
    flags = "; ".join(f"{name} {in_words(value)}" for name, value in told_by(group[0]).items())
    notes = (*sentences, f"Launches: {meant}. Of {group[0].level}: {flags}.")
    return Table(f"{block.name} · {mode}: how it was computed, and why", headers, rows, notes)


def explanation_table(one: Explanation, most: int = MOST_ROWS, *, all_of_them: bool = False) -> Table:
    """The rows of an explanation that matter, at most so many, or exactly so many; the rest in one, and the sum."""
    shown = one.rows[: most if all_of_them else least_rows(one, most)]
    rest = one.rows[len(shown) :]
    cells = [_cells(one, row.phase, short(row.operator), row) for row in shown]
    if rest:
        cells.append(_cells(one, "", f"{len(rest)} others", _sum(rest)))
    cells.append(_cells(one, "", "sum", _sum(one.rows)))
    inside = sum(row.difference for row in shown) / one.difference if one.difference else 1.0
    a, b = one.a.level, one.b.level
    headers = ("phase", "operator", f"{a}, ms", f"{b}, ms", "difference", "share", f"calls, {a}", f"calls, {b}")
    return Table(f"{one.block.name} · {one.mode}: {b} against {a}", headers, tuple(cells), tuple(_notes(one, inside)))


def least_rows(one: Explanation, most: int) -> int:
    """How many rows it takes until the rest no longer matters."""
    left = one.difference
    for number, row in enumerate(one.rows[:most], 1):
        left -= row.difference
        if number >= min(LEAST_ROWS, most) and abs(left) <= REST * abs(one.difference):
            return number
    return most


def _sum(rows: Sequence[Row]) -> Row:
    first, second = (sum(row.seconds[i] for row in rows) for i in (0, 1))
    return Row("", "", (first, second), (sum(row.calls[0] for row in rows), sum(row.calls[1] for row in rows)))


def _cells(one: Explanation, phase: str, name: str, row: Row) -> tuple[str, ...]:
    share = f"{row.difference / one.difference:.0%}" if one.difference else "-"
    calls = ("", "") if row.operator == NOWHERE and phase else tuple(f"{count:,.0f}" for count in row.calls)
    return phase, name, *(f"{s * 1e3:.3f}" for s in row.seconds), f"{row.difference * 1e3:+.3f}", share, *calls


def _notes(one: Explanation, inside: float) -> list[str]:
    found = one.plain_difference
    notes = [
        one.sentence,
        f"The rows named here make {inside:.0%} of the difference; of all of it, {one.in_operators:.0%} lies in "
        f"operators and {1 - one.in_operators:.0%} between them.",
        f"The plain steps beside the profiled ones differed by {found * 1e3:+.2f} ms.",
    ]
    if one.a.device != "cuda":
        notes.append(f"The profiler takes {one.cost * 1e9:.0f} ns for each operator, which is taken off.")
    return notes


def in_json(one: Explanation) -> dict[str, Any]:
    """An explanation as JSON values, in seconds and calls a step."""
    return {
        "context": dict(one.block.context),
        "mode": one.mode,
        "a": one.a.level,
        "b": one.b.level,
        "because": one.sentence,
        "ratio": one.ratio,
        "interval": list(one.interval) if one.interval else None,
        "confidence": one.confidence,
        "processes": one.processes,
        "seconds": list(one.seconds),
        "difference": one.difference,
        "difference_beside_the_profiler": one.plain_difference,
        "share_in_operators": one.in_operators,
        "profiler_seconds_per_operator": one.cost,
        "rows": [
            {
                "phase": row.phase,
                "operator": row.operator or None,
                "seconds": list(row.seconds),
                "difference": row.difference,
                "calls": list(row.calls),
            }
            for row in one.rows
        ],
        "ways": {each.level: list(each.ways) for each in (one.a, one.b)},
        "fingerprints": {each.level: dict(each.fingerprint) for each in (one.a, one.b)},
    }


def operators_table(block: Block, one: Profiled, cost: float) -> Table:
    """The operators of one trial that take most, over all phases, and where its trace is."""
    times = one.on_device if one.device == "cuda" else one.seconds(cost)
    total = sum(times.values()) or 1.0
    best = sorted(times.items(), key=lambda item: -item[1])[:TOP]
    rows = tuple(
        (
            phase,
            short(name),
            f"{seconds / total:.0%}",
            f"{seconds * 1e3:.3f}",
            f"{one.calls.get((phase, name), 0):,.0f}",
        )
        for (phase, name), seconds in best
    )
    rest = f"{len(times) - len(best)} others take the other {1 - sum(s for _, s in best) / total:.0%}."
    note = f"{rest} Trace: traces/{one.trace}"
    headers = ("phase", "operator", "share", "ms a step", "calls a step")
    return Table(f"{block.name} · {one.mode} · {one.level}: operators", headers, rows, (note,))


def kernels_table(block: Block, one: Profiled) -> Table:
    """The kernels of one trial that take most on its device."""
    total = sum(seconds for _, seconds in one.kernel_times.values()) or 1.0
    best = sorted(one.kernel_times.items(), key=lambda item: -item[1][1])[:TOP]
    rows = tuple(
        (phase, name, f"{seconds / total:.0%}", f"{seconds * 1e3:.3f}", f"{calls:,.0f}")
        for (phase, name), (calls, seconds) in best
    )
    note = f"{one.launches:,.0f} kernels a step, {total * 1e3:.3f} ms on the device together."
    headers = ("phase", "kernel", "share", "ms a step", "launches a step")
    return Table(f"{block.name} · {one.mode} · {one.level}: kernels", headers, rows, (note,))
