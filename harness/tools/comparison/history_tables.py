"""The history of a suite as sections of tables of text, and as JSON values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from harness.analysis.grouping import grouped
from harness.analysis.stats import Estimate
from harness.cli.options import plural
from harness.modes import step_note
from harness.report.cells import UNKNOWN, block_title, interval_header, milliseconds, size_cells, verdict_cell
from harness.report.table import Section, Table
from harness.tools.comparison.comparison import plain
from harness.tools.comparison.fields import shortened
from harness.tools.comparison.history import Group, History, RatioChange, Series
from harness.tools.comparison.times import NORMAL_DF

#: The characters of a sparkline.
SPARKS = "▁▂▃▄▅▆▇█"
BETWEEN_RUNS = (
    "Between runs: the 95 % interval of the ratio now, from all runs since the last change and from how much runs of "
    "the same code differ. The interval of a single run is below. Scatter: the standard deviation of the runs."
)
NO_CHANGE = (
    "None found. Detecting one needs at least four comparable runs, two before and two after it. With fewer than eight "
    "runs, only large changes can be distinguished from runs that resemble the runs before them."
)


def history_sections(history: History, last: int) -> list[Section]:
    """Every group with its runs, and the changes: within groups, and from one to the next."""
    sections = []
    for number, group in enumerate(history.groups, 1):
        title = f"Group {number}: {plural(len(group.runs), 'run')}, {group.runs[0].name} to {group.runs[-1].name}"
        words = "Differs from the group before it: " + "; ".join(group.differs) + "." if group.differs else ""
        sections.append(Section(title, words, (summary_table(group), *run_tables(group, last))))
    none = "" if history.changes else NO_CHANGE
    sections.append(Section("Lasting changes", none, change_tables(history.changes, "changed at the same time")))
    if history.between:
        sections.append(Section("Changes between groups", "", change_tables(history.between, "groups differ in")))
    return sections


def summary_table(group: Group) -> Table:
    """One row for each series."""
    rows = []
    for series in group.series:
        ratio, interval = between_runs(series)
        course = sparkline([estimate.mean for estimate in series.estimates])
        cells = (series.place, series.last.level, str(len(series.runs)), ratio, interval, scatter_cell(series), course)
        rows.append(cells)
    headers = ("where", "level", "runs", "now", "between runs", "scatter", "course")
    return Table("Ratio to the baseline in all runs of the group", headers, tuple(rows), (BETWEEN_RUNS,))


def between_runs(series: Series) -> tuple[str, str]:
    """The ratio since the last change and its interval; a single run shows no interval between runs."""
    now = series.changes.segments[-1]
    count = now.stop - now.start
    low, high = map(math.exp, Estimate(now.mean, now.error, NORMAL_DF, count).interval())
    return f"{math.exp(now.mean):.3f}", f"{low:.3f} to {high:.3f}" if count > 1 else UNKNOWN


def scatter_cell(series: Series) -> str:
    """The standard deviation of runs around the mean of their segment."""
    segments, means = series.changes.segments, [estimate.mean for estimate in series.estimates]
    squares = sum((mean - each.mean) ** 2 for each in segments for mean in means[each.start : each.stop])
    df = len(means) - len(segments)
    return f"{math.sqrt(squares / df):.2%}" if df else UNKNOWN


def sparkline(values: Sequence[float], most: int = 50) -> str:
    """The latest numbers, at most `most`, as bars from the lowest to the highest."""
    shown = list(values)[-most:]
    low, high = min(shown), max(shown)
    if high - low < 1e-12:
        return SPARKS[0] * len(shown)
    return "".join(SPARKS[min(len(SPARKS) - 1, int(len(SPARKS) * (value - low) / (high - low)))] for value in shown)


def run_tables(group: Group, last: int) -> list[Table]:
    """The latest runs of each series of a group, with the ratio and the interval of the run's report; a table for each
    context and mode. A * marks a change."""
    found = []
    for place, its_series in grouped(group.series, lambda series: series.place).items():
        rows, hidden = [], 0
        for series in its_series:
            hidden = max(hidden, len(series.runs) - last)
            changes = {point.position for point in series.changes.points}
            for at, (run, one) in list(enumerate(zip(series.runs, series.observations, strict=True)))[-last:]:
                ratio, interval = size_cells(one)
                baseline = UNKNOWN if one.baseline_time is None else f"{milliseconds(one.baseline_time)} ms"
                rows.append((one.level, run.name, f"{ratio}{' *' * (at in changes)}", interval, baseline, run.commit))
        more = (f"{plural(hidden, 'earlier run')} not shown. Show more with --last N.",) if hidden > 0 else ()
        notes = (*step_note(its_series[0].last.mode), *more)
        headers = ("level", "run", "ratio", interval_header(0.95), "baseline", "commit")
        found.append(Table(place, headers, tuple(rows), notes))
    return found


def change_tables(changes: Sequence[RatioChange], head: str) -> tuple[Table, ...]:
    """One row for each change."""
    rows = tuple(
        (
            block_title(change.block, change.mode), change.level, f"{change.last} to {change.first}",
            f"{change.before:.3f} to {change.after:.3f}", *size_cells(change), verdict_cell(change),
            shortened("; ".join(change.also_changed), 160),
        )
        for change in changes
    )  # fmt: skip
    headers = ("where", "level", "between runs", "ratio", "after / before", interval_header(0.95), "verdict", head)
    return (Table("Ratios that changed", headers, rows),) if rows else ()


def to_json(history: History) -> dict[str, Any]:
    """A history as JSON values."""
    of_change = ("context", "mode", "level", "last", "first", "before", "after", "interval", "verdict", "flags")
    changes, between = (
        [{**plain(one, *of_change), "ratio": one.size, "also_changed": one.also_changed} for one in those]
        for those in (history.changes, history.between)
    )
    return {
        "suite": history.suite,
        "groups": [
            {
                "key": dict(group.runs[0].key),
                "differs": group.differs,
                "runs": [
                    {"run": run.name, "at": run.at, "commit": (run.facts.get("git") or {}).get("commit")}
                    for run in group.runs
                ],
                "series": [series_to_json(series) for series in group.series],
            }
            for group in history.groups
        ],
        "changes": changes,
        "between_groups": between,
        "left_out": [{"run": run.name, "because": run.left_out} for run in history.left_out],
        "problems": history.problems,
    }


def series_to_json(series: Series) -> dict[str, Any]:
    """A series as JSON values."""
    return {
        **plain(series.last, "context", "level", "mode"),
        "runs": [run.name for run in series.runs],
        "ratios": [one.size for one in series.observations],
        "intervals": [one.interval for one in series.observations],
        "seconds": [run.seconds.get(series.coordinates) for run in series.runs],
        "changes_at": [series.runs[point.position].name for point in series.changes.points],
        "p_adjusted": series.adjusted,
    }
