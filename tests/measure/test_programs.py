"""Programs as whole commands: what is measured of a run, rounds of a block, failures, and how a run goes on."""

from __future__ import annotations

import itertools
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_suite import read

from harness.errors import UserError
from harness.measure.program_runs import SCRIPT, ProgramRun, ProgramRunner
from harness.measure.programs import ProgramBlock, measure_programs
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.plugins.command_line import CommandLine
from harness.plugins.printed_scores import ScoreReader
from harness.records.plan import Block
from harness.records.record import Record, replicates

SUITE = """
question: Which command is faster?
base:
  command: sh -c 'echo acc=0.5{seed}'
  dataset: {scores: {acc: {read: 'acc=(.+)', better: higher}}}
axes: {command: {old: {}, new: {command: NEW}}}
compare: {axis: command, baseline: old}
measure:
  speed: {of: program, seconds: 1 ms, until: decided}
"""
SCORES = SUITE + "  learning: {seeds: 5}\n"
MIB = 2**20


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., ProgramRun]:
    """Runs a command once, and returns the run."""

    def run_once(text: str, limit: float = 20.0, **readers: str) -> ProgramRun:
        found = {name: ScoreReader.parse(reader) for name, reader in readers.items()}
        return ProgramRunner(tmp_path, tmp_path / "output", limit, found).run(CommandLine.parse(text), 3, "run", "log")

    return run_once


def python(code: str) -> str:
    return f'{sys.executable} -c "{code}"'


def test_wall_and_cpu_time_of_a_program_and_the_processes_that_it_waits_for(run):
    waits = run("sleep 0.2")
    assert not waits.problem
    assert waits.wall >= 0.2e9
    assert waits.cpu < 0.1e9
    work = "import time; begin = time.process_time()\nwhile time.process_time() < begin + 0.2: pass"
    works = run(f"sh -c '{sys.executable} -c \"{work}\"; true'")
    assert works.cpu >= 0.2e9


def test_the_peak_of_a_small_program_is_not_that_of_this_process(run):
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > 60 * MIB  # it has imported numpy
    small = run("sh -c true")
    assert small.peak <= small.smallest_peak + MIB
    assert small.smallest_peak < 25 * MIB
    assert 100 * MIB <= run(python("bytearray(b'1') * 100 * 2**20")).peak < 200 * MIB


def test_a_program_has_no_input_and_gets_its_seed(run, tmp_path):
    found = run(python("import os, sys; print(sys.stdin.read(), 'seed', os.environ['HARNESS_SEED'])"), seed="seed (.+)")
    assert found.scores == {"seed": 3.0}
    assert run("sh -c 'echo {seed}4'", seed="(.+)").scores == {"seed": 34.0}
    assert run("WHICH={seed} sh -c 'echo $WHICH'", seed="(.+)").scores == {"seed": 3.0}
    assert (tmp_path / "output" / "log").read_text().startswith("=== run: ok\n seed 3\n=== run: ok\n34\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sh -c 'echo early; echo first >&2; echo last >&2; exit 3'", "it ends with exit code 3 after"),
        ("sh -c 'echo early; echo first >&2; echo last >&2; exit 3'", "; its last lines are: first | last"),
        ("sh -c 'exit 1'", "; it printed nothing"),
        ("sh -c 'kill -9 $$'", "it is killed by SIGKILL after"),
        ("sh -c 'echo done'", "its output has no match of the pattern 'acc=(.+)'; its last line is: done"),
        ("sh -c 'echo acc=1; echo acc=2'", "matches 2 different values in its output (1, 2)"),
    ],
)
def test_why_a_run_failed(run, text, problem):
    assert problem in run(text, acc="acc=(.+)").problem


def test_the_output_of_a_failed_run_is_kept(run, tmp_path):
    run("sh -c 'echo to see; exit 1'")
    kept = (tmp_path / "output" / "log").read_text()
    assert kept.startswith("=== run: it ends with exit code 1 after")
    assert kept.endswith("\nto see\n")
    assert not list((tmp_path / "output").glob("running*"))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def ends(pid: int) -> bool:
    """Whether a process ends soon."""
    until = time.monotonic() + 10
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not alive(pid)


def test_a_program_over_its_limit_is_ended_with_its_children(run, tmp_path):
    found = run(f"sh -c 'sleep 60 & echo $! > {tmp_path}/pid; wait'", limit=0.3)
    assert found.problem.startswith("it takes longer than its limit of 0.3 s (measure.limit in a suite, or --limit)")
    assert ends(int((tmp_path / "pid").read_text()))


def test_processes_that_a_program_leaves_running_are_ended_and_named(run, tmp_path):
    found = run(f"sh -c 'sleep 60 & echo $! > {tmp_path}/pid'")
    assert not found.problem
    assert found.left_running
    assert ends(int((tmp_path / "pid").read_text()))
    assert not run("sh -c true").left_running


def test_a_program_is_ended_if_the_harness_ends(tmp_path):
    """The process that runs it blocks in wait4, and notices that its input is closed."""
    command = ["sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60"]
    script = [sys.executable, "-I", "-S", str(SCRIPT), "30", os.devnull, os.devnull, "0", *command]
    process = subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    until = time.monotonic() + 10
    while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()) and time.monotonic() < until:
        time.sleep(0.01)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 1
    assert ends(int((tmp_path / "pid").read_text()))


# Blocks


