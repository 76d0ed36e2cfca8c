"""All runs of a suite in order: the ratio of each level over time, and lasting changes of it. Needs no plugins."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.analysis import stats
from harness.analysis.controls import biased_twice, controls_of, measured_of
from harness.analysis.profiles import computed_with, profiles_of
from harness.analysis.stats import Estimate
from harness.analysis.timing import looks_of
from harness.analysis.verdicts import Flag, Verdict
from harness.errors import UserError
from harness.records.plan import Plan, digest
from harness.records.record import Record
from harness.records.store import Store, runs_of
from harness.tools.across.change_points import ChangePoint, Changes, Segment, find_changes
from harness.tools.across.comparability import changed, in_words, place_key, run_key, told_of
from harness.tools.across.times import MANY, Past, Where, assumed_spread, decide, where_of

#: The cause of a change with which nothing recorded has changed.
NOTHING = "nothing that is recorded changed"


@dataclass(frozen=True)
class Observation:
    """The ratio of one level in one context, mode and run. `key` must agree with that of others, beside the run's key;
    `told` is what else is known."""

    estimate: Estimate
    key: str
    told: Mapping[str, str]
    margin: float


@dataclass(frozen=True)
class Visit:
    """One run of a suite. `at` is when its first record was taken, `key` what it shares with its group, in words.
    `points` are its ratios, `seconds` the step times of every level, and `keys` what these must agree in, in addition
    to the run's key. `left_out` says why the run is not used."""

    name: str
    at: str
    facts: Mapping[str, Any]
    key: Mapping[str, str]
    points: Mapping[Where, Observation] = field(default_factory=dict)
    seconds: Mapping[Where, float] = field(default_factory=dict)
    keys: Mapping[Where, str] = field(default_factory=dict)
    baselines: tuple[Where, ...] = ()
    left_out: str = ""
    folder: Path | None = None

    @property
    def commit(self) -> str:
        """The first digits of the commit, with a + where there were uncommitted changes."""
        git = self.facts.get("git") or {}
        return f"{git['commit'][:8]}{'+' if git.get('dirty') else ''}" if git.get("commit") else "-"


@dataclass(frozen=True)
class Series:
    """The ratios of one level under one key, in order, and the changes among them. `adjusted` is the p value of the
    clearest change among all series of the history (Holm)."""

    where: Where
    visits: tuple[Visit, ...]
    estimates: tuple[Estimate, ...]
    changes: Changes
    margin: float
    adjusted: float = 1.0

    @property
    def place(self) -> str:
        """Context and mode in words."""
        context, _, mode = self.where
        return " · ".join([*(level for _, level in context), mode]) if context else f"all · {mode}"

    @property
    def level(self) -> str:
        """Of which level."""
        return self.where[1]


@dataclass(frozen=True)
class Group:
    """Runs under the same key, and their series. `differs` is the difference to the group before it."""

    visits: tuple[Visit, ...]
    series: tuple[Series, ...]
    differs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shift:
    """A change of a level's ratio: within a group from one run to the next, or from one group to another. `size` is of
    the log ratio; `came_with` is what changed at the same time, in words."""

    place: str
    level: str
    last: str
    first: str
    before: float
    after: float
    size: Estimate
    verdict: Verdict
    came_with: tuple[str, ...]
    flags: tuple[Flag, ...] = ()

    @property
    def interval(self) -> tuple[float, float]:
        """Of the ratio of after to before, 95 %."""
        low, high = self.size.interval()
        return math.exp(low), math.exp(high)


@dataclass(frozen=True)
class History:
    """The history of a suite."""

    suite: str
    groups: tuple[Group, ...]
    changes: tuple[Shift, ...]
    between: tuple[Shift, ...]
    left_out: tuple[Visit, ...] = ()
    problems: tuple[str, ...] = ()


def read_history(results: Path, suite: str) -> History:
    """All runs of a suite under a folder. One that cannot be read is among the problems."""
    visits, problems = read_visits(runs_of(results, suite))
    return history_of(suite, visits, problems)


