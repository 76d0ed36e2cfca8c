"""The progress display in a terminal and in other streams."""

from __future__ import annotations

import io

from made import learning_block, run, runs
from toy_suite import toy_catalog

from harness.api.progress import Progress
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
