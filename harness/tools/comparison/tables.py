"""Two compared runs as sections of tables of text."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.grouping import grouped
from harness.analysis.verdicts import Flag, Verdict
from harness.modes import step_note
from harness.report.cells import (
    ANSWERS,
    UNKNOWN,
    amount,
    block_title,
    first_few,
    in_words,
    interval_header,
    milliseconds,
    size_cells,
    verdict_cell,
)
from harness.report.table import Section, Table
from harness.report.tables.quantities import title
from harness.tools.comparison.comparison import RunComparison
from harness.tools.comparison.fields import EVERYTHING, Kind, shortened
from harness.tools.comparison.gate import is_worse
from harness.tools.comparison.pairs import MetricChange
from harness.tools.comparison.times import STEP_TIME

RATIOS = (
    "The ratio of each run is relative to its own baseline, which was timed together with it. B / A above 1: relative "
    "to the baseline, the level takes longer than before. The interval includes the processes of both runs and the "
    "usual spread between runs."
)
TIMES = "Absolute times drift between runs by more than the intervals within a run. They are shown without a verdict."
DECIDED = "Verdicts use the spread of {} earlier comparable runs. B / usual is the ratio to their mean."
SCORES = "Scores of every level, including the baseline. Seeds that both runs have are compared in pairs."


def comparison_sections(comparison: RunComparison) -> list[Section]:
    """What differs, the changes of ratios, scores, amounts and claims, and absolute times."""
    decided = any(change.estimate for change in comparison.times)
    times, head = (DECIDED.format(comparison.earlier_runs), "B / usual") if decided else (TIMES, "B / A")
    sections = [
        Section("Differences between A and B", "", difference_tables(comparison)),
        Section("Ratios to the baseline", RATIOS, change_tables(comparison.ratios, "B / A")),
        Section("Learning", SCORES, change_tables(comparison.scores, "B − A")),
        Section("Memory and cost", "These amounts are exact.", amount_tables(comparison)),
        Section("Claims", "", claim_tables(comparison)),
        Section("Absolute times", times, change_tables(comparison.times, head)),
    ]
    return [section for section in sections if section.tables]


def kinds_in_words(kinds: Sequence[Kind]) -> str:
    """The kinds of numbers that a difference rules out."""
    return "everything" if kinds == EVERYTHING else ", ".join(kinds) or "nothing"


def difference_tables(comparison: RunComparison) -> tuple[Table, ...]:
    """Every field in which the runs differ, and what that rules out."""
    rows = tuple(
        (
            one.name, shortened(one.a), shortened(one.b),
            "nothing: allowed" if one.allowed else kinds_in_words(one.rules_out), ", ".join(first_few(one.places, 3)),
        )
        for one in comparison.differences
    )  # fmt: skip
    return (Table("All fields that differ", ("field", "A", "B", "rules out", "where"), rows),) if rows else ()


def change_tables(changes: Sequence[MetricChange], head: str) -> tuple[Table, ...]:
    """A table for each context, mode and metric."""
    found = []
    for (place, metric), rows in grouped(changes, lambda c: (block_title(c.block, c.mode), c.metric)).items():
        name = place if metric == STEP_TIME else f"{place} · {in_words(metric)}"
        cells = tuple(
            (c.level, number_cell(c, c.a), number_cell(c, c.b), *change_cells(c), verdict_cell(c)) for c in rows
        )
        found.append(
            Table(name, ("level", "A", "B", head, interval_header(0.95), "verdict"), cells, step_note(rows[0].mode))
        )
    return tuple(found)


def number_cell(change: MetricChange, value: float | None) -> str:
    """The number of one run in its unit."""
    if value is None:
        return UNKNOWN
    if change.kind == "times":
        return f"{milliseconds(value)} ms"
    if change.quantity:
        return amount(value, change.quantity.unit)
    if change.kind == "scores" and change.scale == "difference":
        return f"{100 * value:.1f} %"
    return f"{value:.3f}" if change.kind == "ratios" else f"{value:.4g}"


def change_cells(change: MetricChange) -> tuple[str, str]:
    """How much changed, and its interval."""
    if change.size is None and change.kind == "times" and change.a and change.b:
        return f"{change.b / change.a:.3f}", ""
    size, interval = size_cells(change)
    return f"{size} points" if change.scale == "difference" and change.size is not None else size, interval


def amount_tables(comparison: RunComparison) -> tuple[Table, ...]:
    """The amounts that differ or cannot be compared, and the number of those that are the same."""
    changes = comparison.amounts
    rows = tuple(
        (
            c.place, title(c.quantity, c.metric) if c.quantity else c.metric, number_cell(c, c.a), number_cell(c, c.b),
            f"{c.size:.4g}×" if c.size else UNKNOWN,
            verdict_cell(c) + (", beyond the margin" if is_worse(c, comparison.margin) else ""),
        )
        for c in changes if c.verdict != Verdict.SAME
    )  # fmt: skip
    if not changes:
        return ()
    note = f"{len(changes) - len(rows)} of {len(changes)} amounts are the same."
    return (Table("Amounts that differ", ("where", "amount", "A", "B", "B / A", "verdict"), rows, (note,)),)


def claim_tables(comparison: RunComparison) -> tuple[Table, ...]:
    """Every claim with its answers."""
    rows = []
    for claim in comparison.claims:
        remark = f"{Verdict.NOT_COMPARABLE}: {claim.not_comparable}" if claim.not_comparable else ""
        remarks = [each for each in (remark, Flag.OTHER_MACHINE if claim.other_machine else "") if each]
        a, b = (ANSWERS.get(answer, UNKNOWN) for answer in (claim.a, claim.b))
        rows.append((claim.says, a, b, "; ".join(remarks)))
    return (Table("Answers in both runs", ("claim", "A", "B", "remark"), tuple(rows)),) if rows else ()
