"""Learning in separate processes, and from the command line to the report. These tests start real processes."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from commands import COMMAND, harness, heed_ctrl_c, lines_of, the_run
from learning_suite import TEXT
from tasks import task

from harness.measure.coordinator import measure_block
from harness.measure.kinds.learning import learn
from harness.measure.servers import Servers
from harness.records.plan import Plan
from harness.records.record import Record


@pytest.fixture
def measured(planned: Callable[..., Plan], servers: Servers):
    """Measures the suite with this level and its baseline. Returns the records of learning."""

    def measure(other: str, *settings: str, done: list[Record] | None = None) -> list[Record]:
        (block,) = planned("", *settings, text=TEXT.replace("{use: [shuffled]}", other)).blocks
        records = list(done or [])
        measure_block(block, list(records), records.extend, servers)
        return [r for r in records if r.measure == "learning"]

    return measure


def outcomes(records: list[Record], level: str) -> list[tuple[int, str]]:
    return sorted((r.data["seed"], r.outcome) for r in records if r.level == level)


def test_a_trial_that_raises_is_not_run_under_other_seeds(measured):
    records = measured("{use: [{name: spoil, how: raises}]}")
    assert outcomes(records, "plain") == [(seed, "ok") for seed in range(5)]
    (failed,) = (r for r in records if r.level == "other")
    assert failed.outcome == "failed"
    assert failed.reason.startswith("training under seed 0: RuntimeError: the step is broken (toy.py:")
    assert measured("{use: [{name: spoil, how: raises}]}", done=records) == records, "nor is it tried again"


def test_a_trial_that_diverges_is_run_under_all_seeds(measured):
    records = measured("{use: [{name: spoil, how: nan, at: 7}]}")
    assert outcomes(records, "other") == [(seed, "diverged") for seed in range(5)]
    for r in records:
        if r.level == "other":
            assert (r.reason, r.data["diverged_at"], r.data["steps"]) == ("the loss is nan", 7, 8)


def test_a_step_that_hangs_is_ended_at_the_limit(measured):
    records = measured("{use: [{name: spoil, how: hangs}]}", "measure.limit=1 s")
    (failed, *_) = (r for r in records if r.level == "other")
    assert failed.outcome == "failed"
    assert failed.reason == "took longer than its limit of 1 s while one training step"
    assert len(outcomes(records, "plain")) == 5


def test_if_the_baseline_fails_the_others_are_still_run(measured):
    records = measured("{use: [shuffled]}", "base.use.spoil.how=raises", "measure.learning.steps=3")
    assert len(records) == 10, "the step that raises is the fourth"
    records = measured("{drop: [spoil]}", "base.use.spoil.how=raises")
    assert {r.outcome for r in records if r.level == "plain"} == {"failed"}
    assert outcomes(records, "other") == [(seed, "ok") for seed in range(5)]


def untimed(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in ("elapsed", "seconds")}


def timeless(records: list[Record]) -> dict[tuple[str, int], Record]:
    """Records by level and seed, without times."""
    return {(r.level, r.replicate): replace(r, at="", data=untimed(r.data)) for r in records}


def test_finished_runs_are_kept_and_the_others_give_the_same(measured, servers):
    whole = measured("{use: [harmful]}")
    half = [r for r in whole if r.replicate in (0, 1, 2, 5)]
    again = measured("{use: [harmful]}", done=half)
    assert again[:4] == half
    assert timeless(again) == timeless(whole)
    assert not list((servers.folder / "checkpoints").glob("*")), "stored runs need no checkpoint"


def test_records_contain_the_results_of_a_run(measured, planned, catalog):
    (block,) = planned(text=TEXT).blocks
    for r in measured("{use: [shuffled]}"):
        found = learn(task(block, r.level, catalog, seed=r.data["seed"]))
        assert untimed(r.data) == untimed({**found, "seed": r.data["seed"]})
        assert r.data["seconds"] > 0
        assert r.replicate == 2 * r.data["seed"] + (r.level == "other")


# The command line

LEVELS = """\
    plain: {}
    other: {use: [shuffled]}
    with_health: {model: with_health}
    wild: {use: [{name: descent, lr: 5.0}, {name: shorten, max_norm: 1000.0}]}  # far off, and never infinite
