"""The modes call and fresh time the prediction of prepared batches alone."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace

import pytest
import torch
from toy_suite import SUITE, TOY, read

import harness
from harness.errors import UserError
from harness.measure.runtime.clock import Clock, SampleBuffer, run_rounds, take
from harness.measure.runtime.failure import TrialFailed
from harness.measure.runtime.member import BuiltMember
from harness.modes import MODES, WORDS, step_name, step_note
from harness.records.settings import SpeedSettings
from harness.records.value_types import FROM_SUITE


class FakeTime:
    """A clock that only predictions and collation move: a prediction takes 1, and 10 for another batch than the last
    one; collation takes 1000."""

    def __init__(self) -> None:
        self.now = 0
        self.last: object = None
        self.predicted: list[object] = []
        self.clock = Clock(wall=lambda: self.now, cpu=lambda: self.now, switches=lambda: 0)

    def collate(self, examples: list[float]) -> tuple[torch.Tensor]:
        self.now += 1000
        return (torch.tensor(examples),)

    def evaluate(self, model: torch.nn.Module, batch: tuple[torch.Tensor]) -> torch.Tensor:
        assert torch.is_inference_mode_enabled()
        assert not model.training
        self.now += 1 if batch is self.last else 10
        self.last = batch
        self.predicted.append(batch)
        return batch[0].sum()

    def member(self, mode: str) -> BuiltMember:
        built = SimpleNamespace(
            trial=SimpleNamespace(level="a"), model=torch.nn.Linear(1, 1), batch=self.collate, evaluate=self.evaluate
        )
        watchdog = SimpleNamespace(doing=lambda level, activity: None)
        return BuiltMember(built, "variant", [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], mode, watchdog)


@pytest.mark.parametrize(("mode", "wall"), [("inference", 4 * 1010), ("call", 4 * 1), ("fresh", 4 * 10)])
def test_what_a_sample_of_four_steps_includes(mode, wall):
    time = FakeTime()
    buffer = SampleBuffer(repeats=4)
    take(time.member(mode), 1, buffer, time.clock, round_=0, position=0)
    assert buffer.wall == buffer.cpu == [wall]
    expected = {"inference": {"collate": [4000], "forward": [40]}}
    assert buffer.phases == expected.get(mode, {"forward": [wall]})


def test_call_repeats_one_batch_and_fresh_takes_four_equal_ones():
    time = FakeTime()
    take(time.member("call"), 1, SampleBuffer(repeats=4), time.clock, round_=0, position=0)
    assert [batch is time.predicted[0] for batch in time.predicted] == [True] * 5  # the first is not timed
    time = FakeTime()
    take(time.member("fresh"), 1, SampleBuffer(repeats=4), time.clock, round_=0, position=0)
    assert len({id(batch) for batch in time.predicted}) == 4
    assert [batch[0].tolist() for batch in time.predicted] == [[2.0, 3.0]] * 4


def test_other_members_do_not_evict_the_batch_of_a_call():
    """Two members take turns; for the clock, each evicts what the other one used."""
    for mode, wall in (("call", 1), ("fresh", 10)):
        time = FakeTime()
        members, buffers = [time.member(mode), time.member(mode)], [SampleBuffer(), SampleBuffer()]
        run_rounds(members, buffers, 3, range(6), time.clock, Random(0))
        assert [buffer.wall for buffer in buffers] == [[wall] * 6] * 2


@pytest.mark.parametrize("mode", ["call", "fresh"])
def test_a_batch_that_is_changed_in_place_is_a_failure(mode):
    time = FakeTime()
    member = time.member(mode)
    take(member, 0, SampleBuffer(), time.clock, round_=0, position=0)
    member.check()
    with torch.inference_mode():
        time.predicted[-1][0].add_(1)
    with pytest.raises(TrialFailed, match="changes its batch in place"):
        member.check()


def test_each_mode_has_words():
    assert list(WORDS) == list(MODES)
    assert step_name("call") == "a repeated call"
    assert step_note("learning") == ()


def test_call_excludes_cold_caches():
    SpeedSettings.model_validate({"of": ["fresh"], "cache": "cold"}, context=FROM_SUITE)
    with pytest.raises(UserError, match=r"mode call is timed with warm caches; expected fresh in place of call"):
        read(SUITE.replace("speed: {", "speed: {of: [train, call], cache: cold, "))


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A run in which prediction takes longer for another batch than the last one."""
    folder = tmp_path_factory.mktemp("modes")
    text = SUITE.replace("backwards: {use: [reverse]}", "slow: {model: remembers}").replace("  use: [descent]\n", "")
    text = text.replace("speed: {", "speed: {of: [call, fresh], ") + "  memory: {}\n  cost: {}\n  profile: {steps: 1}\n"
    (folder / "modes.yaml").write_text(text)
    return harness.run(folder / "modes.yaml", plugins=[TOY], results=folder / "results")


def test_the_ratio_depends_on_whether_the_batch_is_the_same(report):
    ratios = {row["mode"]: row["ratio"] for row in report.comparisons if row["metric"] == "step_time"}
    assert ratios["call"] < 2
    assert ratios["fresh"] > 10


def test_memory_cost_and_profile_are_of_the_same_modes(report):
    found = {(row["mode"], row["quantity"]) for row in report.rows("resources").rows}
    for mode in ("call", "fresh"):
        assert {(mode, "forward_peak_bytes"), (mode, "forward_flops"), (mode, "peak_bytes")} <= found
        assert (mode, "collate_peak_bytes") not in found
        assert (mode, "kept_bytes") not in found


@pytest.mark.parametrize("name", ["report.html", "report.md", "report.txt", "tables.tex", "report.json"])
def test_every_report_says_what_is_timed(report, name):
    text = (report.folder / name).read_text()
    assert WORDS["call"] in text
    assert WORDS["fresh"] in text


def test_the_short_summary_names_what_is_timed(report):
    text = (report.folder / "summary.md").read_text()
    assert step_name("call") in text
    assert step_name("fresh") in text
