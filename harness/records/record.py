"""A record: one line of records.jsonl."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

#: The version of the stored form. Readers refuse versions that they do not know.
SCHEMA = 1

#: A run that diverged is a result, not a failure.
Outcome = Literal["ok", "diverged", "invalid", "failed", "skipped"]
Role = Literal["variant", "control"]

#: The measures that a verdict on times depends on. If another one fails, the times are still valid.
TIMED = ("verify", "speed")


@dataclass(frozen=True)
class Record:
    """One line of records.jsonl. Its key is (block, level, measure, role, replicate).

    `of` is the number of records in its replicate, so that an incomplete replicate is recognised. `data` holds raw
    samples or results."""

    block: str
    level: str
    trial: str
    measure: str
    role: Role
    replicate: int
    of: int
    outcome: Outcome
    reason: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""

    @property
    def stage(self) -> str:
        """The stage of the kind of measurement: speed of speed.train."""
        return self.measure.partition(".")[0]

    @property
    def mode(self) -> str:
        """The mode: train of speed.train; empty where the stage has no modes."""
        return self.measure.partition(".")[2]

    @property
    def after_timing(self) -> bool:
        """Whether it was measured after timing. Its failure leaves the times valid."""
        return self.stage not in TIMED

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Record:
        """The record that `to_json` wrote."""
        return cls(**{key: value for key, value in data.items() if key != "schema"})


def by_block(records: Iterable[Record]) -> dict[str, list[Record]]:
    """The records of each block by its id, in order."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.block, []).append(record)
    return found


def replicates(records: Iterable[Record], block: str, measure: str) -> dict[int, list[Record]]:
    """The records of one block and measure by replicate, in order."""
    found: dict[int, list[Record]] = {}
    for record in records:
        if record.block == block and record.measure == measure:
            found.setdefault(record.replicate, []).append(record)
    return dict(sorted(found.items()))