"""
CLAIMS = """\
claims:
  - {says: Another order learns alike, level: other, metric: close, expect: equal within 40 points}
  - {says: A wild rate diverges, level: wild, metric: diverged, expect: worse}
  - {says: Another order is much better, level: other, metric: loss, expect: better by 50%}
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of two parallel jobs that also has speed and health."""
    folder = tmp_path_factory.mktemp("here")
    text = TEXT.replace("    plain: {}\n    other: {use: [shuffled]}\n", LEVELS).replace("model: mlp", "model: linear")
    text += "  health: {steps: 6, looks: 1}\n"
    text += "  speed: {batches: 4, warm_up: 1 ms, seconds: 10 ms, budget: 1 s, half_width: 50%, margin: 99%}\n"
    (folder / "toy.yaml").write_text(text + CLAIMS)
    (folder / "out").mkdir()
    done = harness("run", "toy.yaml", "--jobs", "2", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout)
    (folder / "stderr").write_text(done.stderr)
    return folder


def of_learning(folder: Path) -> list[Record]:
    return [Record.from_json(line) for line in lines_of(folder) if line["measure"] == "learning"]


def test_one_and_two_jobs_give_the_same_bits(here, planned, servers):
    text = (here / "toy.yaml").read_text()
    (block,) = planned("", "measure.speed=", "measure.health=", text=text).blocks
    records: list[Record] = []
    assert servers.jobs == 1
    measure_block(block, [], records.extend, servers)
    first = timeless([r for r in records if r.measure == "learning"])
    assert len(first) == 20
    assert first == timeless(of_learning(the_run(here)))


def test_additional_seeds_are_flagged_and_change_no_earlier_run(here, tmp_path):
    folder = copytree(the_run(here), tmp_path / "again")
    first = timeless(of_learning(folder))
    done = harness("run", "--resume", folder, "--seeds", "6", "--json", cwd=here)
    assert done.returncode == 0, done.stderr
    assert {key: r for key, r in timeless(of_learning(folder)).items() if key in first} == first
    shown = [c for c in json.loads(done.stdout)["learning"] if c["level"] == "other"]
    assert {(tuple(c["each_seed"]), "extended" in c["flags"]) for c in shown} == {((0, 1, 2, 3, 4, 5), True)}


def test_records_are_strict_json(here):
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    for line in (the_run(here) / "records.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)
    assert {r.outcome for r in of_learning(the_run(here)) if r.level == "wild"} == {"diverged"}


def test_the_terminal_shows_learning(here):
    text = " ".join((here / "stdout").read_text().split())
    assert "what time close " in text
    assert re.search(r"other .* [+-]\d+\.\d ±\d+\.\d equivalent", text)
    assert 'True: "Another order learns alike"' in text
    assert 'False: "Another order is much better"' in text
    assert "failed" not in text


def test_the_whole_text_shows_learning(here):
    text = (the_run(here) / "report.txt").read_text()
    lines = [line.strip() for line in text.splitlines()]
    begin = lines.index("all · learning: close")
    table = {line.split("  ")[0]: line for line in lines[begin + 3 : begin + 8]}
    assert lines[begin + 1].split()[:3] == ["what", "close", "points"]
    assert "The same in all rows: untrained " in text
    assert table["plain"].endswith("baseline")
    assert "constant answer" in table
    assert "equivalent" in table["other"]
    assert "5/5 (48% to 100%)" in table["wild"]
    assert "never (0/5)" in table["wild"]
    assert table["wild"].split()[1] == "%.1f%%" % (100 * untrained(here)), "the untrained model's"
    assert "Trained under 5 seeds for 20 steps on 48 examples; tested on 24." in text
    assert "all: speed and quality" in lines
    assert "all: health" in lines
    assert "seeds diverged" in text


def untrained(here: Path) -> float:
    wild = [r for r in of_learning(the_run(here)) if r.level == "wild"]
    return sum(r.data["scores"]["close"][0] for r in wild) / len(wild)


def test_the_reports_show_learning(here):
    folder = the_run(here)
    text = (folder / "report.md").read_text()
    assert "## Learning" in text
    assert "all · learning: close" in text
    assert "all · learning: other scores" in text
    assert "## Health" in text
    rows = list(csv.DictReader(io.StringIO((folder / "tables" / "learning.csv").read_text())))
    assert {(row["what"], row["score"]) for row in rows} >= {
        (level, score)
        for level in ("other", "with_health", "wild")
        for score in ("close", "mean_close", "loss", "mean_loss", "diverged", "reached", "steps_to_target")
    }
    (row,) = (row for row in rows if (row["what"], row["score"]) == ("wild", "diverged"))
    assert (row["size"], row["verdict"], row["seeds"]) == ("1.0", "worse", "5")
    assert row["level_of_each"] == "1 1 1 1 1"
    found = json.loads(harness("report", folder, "--json", cwd=here).stdout)
    (close,) = (c for c in found["learning"] if (c["level"], c["score"]) == ("other", "close"))
    assert close["verdict"] == "equivalent"
    assert len(close["baseline_of_each"]) == len(close["level_of_each"]) == close["seeds"] == 5
    assert close["low"] < close["size"] < close["high"]
    assert (close["p_sign_flip"], close["flags"]) == (None, "")
    assert [claim["answer"] for claim in found["claims"]] == ["holds", "holds", "fails"]
    assert found["failures"] == []


def test_without_a_terminal_there_is_a_line_every_five_seeds(here):
    lines = (here / "stderr").read_text().splitlines()
    heads = [line for line in lines if line.startswith("all · learning: ")]
    assert heads == ["all · learning: 20 of 20 runs"]
    last = lines[lines.index(heads[0]) + 1 :]
    assert [line.split()[0] for line in last[:3]] == ["other", "with_health", "wild"]
    assert last[0].endswith("5 seeds  equivalent")
    assert "close" in last[0]
    assert "\x1b" not in "".join(lines)


def test_ctrl_c_loses_no_seed_and_resume_gives_the_same(tmp_path, planned, catalog):
    """One level fails under its first seed. It is reported at the end, with exit code 3, and is not run again."""
    text = TEXT.replace("steps: 20", "steps: 200, checkpoint: 1 ms").replace("seeds: 5", "seeds: 3")
    text = text.replace("[shuffled]}\n", "[shuffled]}\n    bad: {use: [{name: spoil, how: raises}]}\n")
    (tmp_path / "toy.yaml").write_text(text)
    process = subprocess.Popen(
        [*COMMAND, "run", "toy.yaml", "--jobs", "1"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,
    )
    deadline = time.monotonic() + 120
    while not {path.name.split(".")[1] for path in tmp_path.glob("results/toy/*/checkpoints/*.pt")} & {*"134567"}:
        assert time.monotonic() < deadline, "no run after the first was saved"
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    folder = the_run(tmp_path)
    before, kept = (folder / "records.jsonl").read_text(), len(of_learning(folder))
    assert 1 <= kept < 7
    assert list(folder.glob("checkpoints/*.pt"))
    done = harness("run", "--resume", folder, "--jobs", "1", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    shown = " ".join(done.stdout.split())
    assert "all, bad: failed in learning: training under seed 0: RuntimeError: the step is broken" in shown
    assert "invalid: failed: training under seed 0" in (folder / "report.txt").read_text()
    assert (folder / "records.jsonl").read_text().startswith(before)
    records = of_learning(folder)
    assert sorted(r.replicate for r in records) == [0, 1, 2, 3, 4, 6, 7]
    assert not list(folder.glob("checkpoints/*"))
    (block,) = planned(text=text).blocks
    stopped = next(r for r in records[kept:] if r.level != "bad")
    found = learn(task(block, stopped.level, catalog, seed=stopped.data["seed"]))
    assert untimed(stopped.data) == untimed({**found, "seed": stopped.data["seed"]})