def read_visits(folders: Iterable[Path]) -> tuple[list[Visit], list[str]]:
    """Runs from their folders, and the errors of those that cannot be read."""
    visits, problems = [], []
    for folder in folders:
        try:
            store = Store.open(folder)
            visits.append(visit_of(folder.name, store.machine(), store.plan(), store.records(), folder))
        except (UserError, KeyError, TypeError) as error:  # the last two: a plan of another version
            problems.append(str(error) if isinstance(error, UserError) else f"{folder}: cannot be read: {error!r}")
    return visits, problems


def visit_of(
    name: str, facts: Mapping[str, Any], plan: Plan, records: Sequence[Record], folder: Path | None = None
) -> Visit:
    """What one run says, without verdicts."""
    at = min((record.at for record in records if record.at), default="") or name
    visit = Visit(name, at, facts, run_key(facts, plan), folder=folder)
    measured = measured_of(plan.blocks, records)
    if not measured:
        return replace(visit, left_out="no times are planned")
    if any(one.settings.quick for one in measured):
        return replace(visit, left_out="a first look")
    if biased_twice(plan, records, controls_of(measured)):
        return replace(visit, left_out="the baseline differs from itself")
    profiles = profiles_of(plan, records)
    points, seconds, keys = {}, {}, {}
    for one in measured:
        for trial in one.block.trials:
            if trial.level in one.broken:
                continue
            where = where_of(one.block.context, trial.level, one.mode)
            if (time := one.typical(trial.level)) is not None:
                seconds[where], keys[where] = time, digest(place_key(one.block, trial.level))
            values = [] if trial is one.block.baseline else one.log_ratios(trial.level, "variant")
            if len(values) >= looks_of(one.block)[0]:
                told = told_of(facts, plan, one.block, trial.level)
                for level in dict.fromkeys((one.block.baseline.level, trial.level)):
                    shown = computed_with(profiles, one.block.id, level).items()
                    told |= {f"{level} · kernel_path: {name}": in_words(value) for name, value in shown}
                points[where] = Observation(stats.estimate(values), keys[where], told, one.settings.margin)
    baselines = tuple(where_of(one.block.context, one.block.baseline.level, one.mode) for one in measured)
    left_out = "" if points else "too little was timed"
    return replace(visit, points=points, seconds=seconds, keys=keys, baselines=baselines, left_out=left_out)


def history_of(suite: str, visits: Sequence[Visit], problems: Sequence[str] = ()) -> History:
    """The history of these runs."""
    used = sorted((visit for visit in visits if not visit.left_out), key=lambda visit: (visit.at, visit.name))
    by_key: dict[str, list[Visit]] = {}
    for visit in used:
        by_key.setdefault(digest(visit.key), []).append(visit)
    groups: list[Group] = []
    for members in by_key.values():
        differs = changed(groups[-1].visits[-1].key, members[0].key) if groups else ()
        groups.append(Group(tuple(members), tuple(series_of(members)), tuple(differs)))
    every = [series for group in groups for series in group.series]
    adjusted = iter(stats.holm_adjusted([series.changes.p for series in every]))
    groups = [
        replace(group, series=tuple(replace(series, adjusted=next(adjusted)) for series in group.series))
        for group in groups
    ]
    changes = [shift for group in groups for series in group.series for shift in changes_in(series)]
    between = [shift for i in range(1, len(groups)) for shift in shifts_between(groups[i - 1], groups[i])]
    left_out = tuple(visit for visit in visits if visit.left_out)
    return History(suite, tuple(groups), tuple(changes), tuple(between), left_out, tuple(problems))


def series_of(visits: Sequence[Visit]) -> list[Series]:
    """The series that runs of one group make, one for each level and key."""
    found: dict[tuple[Where, str], list[Visit]] = {}
    for visit in visits:
        for where, point in visit.points.items():
            found.setdefault((where, point.key), []).append(visit)
    return [series_at(where, members) for (where, _), members in found.items()]


