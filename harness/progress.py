"""What one sees while a run goes on: a line a comparison, redrawn between processes and never during one."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TextIO

from harness import stats
from harness.compare import Measured
from harness.plan import estimated_seconds
from harness.records import Block, Plan, Record
from harness.run import Watcher


class Progress(Watcher):
    """Draws to a stream: on a terminal the lines of the current block are rewritten in place, elsewhere they are
    written once, when the block is done."""

    def __init__(self, plan: Plan, stream: TextIO) -> None:
        self.plan, self.stream = plan, stream
        self.live = stream.isatty()
        self.drawn = 0
        self.begun = self.block_begun = time.monotonic()
        self.width = max((len(f"{b.name} · inference") for b in plan.blocks), default=0)
        self.level_width = max((len(t.level) for b in plan.blocks for t in b.trials), default=0)

    def block_begins(self, block: Block, records: Sequence[Record]) -> None:
        """Say which block is next."""
        self.block_begun = time.monotonic()
        number = self.plan.blocks.index(block) + 1
        least, most = self._remaining(block)
        self.drawn = 0
        self._draw([f"{block.name}: verifying {len(block.trials)} trials (block {number} of {len(self.plan.blocks)}, "
                    f"{_clock(least)} to {_clock(most)} left in all)"])  # fmt: skip
        if not self.live:
            self.stream.flush()

    def stored(self, block: Block, records: Sequence[Record]) -> None:
        """Redraw the block's comparisons."""
        if self.live or self._at_a_look(block, records):
            self._draw(self._lines(block, records, finished=False))

    def block_ends(self, block: Block, records: Sequence[Record]) -> None:
        """Leave the block's comparisons standing."""
        self._draw(self._lines(block, records, finished=True))
        self.drawn = 0

    def _at_a_look(self, block: Block, records: Sequence[Record]) -> bool:
        """Whether the process that just ended is one after which the intervals are looked at."""
        measure = records[-1].measure
        if not measure.startswith("speed."):
            return False
        k = len(Measured(block, records, measure.removeprefix("speed.")).processes)
        return k in stats.LOOKS

    def _lines(self, block: Block, records: Sequence[Record], *, finished: bool) -> list[str]:
        lines = []
        for mode in block.measures.speed.of if block.measures.speed else ():
            measured = Measured(block, records, mode)
            estimates = measured.estimates()
            for trial in block.trials[1:]:
                head = f"{f'{block.name} · {mode}':<{self.width}}  {trial.level:<{self.level_width}}"
                broken = measured.broken.get(trial.level)
                if broken:
                    lines.append(f"{head}  {broken.outcome}: {broken.reason}")
                elif trial.level in estimates:
                    estimate = estimates[trial.level]
                    low, high = estimate.interval() if estimate.k > 1 else (math.nan, math.nan)
                    interval = f"[{math.exp(low):.3f}, {math.exp(high):.3f}]" if estimate.k > 1 else " " * 14
                    left = "" if finished else f"  {self._left(block, measured)}"
                    goal = f"{estimate.k}/{_goal(estimate.k)}" if not finished else f"{estimate.k}"
                    lines.append(f"{head}  {math.exp(estimate.mean):.3f} {interval}  {goal} processes{left}")
                else:
                    lines.append(f"{head}  {'not measured' if finished else 'waiting'}")
        return lines or [f"{block.name}: done"]

    def _left(self, block: Block, measured: Measured) -> str:
        k = len(measured.processes)
        if not k:
            return ""
        seconds = measured.seconds / k * max(0, _goal(k) - k)
        least, most = self._remaining(block)
        own, _ = estimated_seconds(block)
        return f"{_clock(seconds)} left here, {_clock(seconds + max(0.0, least - own))} or more in all"

    def _remaining(self, block: Block) -> tuple[float, float]:
        blocks = self.plan.blocks[self.plan.blocks.index(block) :]
        least, most = zip(*(estimated_seconds(one) for one in blocks), strict=True)
        return sum(least), sum(most)

    def _draw(self, lines: Sequence[str]) -> None:
        if self.live and self.drawn:
            self.stream.write(f"\x1b[{self.drawn}A\x1b[J")
        self.stream.write("\n".join(lines) + "\n")
        self.stream.flush()
        self.drawn = len(lines)


def _goal(k: int) -> int:
    """The number of processes after which the width is looked at next."""
    return next((look for look in stats.LOOKS if look >= k), stats.LOOKS[-1])


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
