"""Runs of a suite over time: planted changes with their possible causes, and runs that are not comparable."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made import SPEC, block, learning_block
from made_runs import FACTS, TWO, plan, store, timed

from harness.analysis.findings import find
from harness.errors import UserError
from harness.records.plan import Block
from harness.records.settings import Speed
from harness.records.store import runs_of
from harness.report.cells import size_cells
from harness.tools.comparison.history import (
    NOTHING,
    History,
    SuiteRun,
    earlier_runs,
    history_of,
    read_history,
    suite_run,
)
from harness.tools.comparison.history_tables import history_sections, sparkline, to_json


def run_of(number: int, ratio: float, *, made: Block = TWO, commit="a", noise=0.002, **facts) -> SuiteRun:
    """One run, named by its number."""
    known = {**FACTS, "git": {"commit": commit * 40, "dirty": False}, **facts}
    levels = {trial.level: ratio for trial in made.trials[1:]}
    run = suite_run(f"run-{number:02}", known, plan(made), timed(made, levels, seed=number, noise=noise))
    return replace(run, at=f"2030-01-01T00:00:{number:02}+00:00")


def scattered(count: int, start: int = 0, ratio: float = 1.1, **more) -> list[SuiteRun]:
    """Runs with typical scatter."""
    random = np.random.default_rng(start + 100)
    return [
        run_of(i, float(ratio * np.exp(random.normal(0, 0.003))), **more) for i in range(start, start + count)
    ]  # fmt: skip


def test_a_steady_suite_has_one_group_and_no_change():
    history = history_of("made", scattered(12))
    (group,) = history.groups
    (series,) = group.series
    assert len(series.estimates) == 12
    assert (history.changes, history.between) == ((), ())
    assert group.differs == ()


def test_planted_change_is_reported_with_its_commit():
    history = history_of("made", [*scattered(8), *scattered(6, start=8, ratio=1.155, commit="b")])
    (change,) = history.changes
    assert (change.last, change.first, change.verdict) == ("run-07", "run-08", "slower")
    low, high = change.interval
    assert low < 1.05 < high
    assert any(words.startswith("commit was aaaa") for words in change.also_changed)
    assert change.flags == ()


def test_change_names_the_plugin_version_or_no_cause():
    (change,) = history_of("made", [*scattered(8), *scattered(6, start=8, ratio=1.2)]).changes
    assert change.also_changed == (NOTHING,)
    newer = replace(TWO, trials=(TWO.trials[0], replace(TWO.trials[1], model=replace(SPEC, version="2"))))
    (change,) = history_of("made", [*scattered(8), *scattered(6, start=8, ratio=1.2, made=newer)]).changes
    assert change.also_changed == ("other · versions: model was test 0 and is test 2",)


def test_runs_under_another_torch_are_another_group_and_the_difference_is_reported():
    history = history_of("made", [*scattered(6), *scattered(6, start=6, ratio=1.155, torch="2.14.0")])
    assert [len(group.runs) for group in history.groups] == [6, 6]
    assert history.groups[1].differs == ("torch was 2.13.0 and is 2.14.0",)
    assert history.changes == ()
    (change,) = history.between
    assert (change.verdict, change.also_changed) == ("slower", ("torch was 2.13.0 and is 2.14.0",))
    low, high = change.interval
    assert low < 1.05 < high


def test_alternating_machines_are_separate_groups():
    ratios = [(i, 1.1 if i % 2 else 2.2, "Made 1" if i % 2 else "Made 2") for i in range(12)]
    history = history_of("made", [run_of(i, ratio, processor=name) for i, ratio, name in ratios])
    assert [len(group.runs) for group in history.groups] == [6, 6]
    assert history.changes == ()


def test_different_trials_in_a_group_are_separate_series():
    wider = replace(TWO, trials=tuple(replace(t, model=replace(SPEC, parameters={"w": 2})) for t in TWO.trials))
    history = history_of("made", [*scattered(5), *scattered(5, start=5, ratio=3.0, made=wider)])
    assert [len(series.estimates) for series in history.groups[0].series] == [5, 5]
    assert (history.changes, history.between) == ((), ())


def test_a_run_with_fewer_levels_continues_the_same_series():
    three = block("plain", "other", "third")
    history = history_of("made", [*scattered(3, made=three), *scattered(3, start=3)])
    assert {series.last.level: len(series.estimates) for series in history.groups[0].series} == {"other": 6, "third": 3}


def test_runs_without_verdicts_are_omitted_with_a_reason():
    quick = block("plain", "other", speed=Speed(quick=True))
    learning = learning_block("plain", "other")
    left = [
        run_of(0, 1.1, made=quick),
        suite_run("learned", FACTS, plan(learning), []),
        suite_run("stopped", FACTS, plan(TWO), timed(TWO, {"other": 1.1}, processes=2)),
        suite_run("empty", {}, plan(TWO), []),
    ]
    history = history_of("made", [*left, run_of(9, 1.1)])
    assert [one.left_out for one in history.left_out] == [
        "a first look", "no times are planned", "too little was timed", "too little was timed",
    ]  # fmt: skip
    assert len(history.groups[0].runs) == 1
    assert history_of("made", left).groups == ()


def test_one_change_among_many_series_may_be_chance():
    """A change in one of thirty series that is not significant among all of them is flagged."""
    many = block("plain", *(f"l{i:02}" for i in range(30)))
    history = history_of("made", scattered(6, made=many))
    assert all(change.flags == ("one-of-many",) for change in history.changes)


def test_table_of_fifty_runs_is_short():
    history = history_of("made", [*scattered(30), *scattered(20, start=30, ratio=1.155, commit="b")])
    sections = history_sections(history, 10)
    assert [section.title for section in sections] == [
        "Group 1: 50 runs, run-00 to run-49",
        "Lasting changes",
    ]
    summary, runs = sections[0].tables
    assert len(summary.rows) == 1
    assert len(summary.rows[0][6]) == 50
    assert len(runs.rows) == 10
    assert runs.notes[1:] == ("40 earlier runs not shown. Show more with --last N.",)
    assert "run-29 to run-30" in sections[1].tables[0].rows[0]
    assert "*" in history_sections(history, 50)[0].tables[1].rows[30][2]
    assert runs.rows[0][4] == "1.00 ms"
    found = json.loads(json.dumps(to_json(history)))
    assert found["groups"][0]["series"][0]["changes_at"] == ["run-30"]


def test_a_run_has_the_interval_of_its_report(catalog):
    """The interval of one run is that of its comparison; the one between runs has its own name."""
    made = block("plain", "other", speed=Speed().as_planned(plain=False))
    records = timed(made, {"other": 1.1}, processes=3)
    (compared,) = find(plan(made), records, catalog).of(made, "train").values()
    run = suite_run("run", FACTS, plan(made), records)
    history = history_of("made", [run])
    (observed,) = history.groups[0].series[0].observations
    assert observed.interval == compared.interval
    assert observed.estimate.df > observed.unpooled.df
    summary, runs = history_sections(history, 10)[0].tables
    assert runs.rows[0][2:4] == size_cells(compared)
    assert runs.headers[3] == "95 % interval"
    assert (summary.headers[4], summary.rows[0][4]) == ("between runs", "-")
    summary, _ = history_sections(history_of("made", scattered(3)), 10)[0].tables
    low, high = map(float, summary.rows[0][4].split(" to "))
    assert low < 1.1 < high


def test_a_sparkline_goes_from_lowest_to_highest():
    assert sparkline([1.0, 2.0, 3.0]) == "▁▅█"
    assert sparkline([1.0, 1.0]) == "▁▁"


def test_damaged_run_is_reported_and_the_others_are_shown(tmp_path):
    store(tmp_path, "one", 1.1, 1)
    (store(tmp_path, "two", 1.1, 2) / "plan.json").write_text("{")
    (store(tmp_path, "three", 1.1, 3) / "plan.json").write_text("{}")
    history = read_history(tmp_path, "made")
    assert len(history.groups[0].runs) == 1
    assert len(history.problems) == 2
    assert isinstance(history, History)


def test_runs_are_found_by_the_suite_s_name(tmp_path):
    folders = [store(tmp_path, name, 1.1, i) for i, name in enumerate(("b", "a"))]
    assert runs_of(tmp_path, "made") == folders
    with pytest.raises(UserError, match="there is no run of 'mode'") as error:
        runs_of(tmp_path, "mode")
    assert error.value.fix == "Did you mean made?"
    with pytest.raises(UserError) as error:
        runs_of(tmp_path / "nothing", "made")
    assert "harness run" in error.value.fix


def test_earlier_runs_have_the_same_key_and_are_older():
    runs = [*scattered(6), run_of(6, 1.1, torch="9"), run_of(7, 1.1), run_of(8, 1.1)]
    named = [replace(one, folder=Path(one.name)) for one in runs]
    past = earlier_runs(named, named[5], named[7])
    assert past.runs == 6
    (ratios,) = past.ratios.values()
    assert len(ratios) == 6
    assert sorted(len(times) for times in past.seconds.values()) == [6, 6]


def test_a_copy_of_a_run_confirms_nothing(tmp_path):
    first = store(tmp_path, "b", 1.1, 1)
    store(tmp_path, "c", 1.1, 2)
    shutil.copytree(first, first.parent / "a copy")
    history = read_history(tmp_path, "made")
    assert [run.name for run in history.groups[0].runs] == ["a copy", "c"]
    assert [(run.name, run.left_out) for run in history.left_out] == [("b", "a copy of a copy")]
