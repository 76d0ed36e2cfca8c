"""What a report says about programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from toy_suite import read

from harness.analysis.verdicts import Flag, Verdict
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.records.plan import Block, Plan
from harness.records.record import Record
from harness.report.answers import answers_of
from harness.report.formats.terminal import render
from harness.report.report import Report, report_of

SUITE = """
question: Which command is better?
base:
  command: sh -c true
  dataset: {scores: {acc: {read: 'acc=(.+)', better: higher}, nll: {read: 'nll=(.+)', better: lower, compared: ratio}}}
axes: {command: {old: {}, new: {command: "sh -c 'echo {seed}'"}}}
compare: {axis: command, baseline: old}
measure: {speed: {of: program}, learning: {seeds: 6}}
"""


def made(
    block: Block, times: Callable[[str, int], float], scores: Callable[[str, int], float], again: float = 0.0
) -> list[Record]:
    """The records of six rounds: seconds and scores by level and seed. The control's score is larger by `again`."""
    records = []
    for seed in range(6):
        for level, role in (("old", "variant"), ("new", "variant"), ("old", "control")):
            wall = round(1e9 * times(level if role == "variant" else "control", seed))
            data = {
                "repeats": 1, "wall": [wall], "cpu": [wall // 2], "process": [wall // 2], "switches": [0], "batch": [0],
                "round": [0], "position": [0], "phases": {}, "counts": {}, "seconds": 1.0, "seed": seed,
                "peak": [(30 if level == "new" else 20) * 2**20 + seed], "flags": ["left_running"] * (level == "new"),
            }  # fmt: skip
            records.append(Record(block.id, level, "", "speed.program", role, seed, 3, "ok", data=data))
        for number, level in enumerate(("old", "new")):
            value = scores(level, seed)
            data = {
                "seed": seed,
                "scores": {"acc": [value], "nll": [1 + value]},
                "evaluated": [0],
                "loss": [],
                "steps": 0,
            }
            data |= {"again": {"acc": value + again, "nll": 1 + value}} if level == "old" else {}
            records.append(Record(block.id, level, "", "learning", "variant", 2 * seed + number, 1, "ok", data=data))
    return records


@pytest.fixture(scope="module")
def plan(catalog: Catalog) -> Plan:
    return make_plan(read(SUITE), catalog)


@pytest.fixture(scope="module")
def report(plan: Plan, catalog: Catalog) -> Callable[..., Report]:
    def reported(
        times: Callable[[str, int], float] = lambda level, seed: (2.0 if level == "new" else 1.0) + 0.001 * seed,
        scores: Callable[[str, int], float] = lambda level, seed: 10 * seed + (level == "new") * (1 + 0.01 * seed),
        again: float = 0.0,
    ) -> Report:
        return report_of(plan, made(plan.blocks[0], times, scores, again), catalog, {"processor": "a", "cores": 2})

    return reported


def test_tables_of_programs(report):
    text = render(report(), Path("run"))
    assert (
        "old        1                          1.002 s      baseline" in " ".join(text.split("\n")) or "1.002 s" in text
    )
    assert (
        "Measured in 6 rounds. In a round, every program runs once, and old as often once more as the control" in text
    )
    assert "Each number is of a run of the program: from its start to its end, in a fresh process." in text
    assert "30.0 MiB (× 1.500, 1.500 to 1.500: more)" in text
    assert "new left processes running, which were ended; their work is not in these numbers." in text
    assert "Run under 6 seeds. Differences of " in text
    assert "+1.02" in text  # a number, not points
    assert "examples" not in text


def test_answers(report):
    wall, score, cpu, memory = answers_of(report())
    assert wall.startswith("`new` takes 1.99")
    assert wall.endswith("): slower")
    assert score.startswith("`new` differs in acc by +1.02 from `old` (95 % CI ")
    assert cpu.startswith("`new` needs 1.99")
    assert (
        memory
        == "`new` needs 1.500 times the memory at its peak of `old` (30.0 MiB and 20.0 MiB, 95 % CI 1.500–1.500): more"
    )


def test_a_program_that_does_not_repeat_under_its_seed(report):
    sentence = "old does not repeat under its seed: two runs with seed 0 gave the acc 0 and 0.25."
    assert sentence in render(report(again=0.25), Path("run"))
    assert "does not repeat" not in render(report(), Path("run"))


def test_seeds_without_an_effect_decide_nothing(report):
    found = report(scores=lambda level, seed: 1.0 + (level == "new"))
    (one,) = found.findings.learning.of(found.findings.learning.learned[0]).values()
    assert (one.verdict, one.reason) == (
        Verdict.UNRANKED, "the score is the same under every seed, so the seeds are not independent runs",
    )  # fmt: skip


def test_equal_printed_scores_are_not_called_identical(report):
    found = report(scores=lambda level, seed: float(seed))
    (one,) = found.findings.learning.of(found.findings.learning.learned[0]).values()
    assert one.verdict == Verdict.UNDECIDED
    assert "with a margin this would be equivalent" in one.reason


def test_wall_time_decides_for_programs_that_wait(report):
    """They use half of a core, which for the steps of a model would mean that another program used the core."""
    (time, cpu, memory) = (c for c in report().findings.comparisons)
    assert (time.clock, time.flags) == ("wall", ())
    assert [time.verdict, cpu.verdict, memory.verdict] == [Verdict.SLOWER, Verdict.MORE, Verdict.MORE]
    assert Flag.CPU_CLOCK not in time.flags


def test_a_run_of_one_program_counts_with_the_mean_of_its_runs(plan, catalog):
    """Without trimming: a round has few runs."""
    records = []
    for record in made(plan.blocks[0], lambda level, seed: 1.0 + 0.001 * seed, lambda level, seed: float(seed)):
        data = dict(record.data)
        if record.measure == "speed.program":
            walls = [1e9 * (1 + 0.001 * record.replicate)] * 10
            walls[0] *= 6 if record.level == "new" else 1
            data |= dict.fromkeys(("wall", "cpu", "process"), walls)
            data |= {"batch": [0] * 10, "round": [*range(10)], "peak": [1e7] * 10, "switches": [0] * 10}
        records.append(replace(record, data=data))
    (time, *_) = report_of(plan, records, catalog, {}).findings.comparisons
    assert time.size == pytest.approx(1.5)
