"""The coordinator: failures become records, and the other trials are measured. These tests start real processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from toy_suite import SUITE, toy_catalog

from harness.measure.coordinator import Coordinator, measure_block
from harness.measure.servers import Servers
from harness.records.plan import Plan
from harness.records.record import Record, replicates


@pytest.fixture(scope="module")
def measured(planned: Callable[..., Plan], servers: Servers):
    """Measures the toy suite with the given levels and its baseline. Returns the records."""

    def measure(levels: str, *settings: str, done: list[Record] | None = None, **options: object) -> list[Record]:
        (block,) = planned(levels, *settings, **options).blocks
        records = list(done or [])
        measure_block(block, list(records), records.extend, servers)
        return records

    return measure


MORE = SUITE + "  memory: {}\n  cost: {}\n"


def outcomes(records: list[Record], measure: str) -> dict[str, tuple[str, str]]:
    return {r.level: (r.outcome, r.reason) for r in records if r.measure == measure and r.role == "variant"}


@pytest.fixture(scope="module")
def whole(measured) -> list[Record]:
    """The records of a block with all kinds of measurement."""
    return measured("backwards: {use: [reverse]}", "measure.profile.steps=2", text=MORE)


def test_five_fresh_processes_with_a_control(whole):
    speed = replicates(whole, whole[0].block, "speed.train")
    assert list(speed) == [0, 1, 2, 3, 4]
    for group in speed.values():
        assert sorted((r.level, r.role) for r in group) == [
            ("backwards", "variant"), ("plain", "control"), ("plain", "variant"),
        ]  # fmt: skip
        assert all(r.of == 3 for r in group)
        for r in group:
            samples = r.data
            assert min(samples["batch"].count(batch) for batch in range(8)) >= 5
            phases = list(samples["phases"].values())
            assert list(samples["phases"]) == ["collate", "forward", "backward", "update"]
            assert [sum(parts) for parts in zip(*phases, strict=True)] == samples["wall"]
            assert samples["counts"]["points"] == [8.0] * 8


BROKEN = {
    "raises": "RuntimeError: the toy is broken (toy.py:",
    "nan": "loss is not finite",
    "shape": "RuntimeError: The size of tensor a (3) must match",
    "exits": "verifying a batch of 8: SystemExit: 0 (toy.py:",
    "interrupts": "KeyboardInterrupt",
    "ends": "the process ended with exit code 0 while verifying",
    "meddles": "it changes torch's default dtype, which all trials share",
    "killed": "the process was killed by SIGSEGV while verifying",
    "hangs": "took longer than its limit of 1 s while verifying",
}


@pytest.fixture(scope="module")
def broken(measured) -> list[Record]:
    """The records of a block with a level for each kind of broken model."""
    levels = [f"{how}: {{model: {{name: broken, how: {how}}}}}" for how in BROKEN]
    return measured("\n    ".join(["backwards: {use: [reverse]}", *levels]), "measure.limit=1 s")


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_model_fails_in_verification_and_the_others_are_measured(broken, how):
    found = outcomes(broken, "verify")
    assert found[how][0] == "failed"
    assert BROKEN[how] in found[how][1]
    assert found["backwards"][0] == "ok"
    assert set(outcomes(broken, "speed.train")) == {"plain", "backwards"}
    assert len(replicates(broken, broken[0].block, "speed.train")) == 5


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this build of Python has no pidfd_open")
def test_processes_that_a_model_starts_are_not_waited_for(measured, servers):
    records = measured("bad: {model: {name: broken, how: leaves}}")
    words = (servers.folder / "worker.log").read_text().split()
    left = [int(number) for word, number in pairwise(words) if word == "left"]
    assert left
    for process in left:
        os.kill(process, signal.SIGKILL)  # raises if the process has ended, which means that it was awaited
    assert len(replicates(records, records[0].block, "speed.train")) == 5


def test_single_baseline_is_compared_with_its_control(measured, planned, servers):
    (block,) = planned("backwards: {use: [reverse]}", "measure.profile.steps=1").blocks
    records: list[Record] = []
    measure_block(block.alone(), [], records.extend, servers)
    assert {r.measure for r in records} == {"verify", "speed.train"}
    assert block.alone().id != block.id
    speed = replicates(records, block.alone().id, "speed.train")
    assert len(speed) == 5
    assert {(r.level, r.role) for group in speed.values() for r in group} == {
        ("plain", "variant"),
        ("plain", "control"),
    }


AWAY = "backwards: {use: [reverse]}\n    away: {use: [elsewhere]}"


def test_trials_of_different_environments_alternate(measured, planned):
    (block,) = planned(AWAY).blocks
    assert [trial.environment for trial in block.trials] == [{}, {}, {"TOY": "1", "HARNESS_THREADS": "1"}]
    records = measured(AWAY)
    assert {level: outcome for level, (outcome, _) in outcomes(records, "verify").items()} == dict.fromkeys(
        ["plain", "backwards", "away"], "ok"
    )
    speed = replicates(records, block.id, "speed.train")
    assert len(speed) == 10  # a ratio of two processes needs more of them
    for group in speed.values():
        assert sorted((r.level, r.role) for r in group) == [
            ("away", "variant"), ("backwards", "variant"), ("plain", "control"), ("plain", "variant"),
        ]  # fmt: skip
        rounds = {tuple(r.data["round"]) for r in group}
        batches = {tuple(r.data["batch"]) for r in group}
        assert len(rounds) == len(batches) == 1  # each sample has a partner in the other process
        assert len(rounds.pop()) >= 40


OTHER = "dataset fickle (plugin toy.py) has other examples than before, under the same fingerprint 'fickle 1'"


def test_a_wrong_fingerprint_of_a_dataset_is_found(measured, servers):
    """Two processes of one run, and two runs of one block, must see the same examples."""
    fickle = SUITE.replace("points", "fickle")
    records = measured("away: {use: [elsewhere]}", text=fickle)
    unchanged = measured("backwards: {use: [reverse]}", text=fickle)
    found = outcomes(records, "verify")
    assert found["plain"][0] == "ok"
    assert found["away"] == ("failed", OTHER)
    assert {record.outcome for record in unchanged} == {"ok"}
    verified = [record for record in unchanged if record.measure == "verify"]
    servers.examples.clear()
    servers.get({}).close()  # then a new process loads the data, as in another run
    later = measured("backwards: {use: [reverse]}", text=fickle, done=verified)[len(verified) :]
    assert {(record.outcome, record.reason) for record in later} == {("failed", OTHER)}


@pytest.mark.slow
def test_processes_with_several_threads_take_turns(measured):
    records = measured("two: {use: [{name: elsewhere, threads: 2}]}")
    assert len(replicates(records, records[0].block, "speed.train")) == 10
    assert all(r.outcome == "ok" for r in records)


@pytest.mark.slow
def test_a_process_that_hangs_in_its_turn_is_left_out(measured):
    bad = f"{AWAY}\n    bad: {{model: {{name: broken, how: hangs, at: 60}}, use: [{{name: elsewhere, threads: 1}}]}}"
    records = measured(bad, "measure.limit=1 s")
    assert outcomes(records, "verify")["bad"][0] == "ok"
    failed = [r for r in records if r.outcome != "ok"]
    assert [(r.level, r.outcome) for r in failed] == [("bad", "failed")]
    assert "its limit of 1 s" in failed[0].reason
    assert len(replicates(records, records[0].block, "speed.train")) == 10


def test_missing_preloaded_library_is_an_error(measured):
    records = measured(
        "backwards: {use: [reverse]}\n    lost: {use: [{name: elsewhere, preload: /no/such/library.so}]}"
    )
    assert outcomes(records, "verify")["lost"] == (
        "failed",
        "the measuring process cannot start: LD_PRELOAD names /no/such/library.so, which the system did not load; "
        "see worker.log.",
    )
    assert outcomes(records, "verify")["backwards"][0] == "ok"
    assert set(outcomes(records, "speed.train")) == {"plain", "backwards"}


def test_a_model_that_fails_during_timing_is_left_out(measured):
    records = measured("backwards: {use: [reverse]}\n    bad: {model: {name: broken, at: 60}}")
    assert outcomes(records, "verify")["bad"][0] == "ok"
    assert outcomes(records, "speed.train")["bad"][0] == "failed"
    assert "one train step" in outcomes(records, "speed.train")["bad"][1]
    groups = replicates(records, records[0].block, "speed.train")
    assert len(groups) == 5
    assert all(len(group) == group[0].of for group in groups.values())


def test_a_broken_baseline_skips_the_block(measured, planned):
    records = measured("backwards: {use: [reverse]}", "base.model={name: broken, how: raises}")
    found = outcomes(records, "verify")
    assert found["plain"][0] == "failed"
    assert found["backwards"] == ("skipped", "its baseline plain cannot be measured")
    assert {r.measure for r in records} == {"verify"}


def test_the_message_about_a_small_dataset_says_what_to_lower(measured):
    records = measured("backwards: {use: [reverse]}", "base.dataset.size=20")
    found = outcomes(records, "speed.train")
    assert found["plain"][0] == "failed"
    assert "lower measure.speed.batches" in found["plain"][1]


def test_finished_work_is_not_measured_again(measured, whole):
    levels = "backwards: {use: [reverse]}"
    whole = [r for r in whole if not r.after_timing]
    half = [r for r in whole if r.replicate < 3]
    resumed = measured(levels, done=half)
    assert resumed[: len(half)] == half
    assert [r.replicate for r in resumed[len(half) :]] == [3] * 3 + [4] * 3
    assert measured(levels, done=whole) == whole


def test_inference_has_no_backward_phase(measured):
    records = measured("backwards: {use: [reverse]}", "measure.speed.of=inference")
    sample = next(r for r in records if r.measure == "speed.inference")
    assert list(sample.data["phases"]) == ["collate", "forward"]


def test_profiling_comes_after_timing(whole, servers):
    assert [r.measure for r in whole[-2:]] == ["profile.train", "profile.train"]
    data = whole[-1].data
    trace = servers.folder / "traces" / data["trace"]
    assert trace.name == "worker.pt.trace.json.gz"
    assert trace.stat().st_size > 0
    assert any(name.startswith("aten::") for name in data["operators"]["name"])


def test_memory_and_cost_are_measured_after_timing_in_separate_processes(measured, whole):
    records = [r for r in whole if r.stage != "profile"]
    after = [r for r in records if r.after_timing]
    assert records[-len(after) :] == after
    assert [(r.measure, r.level) for r in after] == [
        (measure, level)
        for measure, processes in (("memory", 1), ("resident", 3), ("cost", 1), ("cold", 3))
        for measure in [f"{measure}.train"] * processes
        for level in ("plain", "backwards")
    ]
    assert {r.outcome for r in after} <= {"ok", "skipped"}  # not every kernel can reset the peak
    cold = [r.data for r in after if r.measure == "cold.train"]
    assert all(0 < data["built"] < data["ends"][0] < 60 for data in cold), "counted from the fork"
    some = [r for r in records if not r.after_timing] + after[:5]
    assert [r.measure for r in measured("backwards: {use: [reverse]}", text=MORE, done=some)] == [
        r.measure for r in records
    ]


def test_memory_and_cost_do_not_need_timing(measured):
    text = SUITE.replace("  speed:", "  memory: {of: inference}\n  cost: {of: [train, inference]}\n  #")
    records = measured("backwards: {use: [reverse]}", text=text)
    assert {r.measure.partition(".")[2] for r in records if r.measure.startswith("memory")} == {"inference"}
    assert {r.measure.partition(".")[2] for r in records if r.measure.startswith("cost")} == {"train", "inference"}


def test_a_failure_after_timing_leaves_the_times_valid(measured):
    """The memory process runs 24 steps of each model, a cold one 16: the model breaks in the one and not the other."""
    levels = "bad: {model: {name: broken, at: 16}}"
    text = SUITE.replace("  speed:", "  memory: {}\n  cost: {}\n  #")
    records = measured(levels, text=text)
    found = outcomes(records, "memory.train")
    assert found["plain"][0] == "ok"
    assert found["bad"][0] == "failed"
    assert "RuntimeError: the toy is broken" in found["bad"][1]
    assert outcomes(records, "cold.train")["bad"][0] == "ok"
    assert outcomes(records, "cost.train")["bad"][0] == "failed"
    assert measured(levels, text=text, done=records) == records, "nor is it tried again"


def test_other_plugin_versions_are_refused(planned, servers):
    (block,) = planned().blocks
    stale = replace(block.trials[0], model=replace(block.trials[0].model, version="sha256:0"))
    records: list[Record] = []
    measure_block(replace(block, trials=(stale, *block.trials[1:])), [], records.extend, servers)
    assert "the plan expects linear from toy.py sha256:0; the measuring process found sha256:" in records[0].reason


@pytest.mark.slow
def test_flushing_caches_is_not_timed(measured):
    """A cache of 64 MiB is overwritten before each sample, which takes longer than the whole step."""
    warm = measured("backwards: {use: [reverse]}", "measure.speed.visits=5")
    cold = measured("backwards: {use: [reverse]}", "measure.speed.visits=5", "measure.speed.cache=cold")

    def share(records: list[Record]) -> float:
        speed = [r.data for r in records if r.measure == "speed.train"]
        return sum(sum(data["wall"]) * 1e-9 for data in speed) / sum(data["seconds"] for data in speed)

    assert share(cold) < share(warm)


class Canned:
    """Servers with fixed answers."""

    def __init__(self, data: dict) -> None:
        self.folder, self.catalog, self.examples, self.prepared, self.data = Path(), toy_catalog(), {}, None, data

    def get(self, environment, slot=0):
        return self

    def ask(self, **message):
        return {"examples": "digest"}

    def send(self, message):
        self.message = message

    def receive(self):
        if self.message["request"] == "verify":
            return {"findings": [{"level": x, "outcome": "ok", "reason": "", "data": {}} for x in self.data]}
        members = self.message["members"]
        return {"data": [{"level": x, "role": role, "data": self.data[x]} for x, role in members], "seconds": 1.0}


def test_a_quick_run_measures_in_one_process(planned, whole):
    (block,) = planned("backwards: {use: [reverse]}", quick=True).blocks
    records: list[Record] = []
    measure_block(block, [], records.extend, Canned({r.level: r.data for r in whole if r.measure == "speed.train"}))
    assert len(replicates(records, block.id, "speed.train")) == 1


def test_copies_of_a_server_share_its_data_and_answer_on_their_own(planned, servers):
    """Each has a child, and a watchdog, of its own. A copy that dies is replaced."""
    (block,) = planned("backwards: {use: [reverse]}").blocks
    original = Coordinator(block, [], lambda records: None, servers).server(block.baseline, 0)
    copies = [original.copy(slot) for slot in (1, 2)]
    assert original.copy(1) is copies[0]
    message = {"request": "verify"}
    for server in (*copies, original):
        server.send(message)
    answers = [server.receive() for server in (original, *copies)]
    for answer in answers:
        assert [finding["outcome"] for finding in answer["findings"]] == ["ok", "ok"]
    copies[0].close()
    assert copies[0].exit_code is not None
    again = original.copy(1)
    assert again is not copies[0]
    assert [f["outcome"] for f in again.ask(**message)["findings"]] == ["ok", "ok"]
    other = replace(block, series=1)
    assert Coordinator(other, [], lambda records: None, servers).server(other.baseline, 0) is original
    assert original.copy(1) is not again, "it has loaded another block"


def test_a_copy_that_is_killed_is_a_failure_and_its_original_goes_on(planned, servers):
    (block,) = planned("backwards: {use: [reverse]}").blocks
    original = Coordinator(block, [], lambda records: None, servers).server(block.baseline, 0)
    copy = original.copy(1)
    os.kill(copy.pid, signal.SIGKILL)
    assert copy.ask(request="verify") == {"failed": "", "reason": "the measuring process ended"}
    assert "findings" in original.ask(request="verify")
    assert "findings" in original.copy(1).ask(request="verify")


def test_the_death_of_a_server_is_recorded(measured, servers):
    """The last test here. A later test starts the server again."""
    servers.get({}).process.kill()
    records = measured("backwards: {use: [reverse]}")
    assert {r.outcome for r in records} == {"failed"}
    assert "the measuring process ended" in records[0].reason
