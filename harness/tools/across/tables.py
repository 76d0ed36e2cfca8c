"""Two runs compared, and the history of a suite, as sections of tables of text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from harness.analysis.learning import FLAGS as LEARNING_FLAGS
from harness.analysis.resources import unit_of
from harness.analysis.timing import FLAGS as TIMED_FLAGS
from harness.report.table import Section, Table
from harness.report.tables.resources import in_words, title
from harness.tools.across.comparability import shortened
from harness.tools.across.history import Group, History, Series, Shift, Visit
from harness.tools.across.pairs import Change
from harness.tools.across.runs import STEP, Across, is_worse
from harness.tools.across.times import FLAGS

RATIOS = (
    "Each run's ratio is to its own baseline, timed beside it. B / A above 1: the level takes longer than it did, next "
    "to the baseline. The interval is over the processes of both runs, and what runs differ by."
)
TIMES = "Two runs at different times differ in these by more than any interval of one run says: shown, not judged."
JUDGED = "Judged by how much {} earlier runs under the same key differ; B / usual is to their mean."
SCORES = "Of every level, the baseline's too. Seeds that both runs have are compared in pairs."
AMOUNTS = "Exact: no chance is in them."
EFFECTS = {
    (): "told",
    ("times",): "absolute times",
    ("scores",): "scores",
    ("times", "ratios"): "times and ratios",
    ("times", "ratios", "amounts"): "times, ratios, amounts",
    ("times", "ratios", "amounts", "scores"): "all comparison",
}
#: A course is drawn in these.
BARS = "▁▂▃▄▅▆▇█"
#: What a flag of these tables means.
MEANINGS = {
    **TIMED_FLAGS,
    **LEARNING_FLAGS,
    **FLAGS,
    "other seeds": "too few seeds are in both runs, so the runs are compared as two samples",
    "one-of-many": "among so many comparisons one as clear as this may be chance",
}


def comparison_sections(across: Across) -> list[Section]:
    """What differs, what became of ratios, scores, amounts and claims, and absolute times."""
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
    """What the marks in the tables mean."""
    seen = {flag for change in across.changes for flag in change.flags}
    return [f"{flag}: {text}." for flag, text in MEANINGS.items() if flag in seen]


def differences_tables(across: Across) -> list[Table]:
    """Every field in which the runs differ, and what that bars."""
    rows = []
    for one in across.differences:
        bars = "nothing: allowed" if one.allowed else EFFECTS.get(one.field.bars, ", ".join(one.field.bars))
        rows.append((one.name, shortened(one.a), shortened(one.b), bars, places_in_words(one.places)))
    if not rows:
        return []
    return [Table("Every field that differs", ("field", "A", "B", "bars", "where"), tuple(rows))]


def places_in_words(places: Sequence[str], most: int = 3) -> str:
    """The first places, and how many more there are."""
    more = len(places) - most
    return ", ".join(places[:most]) + (f" and {more} more" if more > 0 else "")


def change_tables(changes: Sequence[Change], head: str) -> list[Table]:
    """A table for each context, mode and metric."""
    found = []
    for (context, mode, metric), rows in by_table(changes).items():
        name = f"{context} · {mode}" + ("" if metric == STEP else f" · {metric.replace('_', ' ')}")
        cells = tuple((c.level, *sides_of(c), *sizes_of(c), verdict_of(c)) for c in rows)
        found.append(Table(name, ("level", "A", "B", head, "interval", "verdict"), cells))
    return found


def by_table(changes: Sequence[Change]) -> dict[tuple[str, str, str], list[Change]]:
    """The rows of each table."""
    found: dict[tuple[str, str, str], list[Change]] = {}
    for change in changes:
        key = (" · ".join(change.context.values()) or "all", change.mode, change.metric)
        found.setdefault(key, []).append(change)
    return found


def sides_of(change: Change) -> tuple[str, str]:
    """Both numbers as people read them."""
    return number_of(change, change.a), number_of(change, change.b)


def number_of(change: Change, value: float | None) -> str:
    """One number in its unit."""
    if value is None:
        return "-"
    if change.kind == "times":
        return milliseconds(value)
    if change.kind == "amounts":
        return in_words(value, unit_of(change.metric))
    if change.kind == "scores" and change.scale == "difference":
        return f"{100 * value:.1f} %"
    return f"{value:.3f}" if change.kind == "ratios" else f"{value:.4g}"


def milliseconds(seconds: float) -> str:
    """A time of a step."""
    return f"{1e3 * seconds:.2f} ms"


def sizes_of(change: Change) -> tuple[str, str]:
    """How much changed, and its interval."""
    if change.size is None:
        both = change.kind == "times" and change.a and change.b
        return (f"{change.b / change.a:.3f}" if both and change.a and change.b else "-"), ""
    if change.scale == "ratio":
        words = f"{change.size:.3f}"
        bounds = [f"{bound:.3f}" for bound in change.interval or ()]
    else:
        words = f"{100 * change.size:+.1f} points"
        bounds = [f"{100 * bound:+.1f}" for bound in change.interval or ()]
    return words, " to ".join(bounds)


def verdict_of(change: Change) -> str:
    """The verdict, its reason and its marks."""
    words = f"{change.verdict} ({change.reason})" if change.reason else change.verdict
    return "; ".join([words, *change.flags])


def amount_tables(across: Across) -> list[Table]:
    """The amounts that differ or cannot be compared; of those that are the same, how many there are."""
    rows = [
        (
            c.place, title(c.metric), *sides_of(c), f"{c.size:.4g} times" if c.size else "-",
            verdict_of(c) + (", beyond the margin" if is_worse(c, across.margin) else ""),
        )
        for c in across.amounts
        if c.verdict != "same"
    ]  # fmt: skip
    same = sum(c.verdict == "same" for c in across.amounts)
    if not across.amounts:
        return []
    note = f"{same} of {len(across.amounts)} amounts are the same."
    return [Table("Amounts that differ", ("where", "amount", "A", "B", "B / A", "verdict"), tuple(rows), (note,))]


def claim_tables(across: Across) -> list[Table]:
    """Every claim with its answers."""
    rows = []
    for claim in across.claims:
        change = f"not comparable ({claim.not_comparable})" if claim.not_comparable else claim.change
        rows.append(
            (claim.says, claim.a or "-", claim.b or "-", f"{change}{'; other machine' if claim.marked else ''}")
        )
    return [Table("Their answers", ("claim", "A", "B", "change"), tuple(rows))] if rows else []


def history_sections(history: History, last: int) -> list[Section]:
    """Every group with its runs, and the changes: within groups, and from one to the next."""
    sections = []
    for number, group in enumerate(history.groups, 1):
        title = f"Group {number}: {runs_in_words(len(group.visits))}, {group.visits[0].name} to {group.visits[-1].name}"
        words = "Differs from the group before it: " + "; ".join(group.differs) + "." if group.differs else ""
        tables = [summary_table(group), *run_tables(group, last)]
        sections.append(Section(title, words, tuple(tables)))
    none = "" if history.changes else "None was found. It takes four runs of a group, two on either side."
    sections.append(Section("Changes that came to stay", none, shift_tables(history.changes, "came with")))
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
    return f"{math.sqrt(sum(r * r for r in residuals) / free):.2%}" if free else "-"


def course(values: Sequence[float], most: int = 50) -> str:
    """Numbers as bars from the lowest to the highest; of more than `most` the latest."""
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
    """The baseline's own time, which tells of the machine as much as of the code."""
    context, _, mode = series.where
    times = [visit.seconds.get(where) for where in visit.baselines if (where[0], where[2]) == (context, mode)]
    return milliseconds(times[0]) if times and times[0] is not None else "-"


def cell_of(visit: Visit, series: Sequence[Series], level: str) -> str:
    """A run's ratio with its own interval, and a mark where a change came with it."""
    for one in series:
        if one.level == level and visit in one.visits:
            at = one.visits.index(visit)
            estimate = one.estimates[at]
            low, high = estimate.interval()
            mark = " *" if any(point.position == at for point in one.changes.points) else ""
            return f"{math.exp(estimate.mean):.3f} ({math.exp(low):.3f} to {math.exp(high):.3f}){mark}"
    return "-"


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
    """What a script wants of a history."""

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
