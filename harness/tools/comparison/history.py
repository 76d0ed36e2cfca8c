"""All runs of a suite in order: the ratio of each level over time, and its lasting changes. Needs no plugins."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from harness.analysis import stats
from harness.analysis.finding import Finding
from harness.analysis.grouping import grouped
from harness.analysis.profiles import computed_with, profiles_of
from harness.analysis.samples import step_time
from harness.analysis.stats import Estimate
from harness.analysis.time_verdicts import looks_of
from harness.analysis.timing import Measured, biased_twice, controls_of, measured_of
from harness.analysis.verdicts import Flag
from harness.errors import UserError
from harness.records.plan import Plan, Trial, digest
from harness.records.record import Record
from harness.records.store import Store, runs_of
from harness.report.cells import block_title
from harness.tools.comparison.change_points import Changes, find_changes
from harness.tools.comparison.fields import changed, full_name, in_words, run_key, series_details, series_key
from harness.tools.comparison.times import (
    NORMAL_DF,
    STEP_TIME,
    Coordinates,
    EarlierRuns,
    assumed_spread,
    coordinates_of,
    decide_change,
)

#: The possible cause of a change if no recorded field changed.
NOTHING = "no recorded field changed"


@dataclass(frozen=True, kw_only=True)
class Observation(Finding):
    """The ratio of one level to the baseline in one run, with the interval of the run's report. `unpooled` has the
    variance of this run alone, by which runs are compared. Observations with the same `key` in the runs of a group form
    a series; `details` may differ between them. `baseline_time` is in seconds."""

    estimate: Estimate
    unpooled: Estimate
    key: str
    details: Mapping[str, str]
    margin: float
    baseline_time: float | None


@dataclass(frozen=True)
class SuiteRun:
    """One run of a suite. `at` is the time of its first record, `key` is what it shares with its group, in words.
    `seconds` are the step times of every level, and `keys` are theirs. `left_out` says why the run is not used."""

    name: str
    at: str
    facts: Mapping[str, Any]
    key: Mapping[str, str]
    observations: Mapping[Coordinates, Observation] = field(default_factory=dict)
    seconds: Mapping[Coordinates, float] = field(default_factory=dict)
    keys: Mapping[Coordinates, str] = field(default_factory=dict)
    left_out: str = ""
    folder: Path | None = None

    @property
    def commit(self) -> str:
        """The first digits of the commit, with a + if there were uncommitted changes."""
        git = self.facts.get("git") or {}
        return f"{git['commit'][:8]}{'+' if git.get('dirty') else ''}" if git.get("commit") else "-"


@dataclass(frozen=True)
class Series:
    """The ratios of one level under one key, one for each of `runs`, and the changes among them. `adjusted` is the p
    value of the clearest change, corrected for all series of the history (Holm)."""

    coordinates: Coordinates
    runs: tuple[SuiteRun, ...]
    observations: tuple[Observation, ...]
    changes: Changes
    adjusted: float = 1.0

    @property
    def place(self) -> str:
        """Context and mode in words."""
        return block_title(self.last.block, self.last.mode)

    @property
    def last(self) -> Observation:
        """The latest observation."""
        return self.observations[-1]

    @property
    def estimates(self) -> list[Estimate]:
        """The log ratios, each with the variance of its run alone."""
        return [one.unpooled for one in self.observations]


@dataclass(frozen=True)
class Group:
    """Runs under the same key, and their series. `differs` is how the key differs from that of the group before."""

    runs: tuple[SuiteRun, ...]
    series: tuple[Series, ...]
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RatioChange(Finding):
    """A change of a level's ratio, from the run `last` to the run `first`: within a group, or from one group to the
    next. `estimate` is of the log of `after` over `before`; `also_changed` are the fields that changed at the same
    time, in words."""

    last: str
    first: str
    before: float
    after: float
    also_changed: tuple[str, ...]


@dataclass(frozen=True)
class History:
    """The history of a suite: groups of comparable runs, changes within groups and between them."""

    suite: str
    groups: tuple[Group, ...]
    changes: tuple[RatioChange, ...]
    between: tuple[RatioChange, ...]
    left_out: tuple[SuiteRun, ...] = ()
    problems: tuple[str, ...] = ()


def read_history(results: Path, suite: str) -> History:
    """All runs of a suite under a folder. One that cannot be read is among the problems."""
    return history_of(suite, *read_runs(runs_of(results, suite)))


def read_runs(folders: Iterable[Path]) -> tuple[list[SuiteRun], list[str]]:
    """Runs from their folders, and the errors of those that cannot be read. Of a run and its copies, all but the first
    are left out: a copy confirms nothing."""
    runs: list[SuiteRun] = []
    problems, originals = [], dict[str, str]()
    for folder in folders:
        try:
            store = Store.open(folder)
            records = store.records()
            run = suite_run(folder.name, store.machine(), store.plan(), records, folder)
            # No two runs measure the same times.
            timed = next((record for record in records if record.stage == "speed"), None)
            name = originals.setdefault(digest(timed.to_json()), folder.name) if timed else folder.name
            runs.append(replace(run, left_out=f"a copy of {name}") if name != folder.name else run)
        except (UserError, KeyError, TypeError) as error:  # the last two: a plan of another version
            problems.append(str(error) if isinstance(error, UserError) else f"{folder}: cannot be read: {error!r}")
    return runs, problems


def suite_run(
    name: str, facts: Mapping[str, Any], plan: Plan, records: Sequence[Record], folder: Path | None = None
) -> SuiteRun:
    """The ratios and times of one run, without verdicts."""
    at = min((record.at for record in records if record.at), default="") or name
    run = SuiteRun(name, at, facts, run_key(facts, plan), folder=folder)
    measured = measured_of(plan.blocks, records)
    if not measured:
        return replace(run, left_out="no times are planned")
    if any(one.settings.quick for one in measured):
        return replace(run, left_out="a first look")
    if biased_twice(plan, records, controls_of(measured)):
        return replace(run, left_out="the baseline differs from itself")
    profiles = profiles_of(plan, records)
    observations, seconds, keys = {}, {}, {}
    for one in measured:
        for trial in one.block.trials:
            if trial.level in one.broken:
                continue
            where = coordinates_of(one.block.context, trial.level, one.mode)
            if (time := one.typical(trial.level)) is not None:
                seconds[where], keys[where] = time, digest(series_key(one.block, trial.level))
            details = series_details(facts, plan, one.block, trial.level)
            for level in dict.fromkeys((one.block.baseline.level, trial.level)):
                for path, value in computed_with(profiles, one.block.id, level).items():
                    details[f"{level} · {full_name('kernel_path', path)}"] = in_words(value)
            if trial is not one.block.baseline and (found := observation(one, trial, keys.get(where), details)):
                observations[where] = found
    left_out = "" if observations else "too little was timed"
    return replace(run, observations=observations, seconds=seconds, keys=keys, left_out=left_out)


def observation(measured: Measured, trial: Trial, key: str | None, details: Mapping[str, str]) -> Observation | None:
    """The ratio of a level; None if too few processes measured it."""
    compared = measured.compare(trial, STEP_TIME, step_time, stats.FLOOR, null_biased=False)
    if key is None or compared.estimate is None or compared.estimate.k < looks_of(measured.block)[0]:
        return None
    return Observation(
        block=measured.block, level=trial.level, mode=measured.mode, metric=STEP_TIME, estimate=compared.estimate,
        unpooled=stats.estimate(compared.values), key=key, details=details, margin=measured.settings.margin,
        baseline_time=measured.typical(measured.block.baseline.level),
    )  # fmt: skip


def history_of(suite: str, runs: Sequence[SuiteRun], problems: Sequence[str] = ()) -> History:
    """The history of these runs."""
    used = sorted((run for run in runs if not run.left_out), key=lambda run: (run.at, run.name))
    members = list(grouped(used, lambda run: digest(run.key)).values())
    found = [series_of(each) for each in members]
    # All series of the history are one family.
    adjusted = iter(stats.holm_adjusted([series.changes.p for each in found for series in each]))
    groups: list[Group] = []
    for each, its_series in zip(members, found, strict=True):
        series = tuple(replace(one, adjusted=next(adjusted)) for one in its_series)
        differs = changed(groups[-1].runs[-1].key, each[0].key) if groups else ()
        groups.append(Group(tuple(each), series, tuple(differs)))
    return History(
        suite,
        tuple(groups),
        changes=tuple(one for group in groups for series in group.series for one in changes_in(series)),
        between=tuple(one for before, after in pairwise(groups) for one in changes_between(before, after)),
        left_out=tuple(run for run in runs if run.left_out),
        problems=tuple(problems),
    )


def series_of(runs: Sequence[SuiteRun]) -> list[Series]:
    """The series in the runs of one group, one for each level and key. The variance of each ratio is its own, and at
    least the mean of the series (five processes may agree by chance), plus the one between runs."""
    found = []
    all_of_them = [(where, one, run) for run in runs for where, one in run.observations.items()]
    for (where, _), those in grouped(all_of_them, lambda each: (each[0], each[1].key)).items():
        observations = tuple(one for _, one, _ in those)
        own = np.array([one.unpooled.error**2 for one in observations])
        means = np.array([one.unpooled.mean for one in observations])
        variances = np.maximum(own, own.mean()) + assumed_spread(float(np.median(means))).sd ** 2
        changes = find_changes(means.tolist(), variances.tolist())
        found.append(Series(where, tuple(run for *_, run in those), observations, changes))
    return found


def changes_in(series: Series) -> list[RatioChange]:
    """The changes of a series, with the fields that changed from the run before to the run after."""
    flags = (Flag.ONE_OF_MANY,) if series.adjusted > 0.05 else ()
    found = []
    for point in series.changes.points:
        before, after = series.observations[point.position - 1 : point.position + 1]
        # The size is slightly overestimated, since its position was chosen; most so for small changes.
        size = Estimate(
            point.size, math.hypot(point.before.error, point.after.error), max(1, len(series.runs) - 2),
            len(series.runs),
        )  # fmt: skip
        names = series.runs[point.position - 1].name, series.runs[point.position].name
        also = tuple(changed(before.details, after.details)) or (NOTHING,)
        one = ratio_change(series, names, (point.before.mean, point.after.mean), size, also)
        found.append(replace(one, flags=flags))
    return found


def changes_between(before: Group, after: Group) -> list[RatioChange]:
    """How ratios differ from one group to the next: from the last segment of a series to the first of the next one."""
    found = []
    for series in after.series:
        key = series.observations[0].key
        same = [one for one in before.series if (one.coordinates, one.last.key) == (series.coordinates, key)]
        if not same:
            continue
        earlier = same[-1]
        last, first = earlier.changes.segments[-1], series.changes.segments[0]
        estimates = [*earlier.estimates[last.start : last.stop], *series.estimates[first.start : first.stop]]
        # The spread between runs is added once more for how the machine changed, which no number of runs averages out.
        error = math.hypot(last.error, first.error, assumed_spread(last.mean).sd)
        df = min(NORMAL_DF, sum(estimate.df for estimate in estimates))
        size = Estimate(first.mean - last.mean, error, df, len(estimates))
        names = earlier.runs[-1].name, series.runs[0].name
        found.append(ratio_change(series, names, (last.mean, first.mean), size, after.differs))
    return found


def ratio_change(
    series: Series, names: tuple[str, str], means: tuple[float, float], size: Estimate, also_changed: tuple[str, ...]
) -> RatioChange:
    """A change between two runs, by their names; `means` are the log ratios before and after."""
    verdict, reason = decide_change(size, series.last.margin, stats.FLOOR)
    before, after = map(math.exp, means)
    return RatioChange(
        block=series.last.block, level=series.last.level, mode=series.last.mode, metric=STEP_TIME, estimate=size,
        verdict=verdict, reason=reason, last=names[0], first=names[1], before=before, after=after,
        also_changed=also_changed,
    )  # fmt: skip


def earlier_runs(runs: Sequence[SuiteRun], reference: SuiteRun, before: SuiteRun) -> EarlierRuns:
    """The runs under the key of `reference` that are older than `before`."""
    comparable = [
        run for run in sorted(runs, key=lambda run: (run.at, run.name))
        if not run.left_out and run.key == reference.key and run.at < before.at and run.folder != before.folder
    ]  # fmt: skip
    ratios: dict[Coordinates, list[Estimate]] = {}
    seconds: dict[Coordinates, list[float]] = {}
    for run in comparable:
        for where, time in run.seconds.items():
            if run.keys[where] == reference.keys.get(where):
                seconds.setdefault(where, []).append(time)
                if where in run.observations:
                    ratios.setdefault(where, []).append(run.observations[where].unpooled)
    return EarlierRuns(ratios, seconds, len(comparable))
