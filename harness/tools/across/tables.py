"""Two runs compared, and the history of a suite, as sections of tables of text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from harness.analysis.grouping import grouped
from harness.analysis.verdicts import Flag, Verdict
from harness.report.cells import UNKNOWN, amount, in_words, milliseconds, size_cells, some, verdict_cell
from harness.report.report import flag_lines
from harness.report.table import Section, Table
from harness.report.tables.quantities import title
from harness.tools.across.comparability import shortened
from harness.tools.across.history import Group, History, Series, Shift, Visit
from harness.tools.across.pairs import Change
from harness.tools.across.runs import STEP, Across, is_worse

RATIOS = (
    "The ratio of each run is to its own baseline, timed beside it. B / A above 1: relative to the baseline, the level "
    "takes longer than before. The interval includes the processes of both runs and the usual spread between runs."
)
TIMES = "Absolute times drift between runs by more than the intervals within a run. They are shown without a verdict."
JUDGED = "Judged by the spread of {} earlier runs under the same key; B / usual is the ratio to their mean."
SCORES = "Scores of every level, including the baseline. Seeds that both runs have are compared in pairs."
AMOUNTS = "These amounts are exact."
EFFECTS = {
    (): "nothing",
    ("times",): "absolute times",
    ("scores",): "scores",
    ("times", "ratios"): "times and ratios",
    ("times", "ratios", "amounts"): "times, ratios, amounts",
    ("times", "ratios", "amounts", "scores"): "all comparison",
}
#: The bars of a course.
BARS = "▁▂▃▄▅▆▇█"


def comparison_sections(across: Across) -> list[Section]:
    """What differs, the changes of ratios, scores, amounts and claims, and absolute times."""
    judged = any(change.estimate for change in across.times)
    sections = [
        Section("What differs between A and B", "", tuple(differences_tables(across))),
        Section("Ratios to the baseline", RATIOS, tuple(change_tables(across.ratios, "B / A"))),
        Section("Learning", SCORES, tuple(change_tables(across.scores, "B − A"))),
        Section("Memory and cost", AMOUNTS, tuple(amount_tables(across))),
        Section("Claims", "", tuple(claim_tables(across))),
        Section(
            "Absolute times",
            JUDGED.format(across.past_runs) if judged else TIMES,
            tuple(change_tables(across.times, "B / usual" if judged else "B / A")),
        ),
    ]
    return [section for section in sections if section.tables]


def flags_of(across: Across) -> list[str]:
    """The flags in the tables, with their meanings."""
    return list(flag_lines({flag for change in across.changes for flag in change.flags}))


def differences_tables(across: Across) -> list[Table]:
    """Every field in which the runs differ, and what that rules out."""
    rows = []
    for one in across.differences:
        bars = "nothing: allowed" if one.allowed else EFFECTS.get(one.field.bars, ", ".join(one.field.bars))
        rows.append((one.name, shortened(one.a), shortened(one.b), bars, ", ".join(some(one.places, 3))))
    if not rows:
        return []
    return [Table("Every field that differs", ("field", "A", "B", "bars", "where"), tuple(rows))]


def change_tables(changes: Sequence[Change], head: str) -> list[Table]:
    """A table for each context, mode and metric."""
    found = []
    for (context, mode, metric), rows in grouped(changes, lambda c: (c.block.name, c.mode, c.metric)).items():
        name = f"{context} · {mode}" + ("" if metric == STEP else f" · {in_words(metric)}")
        cells = tuple((c.level, *sides_of(c), *sizes_of(c), verdict_cell(c)) for c in rows)
        found.append(Table(name, ("level", "A", "B", head, "interval", "verdict"), cells))
    return found


def sides_of(change: Change) -> tuple[str, str]:
    """Both numbers as people read them."""
    return number_of(change, change.a), number_of(change, change.b)


def number_of(change: Change, value: float | None) -> str:
    """One number in its unit."""
    if value is None:
        return UNKNOWN
    if change.kind == "times":
        return f"{milliseconds(value)} ms"
    if change.quantity:
        return amount(value, change.quantity.unit)
    if change.kind == "scores" and change.scale == "difference":
        return f"{100 * value:.1f} %"
    return f"{value:.3f}" if change.kind == "ratios" else f"{value:.4g}"


def sizes_of(change: Change) -> tuple[str, str]:
    """How much changed, and its interval."""
    if change.size is None and change.kind == "times" and change.a and change.b:
        return f"{change.b / change.a:.3f}", ""
    size, interval = size_cells(change)
    return f"{size} points" if change.scale == "difference" and change.size is not None else size, interval


def amount_tables(across: Across) -> list[Table]:
    """The amounts that differ or cannot be compared, and the number of those that are the same."""
    rows = [
        (
            c.place, title(c.quantity, c.metric) if c.quantity else c.metric, *sides_of(c),
            f"{c.size:.4g}×" if c.size else UNKNOWN,
            verdict_cell(c) + (", beyond the margin" if is_worse(c, across.margin) else ""),
        )
        for c in across.amounts
        if c.verdict != Verdict.SAME
    ]  # fmt: skip
    same = sum(c.verdict == Verdict.SAME for c in across.amounts)
    if not across.amounts:
        return []
    note = f"{same} of {len(across.amounts)} amounts are the same."
    return [Table("Amounts that differ", ("where", "amount", "A", "B", "B / A", "verdict"), tuple(rows), (note,))]


def claim_tables(across: Across) -> list[Table]:
    """Every claim with its answers."""
    rows = []
    for claim in across.claims:
        change = f"{Verdict.NOT_COMPARABLE}: {claim.not_comparable}" if claim.not_comparable else claim.change
        change += f"; {Flag.OTHER_MACHINE}" if claim.marked else ""
        rows.append((claim.says, claim.a or UNKNOWN, claim.b or UNKNOWN, change))
    return [Table("Their answers", ("claim", "A", "B", "change"), tuple(rows))] if rows else []


def history_sections(history: History, last: int) -> list[Section]:
    """Every group with its runs, and the changes: within groups, and from one to the next."""
    sections = []
    for number, group in enumerate(history.groups, 1):
        title = f"Group {number}: {runs_in_words(len(group.visits))}, {group.visits[0].name} to {group.visits[-1].name}"
        words = "Differs from the group before it: " + "; ".join(group.differs) + "." if group.differs else ""
        tables = [summary_table(group), *run_tables(group, last)]
        sections.append(Section(title, words, tuple(tables)))
    none = "" if history.changes else (
        "None found. Detecting one needs at least four comparable runs, two before and two after it."
    )  # fmt: skip
    sections.append(Section("Lasting changes", none, shift_tables(history.changes, "came with")))
    if history.between:
        sections.append(
            Section("From group to group", "", shift_tables(history.between, "groups differ in")),
        )
    return sections


def runs_in_words(count: int) -> str:
    """How many."""
    return f"{count} run{'' if count == 1 else 's'}"


def summary_table(group: Group) -> Table:
    """Each series in one row, however many runs it has."""
    rows = []
    for series in group.series:
        now = series.changes.segments[-1]
        half = 1.96 * now.error
        means = [estimate.mean for estimate in series.estimates]
        rows.append(
            (
                series.place, series.level, str(len(means)), f"{math.exp(now.mean):.3f}",
                f"{math.exp(now.mean - half):.3f} to {math.exp(now.mean + half):.3f}",
                spread_in_words(series), course(means), str(len(series.changes.points)),
            )
        )  # fmt: skip
    headers = ("where", "level", "runs", "ratio now", "95 % interval", "runs scatter by", "course", "changes")
    return Table("All of its runs", headers, tuple(rows))


def spread_in_words(series: Series) -> str:
    """The standard deviation of runs around the mean of their stretch."""
    residuals, free = [], 0
    for segment in series.changes.segments:
        residuals += [e.mean - segment.mean for e in series.estimates[segment.start : segment.stop]]
        free += segment.stop - segment.start - 1
    return f"{math.sqrt(sum(r * r for r in residuals) / free):.2%}" if free else UNKNOWN


def course(values: Sequence[float], most: int = 50) -> str:
    """The latest numbers, at most `most`, as bars from the lowest to the highest."""
    shown = list(values)[-most:]
    low, high = min(shown), max(shown)
    if high - low < 1e-12:
        return BARS[0] * len(shown)
    return "".join(BARS[min(len(BARS) - 1, int(len(BARS) * (value - low) / (high - low)))] for value in shown)


def run_tables(group: Group, last: int) -> list[Table]:
    """The latest runs of a group, a column for each level, a table for each context and mode."""
    places = dict.fromkeys(series.place for series in group.series)
    found = []
    for place in places:
        series = [one for one in group.series if one.place == place]
        levels = list(dict.fromkeys(one.level for one in series))
        visits = [visit for visit in group.visits if any(visit in one.visits for one in series)]
        rows = [
            (
                visit.name,
                visit.commit,
                baseline_cell(visit, series[0]),
                *(cell_of(visit, series, level) for level in levels),
            )
            for visit in visits[-last:]
        ]
        more = len(visits) - len(rows)
        notes = (f"Earlier, and not shown here: {runs_in_words(more)}. Show more with --last N.",) if more else ()
        found.append(Table(place, ("run", "commit", "baseline's step", *levels), tuple(rows), notes))
    return found


def baseline_cell(visit: Visit, series: Series) -> str:
    """The baseline's own time, which depends on the machine as much as on the code."""
    context, _, mode = series.where
    times = [visit.seconds.get(where) for where in visit.baselines if (where[0], where[2]) == (context, mode)]
    return f"{milliseconds(times[0])} ms" if times and times[0] is not None else UNKNOWN


