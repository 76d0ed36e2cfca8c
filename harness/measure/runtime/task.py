"""What a kind of measurement is given in the process that measures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.measure.runtime.builder import TrialBuilder
from harness.measure.runtime.member import BuiltMember, MemberKey, lone_member
from harness.measure.runtime.watchdog import Watchdog
from harness.measure.token_ring import TokenRing
from harness.records.plan import Block, Trial


@dataclass
class Task:
    """One measurement: of the trial of a level, or with `members` of several levels interleaved.

    `settings` are those of the kind, an instance of its settings class. `folder` is the run's
    folder. `seed` and `checkpoint` are given to kinds that run once per seed: a run may save itself to the checkpoint,
    and go on from it. `forked` is when this process began, by time.perf_counter."""

    block: Block
    mode: str
    builder: TrialBuilder
    watchdog: Watchdog
    settings: Any
    level: str = ""
    replicate: int = 0
    seed: int = 0
    members: list[MemberKey] = field(default_factory=list)
    ring: TokenRing | None = None
    folder: Path = Path()
    checkpoint: Path | None = None
    forked: float = 0.0

    @property
    def trial(self) -> Trial:
        """The trial to measure."""
        return self.block.trial(self.level)

    def member(self) -> BuiltMember:
        """The trial alone: its model under its own seed, and the batches of the work set. Raises TrialFailed."""
        return lone_member(self.block, self.level, self.mode, self.builder, self.watchdog)
