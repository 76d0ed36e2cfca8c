"""Progress of a run: a line per comparison, redrawn between processes and never during one."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from typing import TextIO

from harness.analysis.controls import floor_of
from harness.analysis.learning import Learned
from harness.analysis.stats import Estimate
from harness.analysis.timing import Measured, alpha_of, decide, looks_of
from harness.measure.runner import Watcher
from harness.plan.planner import estimated_seconds
from harness.plugins.isolation import visible
from harness.records.plan import LEARNING, Block, Plan, Record


class Progress(Watcher):
    """Writes to a stream: on a terminal the lines of the current block are redrawn in place; elsewhere they are written
    after 5, 10 and 20 processes, when a verdict is possible."""

    def __init__(self, plan: Plan, stream: TextIO) -> None:
        self.plan, self.stream = plan, stream
        self.live = stream.isatty()
        self.drawn = 0
        self.written: list[str] = []
        self.problems: set[str] = set()
        #: When the first run of a block was done, and how many were by then.
        self.learning_begun: dict[str, tuple[float, int]] = {}
        self.taken = self.expected = self.block_begun = 0.0
        names = [f"{b.name} · {mode}" for b in plan.blocks for mode in _modes(b)]
        self.width = max(map(len, names), default=0)
        self.level_width = max((len(t.level) for b in plan.blocks for t in b.trials), default=0)

    def block_begins(self, block: Block, records: Sequence[Record]) -> None:
        """Write which block is next, and the time left."""
        number = self.plan.blocks.index(block) + 1
        left = f"{_clock(self._remaining(number - 1))} left in all"
        self.drawn, self.written, self.block_begun = 0, [], time.monotonic()
        self._draw(
            [f"{block.name}: verifying {len(block.trials)} trials (block {number} of {len(self.plan.blocks)}, {left})"]
        )

    def stored(self, block: Block, records: Sequence[Record]) -> None:
        """Redraw the block's comparisons."""
        if records[-1].measure == LEARNING:
            if self.live or self._a_seed_is_done(block, records):
                self._draw(self._lines(block, records))
        elif records[-1].after_the_clock:
            self._draw([*self._lines(block, records), f"{block.name}: {records[-1].measure}"], only_live=True)
        elif self.live or self._at_a_look(block, records):
            self._draw(self._lines(block, records))

    def block_ends(self, block: Block, records: Sequence[Record]) -> None:
        """Write the block's comparisons for the last time."""
        lines = self._lines(block, records, finished=True)
        if self.live or lines != self.written:
            self._draw(lines)
        self.drawn = 0
        self.taken += time.monotonic() - self.block_begun
        self.expected += estimated_seconds(block)[0]

    def note(self, text: str) -> None:
        """Write a line above the block's."""
        self._draw([text])
        self.drawn = 0

    def problem(self, text: str) -> None:
        """Write a problem once, above the block's lines."""
        if text not in self.problems:
            self.problems.add(text)
            self.note(text)

    def _at_a_look(self, block: Block, records: Sequence[Record]) -> bool:
        """Whether intervals are looked at after the process that just ended."""
        mode = records[-1].measure.removeprefix("speed.")
        return mode in _modes(block) and len(Measured(block, records, mode).processes) in looks_of(block)

    def _a_seed_is_done(self, block: Block, records: Sequence[Record]) -> bool:
        """Whether the run that just ended completes a multiple of five seeds."""
        runs = sum(record.block == block.id and record.measure == LEARNING for record in records)
        return runs % (5 * len(block.trials)) == 0

    def _lines(self, block: Block, records: Sequence[Record], *, finished: bool = False) -> list[str]:
        lines = []
        for mode in _modes(block):
            measured = Measured(block, records, mode)
            estimates = measured.estimates()
            floor = floor_of(measured.log_ratios(block.baseline.level, "control"))
            for trial in block.trials[1:]:
                head = f"{f'{block.name} · {mode}':<{self.width}}  {trial.level:<{self.level_width}}"
                broken = measured.broken.get(trial.level) or measured.broken.get(block.baseline.level)
                if broken:
                    lines.append(f"{head}  {broken.outcome}: {broken.reason}")
                elif trial.level not in estimates:
                    lines.append(f"{head}  waiting")
                else:
                    estimate = estimates[trial.level]
                    words = [
                        ratio_words(estimate, 1 - alpha_of(measured.settings)),
                        f"{estimate.k} process{'es' if estimate.k > 1 else ''}",
                    ]
                    if estimate.k >= looks_of(block)[0] and not measured.contended:
                        words.append(decide(estimate, measured.settings, floor, looks_of(block)[0])[0])
                    if self.live and not finished:
                        words.append(self._left(block, measured))
                    lines.append("  ".join([head, *words]))
        if block.measures.learning:
            lines += self._learning_lines(block, records, finished=finished)
        return lines or [f"{block.name}: verified"]

    def _learning_lines(self, block: Block, records: Sequence[Record], *, finished: bool) -> list[str]:
        """How many runs are done, and what they show so far."""
        one = Learned(block, records)
        runs = [record for record in records if record.block == block.id and record.measure == LEARNING]
        if not runs and not finished:
            return []
        due = len(runs) + sum(
            seed not in one.runs[trial.level]
            for trial in block.trials
            for seed in one.settings.seeds
            if trial.level not in one.broken
        )
        head = f"{block.name} · learning: {len(runs)} of {due} runs"
        if self.live and not finished and runs:
            first = self.learning_begun.setdefault(block.id, (time.monotonic(), len(runs)))
            pace = (time.monotonic() - first[0]) / max(1, len(runs) - first[1])
            here = pace * (due - len(runs))
            after = self._remaining(self.plan.blocks.index(block) + 1)
            head += f", {_clock(here)} left here, {_clock(here + after)} in all"
        lines = [head]
        for trial in block.trials[1:]:
            compared = one.compare(trial.level, one.settings.metric)
            if compared.interval is not None:
                size, low, high = map(compared.in_words, (compared.size or 0.0, *compared.interval))
                words = f"{one.settings.metric} {size} [{low}, {high}]  {len(compared.seeds)} seeds"
                lines.append(f"  {trial.level:<{self.level_width}}  {words}  {compared.verdict}")
        return lines

    def _left(self, block: Block, measured: Measured) -> str:
        """Time left: in this block until the next look, and at least in all blocks after it."""
        k = len(measured.processes)
        goal = 1 if measured.settings.quick else next((look for look in looks_of(block) if look >= k), k)
        here = measured.seconds / k * (goal - k)
        after = self._remaining(self.plan.blocks.index(block) + 1)
        return f"{_clock(here)} left here, {_clock(here + after)} in all"

    def _remaining(self, begin: int) -> float:
        """The least time of the blocks from `begin` on, scaled by how long the blocks so far took."""
        pace = self.taken / self.expected if self.expected else 1.0
        return pace * sum(estimated_seconds(block)[0] for block in self.plan.blocks[begin:])

    def _draw(self, lines: list[str], *, only_live: bool = False) -> None:
        if only_live and not self.live:
            return
        shown = lines = [visible(line) for line in lines]
        if self.live:
            columns = shutil.get_terminal_size().columns  # a wrapped line would upset the count of lines to go up
            shown = [line if len(line) < columns else line[: columns - 4] + "..." for line in lines]
            if self.drawn:
                self.stream.write(f"\x1b[{self.drawn}A\x1b[J")
        self.stream.write("\n".join(shown) + "\n")
        self.stream.flush()
        self.drawn, self.written = len(lines), lines


def ratio_words(estimate: Estimate, confidence: float) -> str:
    """Ratio and interval in a fixed width; the interval takes two processes."""
    low, high = (math.exp(bound) for bound in estimate.interval(confidence)) if estimate.k > 1 else (math.nan, math.nan)
    interval = f"[{low:.3f}, {high:.3f}]" if estimate.k > 1 else ""
    return f"{math.exp(estimate.mean):.3f} {interval:<14}"


def _modes(block: Block) -> tuple[str, ...]:
    return block.measures.speed.of if block.measures.speed else ()


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
