"""The records of a block while it is measured: which there are, which levels failed, and new ones. Does not import
torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from harness.measure.record_guard import Keep
from harness.plugins.isolation import one_line
from harness.records.plan import Block
from harness.records.record import Outcome, Record, Role


class BlockRecords:
    """The records of one block. `done` are those of an interrupted run, which are not measured again. New ones are
    passed to `keep`, a replicate at a time."""

    def __init__(self, block: Block, done: list[Record], keep: Keep) -> None:
        self.block, self.keep = block, keep
        self.records = [record for record in done if record.block == block.id]
        #: Levels that cannot be measured any further. The other levels are still measured.
        self.broken = {record.level for record in self.records if breaks_level(record)}

    def levels(self, without: Sequence[Record] = ()) -> list[str]:
        """The levels that can still be measured, except those of some records."""
        left_out = self.broken.union(record.level for record in without)
        return [trial.level for trial in self.block.trials if trial.level not in left_out]

    def with_skipped(self, records: list[Record], measure: str, number: int) -> list[Record]:
        """The records. If the baseline is not ok in them, the other levels are skipped: there is nothing to compare
        them with."""
        baseline = self.block.baseline.level
        if all(record.outcome == "ok" for record in records if record.level == baseline):
            return records
        reason = f"its baseline {baseline} cannot be measured"
        skipped = [self.record(measure, number, level, "skipped", reason) for level in self.levels(without=records)]
        return [*records, *skipped]

    def record(
        self,
        measure: str,
        number: int,
        level: str,
        outcome: Outcome,
        reason: str = "",
        data: Mapping[str, Any] | None = None,
        role: Role = "variant",
    ) -> Record:
        """A record of a level in this block."""
        key = (self.block.id, level, self.block.trial(level).id, measure, role, number)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return Record(*key, of=1, outcome=outcome, reason=one_line(reason), data=data or {}, at=now)

    def finish(self, records: list[Record]) -> None:
        """Store the records of complete replicates, and note which levels cannot be measured any further."""
        sizes = Counter((record.measure, record.replicate) for record in records)
        complete = [replace(record, of=sizes[record.measure, record.replicate]) for record in records]
        self.records += complete
        self.broken |= {record.level for record in complete if breaks_level(record)}
        self.keep(complete)


def breaks_level(record: Record) -> bool:
    """Whether the level of a record cannot be measured any further."""
    return record.outcome in ("failed", "invalid") and not record.after_timing


def record_name(stage: str, mode: str) -> str:
    """The name of a measure in records, such as memory.train."""
    return f"{stage}.{mode}" if mode else stage
