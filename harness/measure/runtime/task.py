"""What the code of a kind of measurement gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from harness.measure.runtime.builder import TrialBuilder
from harness.measure.runtime.function_member import FunctionMember, expect_results
from harness.measure.runtime.functions import FunctionModel
from harness.measure.runtime.gpu import cold_caches
from harness.measure.runtime.member import BuiltMember
from harness.measure.runtime.watchdog import Watchdog
from harness.measure.token_ring import TokenRing
from harness.records.plan import Block, Trial
from harness.records.record import Role

if TYPE_CHECKING:
    import torch

#: A member of an interleaved measurement: its level and its role.
MemberKey = tuple[str, Role]


@dataclass
class Task:
    """One measurement: of the trial of `level`, or of the `members`, interleaved.

    `settings` are those of the kind, an instance of its settings class. `folder` is the folder of the run. Kinds that
    run once per seed get a `seed`, and a `checkpoint` where a run may save its state and from which it may resume.
    `forked` is when this process began, in seconds of time.perf_counter."""

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

    def doing(self, activity: str) -> None:
        """Record that an activity begins. The process is ended if it takes longer than the limit of a step. The reason
        of a failure names the activity."""
        self.watchdog.doing(self.level, activity)

    def member(self) -> BuiltMember:
        """The trial with its own weights and with the work set in its batches."""
        self.doing("choosing the work set")
        examples = self.builder.work_set(self.trial, self.block.measures.work_set_batches)
        return self._build(self.level, "variant", examples)

    def build_members(self, random: Random) -> list[BuiltMember]:
        """The members, built in random order, with the weights of the baseline."""
        baseline, batches = self.block.baseline, self.settings.batches
        self.watchdog.doing(baseline.level, "choosing the work set")
        examples = self.builder.work_set(baseline, batches)
        self.watchdog.doing(baseline.level, "building the model")
        weights = self.builder.weights(baseline)
        built: dict[MemberKey, BuiltMember] = {}
        for level, role in random.sample(self.members, len(self.members)):
            built[level, role] = self._build(level, role, examples, weights, batches)
        if self.settings.cache == "cold":
            flush = cold_caches(next(iter(built.values())).built.device)
            for member in built.values():
                member.flush = flush
        members = [built[key] for key in self.members]
        expect_results(members, baseline.level)
        return members

    def _build(
        self,
        level: str,
        role: Role,
        examples: Sequence[Any],
        weights: Mapping[str, torch.Tensor] | None = None,
        batches: int | None = None,
    ) -> BuiltMember:
        self.watchdog.doing(level, "building the model")
        built = self.builder.build(self.block.trial(level), weights)
        self.watchdog.doing(level, "cutting the work set into batches")
        kind = FunctionMember if isinstance(built.model, FunctionModel) else BuiltMember
        return kind(built, role, built.work_batches(examples, batches), self.mode, self.watchdog)