def cell_of(visit: Visit, series: Sequence[Series], level: str) -> str:
    """A run's ratio with its own interval, and a * where a change begins with it."""
    for one in series:
        if one.level == level and visit in one.visits:
            at = one.visits.index(visit)
            estimate = one.estimates[at]
            low, high = estimate.interval()
            mark = " *" if any(point.position == at for point in one.changes.points) else ""
            return f"{math.exp(estimate.mean):.3f} ({math.exp(low):.3f} to {math.exp(high):.3f}){mark}"
    return UNKNOWN


def shift_tables(shifts: Sequence[Shift], head: str) -> tuple[Table, ...]:
    """One row a change."""
    rows = []
    for shift in shifts:
        low, high = shift.interval
        rows.append(
            (
                shift.place, shift.level, f"{shift.last} to {shift.first}", f"{shift.before:.3f} to {shift.after:.3f}",
                f"{math.exp(shift.size.mean):.3f} ({low:.3f} to {high:.3f})", "; ".join([shift.verdict, *shift.flags]),
                shortened("; ".join(shift.came_with), 160),
            )
        )  # fmt: skip
    headers = ("where", "level", "between runs", "ratio", "after / before", "verdict", head)
    return (Table("Ratios that changed", headers, tuple(rows)),) if rows else ()


