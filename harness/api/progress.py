"""The progress of a run: one line per comparison, redrawn between processes and never while one measures."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from typing import TextIO

from harness.analysis.standing import LearningStanding, ModeStanding, Standing, standing_of
from harness.analysis.stats import Estimate
from harness.analysis.timing import Comparison
from harness.measure.runner import Watcher
from harness.plan.estimates import estimated_seconds
from harness.plugins.catalog import Catalog
from harness.plugins.isolation import visible
from harness.records.plan import LEARNING, Block, Plan
from harness.records.record import Record


class Progress(Watcher):
    """Writes to a stream. On a terminal the lines of the current block are redrawn in place; elsewhere they are written
    after 5, 10 and 20 processes, when a verdict is possible."""

    def __init__(self, plan: Plan, catalog: Catalog, stream: TextIO) -> None:
        self.plan, self.stream = plan, stream
        self.live = stream.isatty()
        self.lines_drawn = 0
        self.written: list[str] = []
        self.problems: set[str] = set()
        self.clock = Clock([estimated_seconds(block, catalog).expected for block in plan.blocks])
        names = [_head(b, mode) for b in plan.blocks for mode in b.measures.timed_modes]
        self.width = max(map(len, names), default=0)
        self.level_width = max((len(t.level) for b in plan.blocks for t in b.trials), default=0)

    def block_begins(self, block: Block, records: Sequence[Record]) -> None:
        """Write which block is next, and the time left."""
        number = self.plan.blocks.index(block)
        self.clock.begin(number)
        self.lines_drawn, self.written = 0, []
        left = f"{minutes(self.clock.left_from(number))} left in total"
        place = f"block {number + 1} of {len(self.plan.blocks)}"
        self._draw([f"{block.name}: verifying {len(block.trials)} trials ({place}, {left})"])

    def stored(self, block: Block, records: Sequence[Record]) -> None:
        """Redraw the block's comparisons."""
        last = records[-1]
        if not self.live and last.after_timing and last.measure != LEARNING:
            return
        standing = standing_of(block, records)
        if self.live or self._is_due(block, last, standing):
            more = [f"{block.name}: {last.measure}"] if last.after_timing and last.measure != LEARNING else []
            self._draw([*self._lines(block, standing), *more])

    def block_ends(self, block: Block, records: Sequence[Record]) -> None:
        """Write the block's comparisons for the last time."""
        lines = self._lines(block, standing_of(block, records), finished=True)
        if self.live or lines != self.written:
            self._draw(lines)
        self.lines_drawn = 0
        self.clock.end(self.plan.blocks.index(block))

    def note(self, text: str) -> None:
        """Write a note above the lines of the block."""
        self._draw([text])
        self.lines_drawn = 0

    def problem(self, text: str) -> None:
        """Write a problem above the lines of the block, once."""
        if text not in self.problems:
            self.problems.add(text)
            self.note(text)

    def _is_due(self, block: Block, last: Record, standing: Standing) -> bool:
        """Whether a stream that is no terminal gets lines now: at a look, or when five more seeds are complete."""
        if last.measure == LEARNING:
            return bool(standing.learning and standing.learning.runs % (5 * len(block.trials)) == 0)
        return any(one.mode == last.mode and one.at_look for one in standing.modes)

    def _lines(self, block: Block, standing: Standing, *, finished: bool = False) -> list[str]:
        lines = [self._line(block, one, level, finished) for one in standing.modes for level in one.levels]
        if standing.learning and (standing.learning.runs or finished):
            lines += self._learning_lines(block, standing.learning, finished)
        return lines or [f"{block.name}: verified"]

    def _line(self, block: Block, one: ModeStanding, level: Comparison, finished: bool) -> str:
        words = [f"{_head(block, one.mode):<{self.width}}", f"{level.level:<{self.level_width}}"]
        if level.estimate is None:
            return "  ".join([*words, level.reason or "waiting"])
        k = level.estimate.k
        words += [ratio_words(level.estimate, level.confidence), f"{k} process{'es' if k > 1 else ''}"]
        words += [level.verdict] if level.verdict else []
        return "  ".join([*words, *self._left(block, one.left, finished)])

    def _learning_lines(self, block: Block, learning: LearningStanding, finished: bool) -> list[str]:
        """The number of complete training runs, and the comparisons so far."""
        head = f"{block.name} · learning: {learning.runs} of {learning.planned} runs"
        seconds = self.clock.left_of_runs(block.id, learning.runs, learning.planned)
        lines = [", ".join([head, *self._left(block, seconds, finished or not learning.runs)])]
        for compared in learning.comparisons:
            if compared.interval is not None:
                size, low, high = map(compared.in_words, (compared.size or 0.0, *compared.interval))
                words = f"{learning.metric} {size} [{low}, {high}]  {len(compared.seeds)} seeds"
                lines.append(f"  {compared.level:<{self.level_width}}  {words}  {compared.verdict}")
        return lines

    def _left(self, block: Block, seconds: float, finished: bool) -> list[str]:
        """The time left in this block and the least time left in total, on a terminal."""
        if finished or not self.live:
            return []
        total = seconds + self.clock.left_from(self.plan.blocks.index(block) + 1)
        return [f"{minutes(seconds)} left in this block, {minutes(total)} in total"]

    def _draw(self, lines: list[str]) -> None:
        shown = lines = [visible(line) for line in lines]
        if self.live:
            columns = shutil.get_terminal_size().columns  # a wrapped line would break the count of lines
            shown = [line if len(line) < columns else line[: columns - 4] + "..." for line in lines]
            if self.lines_drawn:
                self.stream.write(f"\x1b[{self.lines_drawn}A\x1b[J")
        self.stream.write("\n".join(shown) + "\n")
        self.stream.flush()
        self.lines_drawn, self.written = len(lines), lines


class Clock:
    """The time that is left. `expected` is the expected time of each block in seconds."""

    def __init__(self, expected: Sequence[float]) -> None:
        self.expected = expected
        self.taken = self.expected_of_taken = self.begun = 0.0
        #: By block, when its first training runs were complete, and how many there were.
        self.first_runs: dict[str, tuple[float, int]] = {}

    def begin(self, block: int) -> None:
        """Block number `block` begins."""
        self.begun = time.monotonic()

    def end(self, block: int) -> None:
        """Block number `block` ends."""
        self.taken += time.monotonic() - self.begun
        self.expected_of_taken += self.expected[block]

    def left_from(self, block: int) -> float:
        """The expected time for the blocks from this number on, scaled by how long the earlier blocks took."""
        pace = self.taken / self.expected_of_taken if self.expected_of_taken else 1.0
        return pace * sum(self.expected[block:])

    def left_of_runs(self, block: str, runs: int, planned: int) -> float:
        """The time for the other training runs of a block, at the pace of those since the first look."""
        begun, complete = self.first_runs.setdefault(block, (time.monotonic(), runs))
        return (time.monotonic() - begun) / max(1, runs - complete) * (planned - runs)


def ratio_words(estimate: Estimate, confidence: float) -> str:
    """The ratio and its interval in a fixed width; no interval for a single process."""
    interval = ""
    if estimate.k > 1:
        low, high = (math.exp(bound) for bound in estimate.interval(confidence))
        interval = f"[{low:.3f}, {high:.3f}]"
    return f"{math.exp(estimate.mean):.3f} {interval:<14}"


def _head(block: Block, mode: str) -> str:
    return f"{block.name} · {mode}"


def minutes(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
