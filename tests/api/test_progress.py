"""The progress display in a terminal and in other streams."""

from __future__ import annotations

import io
import time
from dataclasses import replace

import pytest
from made import block as speed_block
from made import learning_block, record, run, runs
from toy_suite import toy_catalog

from harness.api.progress import Progress
from harness.api.steps import START, Steps
from harness.plan.estimates import parts_of, report_seconds
from harness.records.plan import Plan
from harness.records.record import Record
from harness.records.settings import Speed


def test_terminal_shows_progress_after_every_run():
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    block = learning_block("plain", "other", speed=None)
    stream = Terminal()
    progress = Progress(Plan("s", "q?", "what", (block,)), toy_catalog(), stream)
    records: list[Record] = []
    progress.block_begins(block, records)
    records += [Record(block.id, one.level, one.id, "verify", "variant", 0, 1, "ok", "") for one in block.trials]
    progress.stored(block, records)
    for seed in range(6):
        for level in ("plain", "other"):
            records.append(run(block, level, seed, close=0.5 + 0.01 * seed))
            progress.stored(block, records)
    progress.block_ends(block, records)
    text = stream.getvalue()
    assert "all · learning: 1 of 20 runs\n" in text
    assert "all: training 2 of 20 · done about " in text
    assert "all · learning: 12 of 20 runs" in text
    assert "  other  close +0.0 [+0.0, +0.0]  6 seeds  undecided" in text


def test_stream_shows_seeds_and_times():
    """Training runs are not timing processes: they add no lines of their own, and the lines of timing stay."""
    block = learning_block("plain", "other", speed=Speed())
    stream = io.StringIO()
    progress = Progress(Plan("s", "q?", "what", (block,)), toy_catalog(), stream)
    records = []
    for r in runs(block, "plain", close=[0.5] * 5) + runs(block, "other", close=[0.6] * 5):
        records.append(r)
        progress.stored(block, records)
    assert stream.getvalue().count("all · learning: 10 of 20 runs") == 1
    assert "all · train  other  waiting" in stream.getvalue()


def verified(block) -> list[Record]:
    return [Record(block.id, one.level, one.id, "verify", "variant", 0, 1, "ok", "") for one in block.trials]


def timed(block, number: int, *levels: str) -> list[Record]:
    """A process in which the second level takes 1 % longer, or less where the number is odd: it stays undecided."""
    times = {block.trials[0].level: 1e6, block.trials[1].level: 1.01e6 if number % 2 else 0.99e6}
    found = [record(block, level, number, [times[level]] * 10) for level in levels or times]
    return [*found, record(block, block.baseline.level, number, [1e6] * 10, role="control")]


def test_the_next_step_is_named():
    """Timing goes on to the next look where the last one decided nothing; then come the other kinds."""
    block = speed_block("plain", "other", speed=Speed(budget=600.0).as_planned(plain=False))
    steps = Steps(Plan("s", "q?", "what", (block,)), toy_catalog())
    assert str(steps.next_step(block, [])) == "verifying"
    records = verified(block)
    found = []
    for number in range(5):
        found.append(str(steps.next_step(block, records)))
        records += timed(block, number)
    assert found == ["timing 1 of 3", "timing 2 of 3", "timing 3 of 3", "timing 4 of 5", "timing 5 of 5"]
    assert str(steps.next_step(block, records)) == "timing 6 of 10"
    decided = [*verified(block), *(record(block, "other", n, [2e6] * 10) for n in range(3))]
    decided += [one for n in range(3) for one in timed(block, n, "plain")]
    assert steps.next_step(block, decided) is None


def test_levels_that_failed_are_not_waited_for():
    block = learning_block("plain", "other", "third", speed=None)
    steps = Steps(Plan("s", "q?", "what", (block,)), toy_catalog())
    failed = replace(verified(block)[2], outcome="failed")
    records = [*verified(block)[:2], failed, run(block, "plain", 0, close=0.5)]
    assert str(steps.next_step(block, records)) == "training 2 of 20"
    assert steps.next_step(block, [replace(one, outcome="failed") for one in verified(block)]) is None


def test_the_time_left_covers_the_whole_run_and_learns_from_the_first_block():
    class Clock:
        now = 0.0

    blocks = tuple(
        replace(speed_block("plain", "other", speed=Speed(budget=600.0).as_planned(plain=False)), context={"x": str(n)})
        for n in range(2)
    )
    catalog, clock = toy_catalog(), Clock()
    steps = Steps(Plan("s", "q?", "what", blocks), catalog, lambda: clock.now)
    setup, timing = parts_of(blocks[0], catalog)
    one = setup.seconds.expected + timing.seconds.expected
    report = report_seconds(blocks)
    assert steps.left(blocks[0], []) == pytest.approx(START + 2 * one + report)
    steps.begin()
    records = verified(blocks[0])
    steps.complete(blocks[0], records[-1])
    assert steps.left(blocks[0], records) == pytest.approx(timing.seconds.expected + one + report)
    for number in range(3):
        clock.now += 3 * timing.each
        records += timed(blocks[0], number)
        steps.complete(blocks[0], records[-1])
    left = 3 * 2 * timing.each  # the next look is after five processes
    assert steps.left(blocks[0], records) == pytest.approx(
        left + setup.seconds.expected + 3 * timing.seconds.expected + report
    )


def test_the_end_is_a_time_on_the_clock():
    block = speed_block("plain", "other", speed=Speed())
    noon = time.mktime((2026, 12, 1, 12, 0, 30, 0, 0, -1))
    progress = Progress(Plan("s", "q?", "what", (block,)), toy_catalog(), io.StringIO(), now=lambda: noon)
    assert progress._done_about(125) == "done about 12:02"
    assert progress._done_about(20 * 3600) == "done about Wed 08:00"