def history_to_json(history: History) -> Mapping[str, object]:
    """A history as JSON values."""

    def place(where: tuple[tuple[tuple[str, str], ...], str, str]) -> dict[str, object]:
        return {"context": dict(where[0]), "level": where[1], "mode": where[2]}

    def shift(one: Shift) -> dict[str, object]:
        return {
            "place": one.place, "level": one.level, "last": one.last, "first": one.first, "before": one.before,
            "after": one.after, "ratio": math.exp(one.size.mean), "interval": list(one.interval),
            "verdict": one.verdict, "came_with": list(one.came_with), "flags": list(one.flags),
        }  # fmt: skip

    return {
        "suite": history.suite,
        "groups": [
            {
                "key": dict(group.visits[0].key),
                "differs": list(group.differs),
                "runs": [
                    {"run": visit.name, "at": visit.at, "commit": (visit.facts.get("git") or {}).get("commit")}
                    for visit in group.visits
                ],
                "series": [
                    {
                        **place(series.where),
                        "runs": [visit.name for visit in series.visits],
                        "ratios": [math.exp(e.mean) for e in series.estimates],
                        "intervals": [[math.exp(bound) for bound in e.interval()] for e in series.estimates],
                        "seconds": [visit.seconds.get(series.where) for visit in series.visits],
                        "changes_at": [series.visits[point.position].name for point in series.changes.points],
                        "p_adjusted": series.adjusted,
                    }
                    for series in group.series
                ],
            }
            for group in history.groups
        ],
        "changes": [shift(one) for one in history.changes],
        "between_groups": [shift(one) for one in history.between],
        "left_out": [{"run": visit.name, "because": visit.left_out} for visit in history.left_out],
        "problems": list(history.problems),
    }  # fmt: skip
