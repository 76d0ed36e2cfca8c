"""The progress of a run: one line per comparison and one that names the step, redrawn between processes and never while
one measures."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from harness.analysis.standing import LearningStanding, ModeStanding, Standing, standing_of
from harness.analysis.stats import Estimate
from harness.analysis.timing import Comparison
from harness.api.steps import Steps
from harness.measure.runner import Watcher
from harness.plan.estimates import report_seconds
from harness.plugins.catalog import Catalog
from harness.plugins.isolation import visible
from harness.records.plan import LEARNING, Block, Plan
from harness.records.record import Record

#: The time of the day, in seconds since the epoch.
Now = Callable[[], float]


class Progress(Watcher):
    """Writes to a stream. On a terminal the lines of the current block are redrawn in place; elsewhere they are written
    after 5, 10 and 20 processes, when a verdict is possible. Nothing is written while a process measures, so the line
    of a step says when the run will be done, and not how long that is."""

    def __init__(self, plan: Plan, catalog: Catalog, stream: TextIO, now: Now = time.time) -> None:
        self.plan, self.stream, self.now = plan, stream, now
        self.live = stream.isatty()
        self.lines_drawn = 0
        self.written: list[str] = []
        self.problems: set[str] = set()
        self.steps = Steps(plan, catalog)
        names = [_head(b, mode) for b in plan.blocks for mode in b.measures.timed_modes]
        self.width = max(map(len, names), default=0)
        self.level_width = max((len(t.level) for b in plan.blocks for t in b.trials), default=0)

    def block_begins(self, block: Block, records: Sequence[Record]) -> None:
        """Write which block is next, and when the run will be done."""
        self.steps.begin()
        self.lines_drawn, self.written = 0, []
        self._draw([self._step_line(block, records)])

    def stored(self, block: Block, records: Sequence[Record]) -> None:
        """Redraw the block's comparisons, and name the next step."""
        last = records[-1]
        self.steps.complete(block, last)
        if not self.live and last.after_timing and last.measure != LEARNING:
            return
        standing = standing_of(block, records)
        if self.live:
            self._draw([*self._lines(block, standing), self._step_line(block, records)])
        elif self._is_due(block, last, standing):
            self._draw(self._lines(block, standing))

    def block_ends(self, block: Block, records: Sequence[Record]) -> None:
        """Write the block's comparisons for the last time."""
        lines = self._lines(block, standing_of(block, records), finished=True)
        if self.live or lines != self.written:
            self._draw(lines)
        self.lines_drawn = 0

    def measured(self) -> None:
        """Say that the report is being written, which takes seconds."""
        if self.live:
            self._draw([f"writing the report · {self._done_about(report_seconds(self.plan.blocks))}"])

    def note(self, text: str) -> None:
        """Write a note above the lines of the block."""
        self._draw([text])
        self.lines_drawn = 0

    def problem(self, text: str) -> None:
        """Write a problem above the lines of the block, once."""
        if text not in self.problems:
            self.problems.add(text)
            self.note(text)

    def _step_line(self, block: Block, records: Sequence[Record]) -> str:
        """What is measured next, and when the run will be done."""
        step = self.steps.next_step(block, records)
        parts = [f"{block.name}: {step or 'complete'}"]
        if len(self.plan.blocks) > 1:
            parts.append(f"block {self.plan.blocks.index(block) + 1} of {len(self.plan.blocks)}")
        return " · ".join([*parts, self._done_about(self.steps.left(block, records))])

    def _done_about(self, seconds: float) -> str:
        """When the run will be done, on the clock; with the day of the week if that is not today."""
        now, then = (time.localtime(moment) for moment in (self.now(), self.now() + seconds))
        return time.strftime("done about %H:%M" if now.tm_yday == then.tm_yday else "done about %a %H:%M", then)

    def _is_due(self, block: Block, last: Record, standing: Standing) -> bool:
        """Whether a stream that is no terminal gets lines now: at a look, or when five more seeds are complete."""
        if last.measure == LEARNING:
            return bool(standing.learning and standing.learning.runs % (5 * len(block.trials)) == 0)
        return any(one.mode == last.mode and one.at_look for one in standing.modes)

    def _lines(self, block: Block, standing: Standing, *, finished: bool = False) -> list[str]:
        lines = [self._line(block, one, level) for one in standing.modes for level in one.levels]
        if standing.learning and (standing.learning.runs or finished):
            lines += self._learning_lines(block, standing.learning)
        return lines or [f"{block.name}: verified"]

    def _line(self, block: Block, one: ModeStanding, level: Comparison) -> str:
        words = [f"{_head(block, one.mode):<{self.width}}", f"{level.level:<{self.level_width}}"]
        if level.estimate is None:
            return "  ".join([*words, level.reason or "waiting"])
        k = level.estimate.k
        words += [ratio_words(level.estimate, level.confidence), f"{k} process{'es' if k > 1 else ''}"]
        return "  ".join([*words, *([level.verdict] if level.verdict else [])])

    def _learning_lines(self, block: Block, learning: LearningStanding) -> list[str]:
        """The number of complete training runs, and the comparisons so far."""
        lines = [f"{block.name} · learning: {learning.runs} of {learning.planned} runs"]
        for compared in learning.comparisons:
            if compared.interval is not None:
                size, low, high = map(compared.in_words, (compared.size or 0.0, *compared.interval))
                words = f"{learning.metric} {size} [{low}, {high}]  {len(compared.seeds)} seeds"
                lines.append(f"  {compared.level:<{self.level_width}}  {words}  {compared.verdict}")
        return lines

    def _draw(self, lines: list[str]) -> None:
        shown = lines = [visible(line) for line in lines]
        if self.live:
            columns, rows = shutil.get_terminal_size()
            # A wrapped line, or more lines than the terminal has, would break the count of lines.
            shown = [line if len(line) < columns else line[: columns - 4] + "..." for line in shown[-(rows - 1) :]]
            if self.lines_drawn:
                self.stream.write(f"\x1b[{self.lines_drawn}A\x1b[J")
        self.stream.write("\n".join(shown) + "\n")
        self.stream.flush()
        self.lines_drawn, self.written = len(shown), lines


def ratio_words(estimate: Estimate, confidence: float) -> str:
    """The ratio and its interval in a fixed width; no interval for a single process."""
    interval = ""
    if estimate.k > 1:
        low, high = (math.exp(bound) for bound in estimate.interval(confidence))
        interval = f"[{low:.3f}, {high:.3f}]"
    return f"{math.exp(estimate.mean):.3f} {interval:<14}"


def _head(block: Block, mode: str) -> str:
    return f"{block.name} · {mode}"