@pytest.fixture
def block_of(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Block]:
    """Plans the suite with a new command, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def plan(new: str, *settings: str, text: str = SUITE) -> Block:
        (block,) = make_plan(read(text.replace("NEW", json.dumps(new)), *settings), catalog).blocks
        return block

    return plan


def measured(block: Block, done: list[Record] | None = None, rounds: int | None = None) -> list[Record]:
    """The records of a block; a Ctrl-C comes after so many rounds."""
    records = list(done or [])

    def keep(new: list[Record]) -> None:
        records.extend(new)
        if rounds is not None and len(replicates(records, block.id, "speed.program")) >= rounds:
            raise KeyboardInterrupt

    facts: list[object] = []
    try:
        measure_programs(block, list(records), keep, Path(), facts.append)
    except KeyboardInterrupt:
        assert rounds is not None
    return records


def test_rounds_have_a_control_and_random_balanced_orders(block_of):
    block = block_of("sh -c 'sleep 0.01; echo acc=1'")
    records = measured(block)
    assert [(r.level, r.outcome) for r in records if r.measure == "verify"] == [("old", "ok"), ("new", "ok")]
    rounds = replicates(records, block.id, "speed.program")
    assert len(rounds) >= 5
    positions = []
    for group in rounds.values():
        assert [(r.level, r.role) for r in group] == [("old", "variant"), ("new", "variant"), ("old", "control")]
        assert all(r.of == 3 and r.data["peak"][0] > 0 and r.data["repeats"] == 1 for r in group)
        positions.append([r.data["position"][0] for r in group])
    assert all(sorted(column) == [0, 1, 2] for column in zip(*positions[:3], strict=True))
    assert not [r for r in records if r.measure == "learning"]


def test_short_programs_run_several_times_in_a_round(block_of, tmp_path):
    """The first run of each, which is not part of a round, says how often."""
    block = block_of("sh -c true", "measure.speed.seconds=50 ms")
    verified = [
        Record(block.id, level, "", "verify", "variant", 0, 2, "ok", data={"seconds": seconds})
        for level, seconds in (("old", 0.01), ("new", 0.02))
    ]
    programs = ProgramBlock(block, verified, lambda new: None, tmp_path)
    members = [("old", "variant"), ("new", "variant"), ("old", "control")]
    rounds = [list(programs.orders(members, number)) for number in range(3)]
    assert [len(one) for one in rounds] == [4, 4, 4]  # 150 ms, in runs of 40 ms
    for three in zip(*[itertools.chain(*rounds)] * 3, strict=True):
        assert all(sorted(column) == [0, 1, 2] for column in zip(*three, strict=True))


def test_every_seed_gives_a_score_of_the_same_run(block_of):
    block = block_of("sh -c 'echo acc=0.6{seed}'", text=SCORES)
    records = measured(block)
    learned = [r for r in records if r.measure == "learning"]
    found = {(r.level, r.data["seed"]): r.data["scores"]["acc"] for r in learned}
    assert found == {
        (level, seed): [0.5 + 0.1 * (level == "new") + 0.01 * seed] for level in ("old", "new") for seed in range(5)
    }
    assert len({r.replicate for r in learned}) == 10
    assert all(r.data["again"] == {"acc": r.data["scores"]["acc"][0]} for r in learned if r.level == "old")
    seeds = [group[0].data["seed"] for group in replicates(records, block.id, "speed.program").values()]
    assert seeds[:6] == [*range(5), *([0] if len(seeds) > 5 else [])]


def test_an_interrupted_block_goes_on(block_of):
    block = block_of("sh -c 'echo acc=0.6{seed}'", text=SCORES)
    before = measured(block, rounds=2)
    assert len(replicates(before, block.id, "speed.program")) == 2
    records = measured(block, before)
    assert records[: len(before)] == before
    assert sum(r.measure == "verify" for r in records) == 2
    assert sorted(r.data["seed"] for r in records if r.measure == "learning") == sorted([*range(5)] * 2)


def test_it_goes_on_in_the_same_folder_only(block_of, tmp_path, monkeypatch):
    block = block_of("sh -c 'echo acc=1'")
    before = measured(block, rounds=1)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    with pytest.raises(
        UserError, match=r"were started in .*, and this is .*other\. Resume the run in the same folder\."
    ):
        measured(block, before)


def test_a_program_that_fails_at_first_is_not_measured(block_of):
    records = measured(block_of("sh -c 'echo wrong >&2; exit 2'"))
    (failed,) = [r for r in records if r.outcome == "failed"]
    assert (failed.level, failed.measure) == ("new", "verify")
    assert failed.reason.startswith("it ends with exit code 2 after")
    assert failed.reason.endswith("; its last line is: wrong")
    assert not [r for r in records if r.measure == "speed.program"]  # there is nothing to compare


def test_nothing_is_measured_without_the_baseline(block_of):
    records = measured(block_of("sh -c true", "base.command=sh -c 'exit 1'"))
    assert [(r.level, r.outcome) for r in records] == [("old", "failed"), ("new", "skipped")]


def test_a_program_that_fails_later_ends_only_its_own_level(block_of):
    count = "sh -c 'echo x >> count; test $(wc -l < count) -lt 4 && echo acc=1'"
    text = SUITE.replace("new: {command: NEW}", "new: {command: NEW}, other: {command: sh -c true}")
    records = measured(block_of(count, text=text.replace("old: {}", "old: {}")))
    failed = [r for r in records if r.outcome == "failed"]
    assert [(r.level, r.measure, r.replicate) for r in failed] == [("new", "speed.program", 2)]
    ok = [r for r in records if r.level == "other" and r.outcome == "ok" and r.measure == "speed.program"]
    assert len(ok) >= 5
