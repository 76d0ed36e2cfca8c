"""What a run measures next, and how long the rest takes: from the records so far and the times of what was measured."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from harness.analysis.time_verdicts import looks_of
from harness.measure.block_records import record_name
from harness.plan.estimates import VERIFY, Part, parts_of, report_seconds
from harness.plugins.catalog import Catalog, resolve
from harness.records.plan import Block, Plan
from harness.records.record import Record, replicates

#: What a run does, by the name of a part. Of other kinds it says that they are measured.
VERBS = {VERIFY: "verifying", "speed": "timing", "profile": "profiling", "learning": "training"}
#: The seconds until the first process of a run begins: its server imports torch and the plugins.
START = 3.0


@dataclass(frozen=True)
class Step:
    """The next unit of a part of a block: `number` of `of`, as far as that is known. `left` is how many units to expect
    of the part, with this one."""

    part: Part
    number: int
    of: int
    left: float

    def __str__(self) -> str:
        verb = VERBS.get(self.part.name, f"measuring {self.part.name}")
        return verb if self.part.name == VERIFY else f"{verb} {self.number} of {self.of}"


class Steps:
    """The steps of a plan, and the pace at which they are measured. `now` is a clock in seconds."""

    def __init__(self, plan: Plan, catalog: Catalog, now: Callable[[], float] = time.monotonic) -> None:
        self.plan, self.catalog, self.now = plan, catalog, now
        self.parts = {block.id: parts_of(block, catalog) for block in plan.blocks}
        self.last, self.starting = now(), True
        #: By the name of a part, the seconds that its units took, and those that were expected of them.
        self.taken: dict[str, float] = defaultdict(float)
        self.expected: dict[str, float] = defaultdict(float)

    def begin(self) -> None:
        """A block begins."""
        self.last = self.now()

    def complete(self, block: Block, record: Record) -> None:
        """A unit is complete, of which this is a record. How long it took shows how long others take; what a run
        measures first also waits for a server to start."""
        seconds, self.last = self.now() - self.last, self.now()
        part = next((one for one in self.parts[block.id] if self._is_of(record, one)), None)
        if part is not None and not self.starting:
            self.taken[part.name] += seconds
            self.expected[part.name] += part.each
        self.starting = False

    def next_step(self, block: Block, records: Sequence[Record]) -> Step | None:
        """What is measured next in a block; None if it is complete. `records` are all of the run."""
        return next(self._steps(block, records), None)

    def left(self, block: Block, records: Sequence[Record]) -> float:
        """The seconds until the run has ended: for the rest of this block, the blocks after it, and the report."""
        later = self.plan.blocks[self.plan.blocks.index(block) + 1 :]
        steps = [step for one in (block, *later) for step in self._steps(one, records)]
        seconds = sum(step.left * step.part.each * self._pace(step.part.name) for step in steps)
        return seconds + START * self.starting + report_seconds(self.plan.blocks)

    def _pace(self, name: str) -> float:
        """How many times as long units of a part take as expected."""
        return self.taken[name] / self.expected[name] if self.expected.get(name) else 1.0

    def _is_of(self, record: Record, part: Part) -> bool:
        if part.name == VERIFY:
            return record.measure == VERIFY
        stages = self.catalog.measures[part.name].kind.all_stages
        return record.stage in {stage.name for stage in stages} and part.mode in ("", record.mode)

    def _steps(self, block: Block, records: Sequence[Record]) -> Iterator[Step]:
        """The next unit of each part that is not complete, in order."""
        mine = [record for record in records if record.block == block.id]
        failed = {record.level for record in mine if record.outcome not in ("ok", "diverged")}
        for part in self.parts[block.id]:
            placement = "" if part.name == VERIFY else self.catalog.measures[part.name].kind.placement
            if not placement:
                step = Step(part, 1, 1, not any(self._is_of(record, part) for record in mine))
            elif block.baseline.level in failed:
                continue
            elif placement == "together":
                step = self._timing(block, mine, part)
            else:
                # Levels that failed are not measured further.
                of = round(part.units * (1 - len(failed) / len(block.trials)))
                done = sum(self._is_of(record, part) for record in mine if record.level not in failed)
                step = Step(part, done + 1, of, of - done)
            if step.left > 0:
                yield step

    def _timing(self, block: Block, mine: Sequence[Record], part: Part) -> Step:
        """The next process. How many there will be is not known: as many as there are at the next look."""
        measure = self.catalog.measures[part.name]
        k = len(replicates(mine, block.id, record_name(part.name, part.mode)))
        looks = (1,) if block.measures.quick or part.name != "speed" else looks_of(block)
        if k == 0:
            return Step(part, 1, looks[0], max(part.units, 1.0))
        if k in looks or k > looks[-1]:
            more = resolve(measure.kind.more, measure.entry.owner) if measure.kind.more else None
            if not (more and more(block, mine, part.mode)):
                return Step(part, k, k, 0)
        goal = next((look for look in looks if look > k), k + 1)
        return Step(part, k + 1, goal, goal - k)
