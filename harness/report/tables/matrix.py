"""Every comparison that decides in one small table: levels by contexts, each with size, interval and verdict."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.claim_words import place_of
from harness.analysis.finding import Finding
from harness.analysis.findings import Findings
from harness.analysis.grouping import grouped
from harness.records import designs
from harness.report.cells import BASELINE, SIZE_HEADERS, UNKNOWN, in_words, place_in_words, verdict_word
from harness.report.table import Table

#: At most this many columns of comparisons, and this many rows.
MOST_COLUMNS, MOST_ROWS = 5, 24


def matrices(findings: Findings) -> list[Table]:
    """A table for each mode and metric that decides; of the effects in an ablation design."""
    plan = findings.plan
    found: Sequence[Finding] = findings.deciding
    if plan.factors:
        found = [effect for effect in findings.effects if effect.kind in designs.CLAIMED[plan.design]]
        metrics = {(one.mode, one.metric) for one in findings.deciding}
        found = [one for one in found if (one.mode, one.metric) in metrics]
    tables = grouped(found, lambda one: (one.mode, one.metric, one.scale))
    return [matrix(those, plan.axis) for those in tables.values()]


def matrix(those: Sequence[Finding], axis: str) -> Table:
    """Comparisons of one mode and metric. Contexts are columns where they are few, and rows otherwise."""
    first = those[0]
    cells = {(place_of(one), one.level): cell(one) for one in those}
    contexts, levels = ([*dict.fromkeys(names)] for names in zip(*cells, strict=True))
    across = len(contexts) <= min(MOST_COLUMNS, len(levels)) or len(levels) > MOST_COLUMNS
    columns, names = (contexts, levels) if across else (levels, contexts)
    shown = columns[:MOST_COLUMNS]
    rows = [
        (name, *(cells.get((column, name) if across else (name, column), UNKNOWN) for column in shown))
        for name in names
    ]
    left_out = [
        f"{len(every) - most} more {what} are in the report."
        for every, most, what in ((columns, MOST_COLUMNS, "columns"), (rows, MOST_ROWS, "rows"))
        if len(every) > most
    ]
    size = SIZE_HEADERS.get(first.scale, "size")
    what = place_in_words(first.mode, in_words(first.metric))
    title = f"{what}: {size} to {BASELINE} {first.baseline}, interval, verdict"
    headers = (axis if across else "context", *shown)
    return Table(title, headers, tuple(rows[:MOST_ROWS]), tuple(left_out))


def cell(finding: Finding) -> str:
    """Size, interval and verdict, in few characters."""
    word = verdict_word(finding)
    if finding.size is None:
        return word
    bounds = ", ".join(map(finding.in_words, finding.interval or ()))
    return " ".join(filter(None, (finding.in_words(finding.size), f"[{bounds}]" if bounds else "", word)))
