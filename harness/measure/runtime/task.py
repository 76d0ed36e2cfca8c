"""What the code of a kind of measurement gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.measure.runtime.batches import work_set
from harness.measure.runtime.builder import TrialBuilder
from harness.measure.runtime.failure import blaming
from harness.measure.runtime.member import BuiltMember, MemberKey, build_member
from harness.measure.runtime.watchdog import Watchdog
from harness.measure.token_ring import TokenRing
from harness.records.plan import Block, Trial
from harness.records.settings import Speed


@dataclass
class Task:
    """One measurement: of the trial of `level`, or of the `members` interleaved.

    `settings` are those of the kind, an instance of its settings class. `folder` is the folder of the run. `seed` and
    `checkpoint` are given to kinds that run once per seed: a run may save itself to the checkpoint and resume from it.
    `forked` is when this process began, by time.perf_counter."""

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

    def doing(self, what: str) -> None:
        """Tell the watchdog what begins. It ends the process if that takes longer than the limit of a step."""
        self.watchdog.doing(self.level, what)

    def member(self) -> BuiltMember:
        """The trial with its own weights and with the work set in its batches. Raises TrialFailed."""
        trial, batches = self.trial, (self.block.measures.speed or Speed()).batches
        with blaming(self.level, "choosing the work set"):
            self.doing("choosing the work set")
            examples = work_set(self.builder.data(trial.dataset).train, trial.batch_size, batches, trial.seed)
        return build_member(self, self.level, "variant", examples)