def series_at(where: Where, visits: Sequence[Visit]) -> Series:
    """One series with its changes. The variance of each ratio is its own, and at least the mean of the series (five
    processes may agree by chance), plus the one between runs."""
    points = [visit.points[where] for visit in visits]
    estimates = [point.estimate for point in points]
    own = np.array([estimate.error**2 for estimate in estimates])
    means = np.array([estimate.mean for estimate in estimates])
    between = assumed_spread(float(np.median(means))).sd ** 2
    changes = find_changes(means.tolist(), (np.maximum(own, own.mean()) + between).tolist())
    return Series(where, tuple(visits), tuple(estimates), changes, points[-1].margin)


def changes_in(series: Series) -> list[Shift]:
    """The changes of a series, with what changed from the run before to the run after."""
    flags = (Flag.ONE_OF_MANY,) if series.adjusted > 0.05 else ()
    found = []
    for point in series.changes.points:
        last, first = series.visits[point.position - 1], series.visits[point.position]
        came_with = changed(last.points[series.where].told, first.points[series.where].told)
        size = size_of(point, len(series.visits))
        verdict, _ = decide(size, series.margin, stats.FLOOR, 0.05)
        found.append(
            Shift(
                series.place, series.level, last.name, first.name, math.exp(point.before), math.exp(point.after), size,
                verdict, tuple(came_with) or (NOTHING,), flags,
            )
        )  # fmt: skip
    return found


def size_of(point: ChangePoint, runs: int) -> Estimate:
    """The size of a change. Since its place was chosen, the size is slightly overestimated, most for small changes."""
    return Estimate(point.size, math.hypot(point.error_before, point.error_after), max(1, runs - 2), runs)


def shifts_between(before: Group, after: Group) -> list[Shift]:
    """How ratios differ from one group to the next: the last stretch of the first against the first of the second."""
    found = []
    for series in after.series:
        at = series.visits[0].points[series.where].key
        earlier = [
            other for other in before.series
            if other.where == series.where and other.visits[-1].points[other.where].key == at
        ]  # fmt: skip
        if earlier:
            found.append(shift_between(earlier[-1], series, after.differs))
    return found


def shift_between(before: Series, after: Series, differs: Sequence[str]) -> Shift:
    """The same for one level. The assumed spread between runs is added once more for how the machine changed between
    the groups, which no number of runs averages out."""
    last, first = before.changes.segments[-1], after.changes.segments[0]
    k = runs_in(before, last) + runs_in(after, first)
    df = sum(e.df for series, s in ((before, last), (after, first)) for e in series.estimates[s.start : s.stop])
    error = math.hypot(last.error, first.error, assumed_spread(last.mean).sd)
    size = Estimate(first.mean - last.mean, error, min(MANY, df), k)
    verdict, _ = decide(size, after.margin, stats.FLOOR, 0.05)
    return Shift(
        after.place, after.level, before.visits[-1].name, after.visits[0].name, math.exp(last.mean),
        math.exp(first.mean), size, verdict, tuple(differs),
    )  # fmt: skip


def runs_in(series: Series, segment: Segment) -> int:
    """How many runs a stretch has."""
    return len(series.visits[segment.start : segment.stop])


def past_of(visits: Sequence[Visit], reference: Visit, before: Visit) -> tuple[Past, int]:
    """The runs under the key of `reference` that are older than `before`, and their number."""
    under = [
        visit for visit in sorted(visits, key=lambda visit: (visit.at, visit.name))
        if not visit.left_out and visit.key == reference.key and visit.at < before.at and visit.folder != before.folder
    ]  # fmt: skip
    ratios: dict[Where, list[Estimate]] = {}
    seconds: dict[Where, list[float]] = {}
    for visit in under:
        for where, time in visit.seconds.items():
            if visit.keys[where] == reference.keys.get(where):
                seconds.setdefault(where, []).append(time)
                if where in visit.points:
                    ratios.setdefault(where, []).append(visit.points[where].estimate)
    return Past(ratios, seconds), len(under)
