"""A built trial with the batches that it is measured on."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, Any

import torch

from harness.measure.runtime import gpu
from harness.measure.runtime.batches import work_set
from harness.measure.runtime.builder import BuiltTrial, TrialBuilder
from harness.measure.runtime.failure import TrialFailed, blaming
from harness.measure.runtime.watchdog import Watchdog
from harness.records.plan import Block
from harness.records.record import Role
from harness.records.settings import Speed

if TYPE_CHECKING:
    from harness.measure.runtime.task import Task

#: A member of an interleaved measurement: its level and its role.
MemberKey = tuple[str, Role]


class BuiltMember:
    """A built trial as the clock sees it: a step to run on a batch of the work set."""

    def __init__(self, built: BuiltTrial, role: Role, batches: list[list[Any]], mode: str, watchdog: Watchdog) -> None:
        self.built, self.role, self.batches, self.watchdog = built, role, batches, watchdog
        self.level = built.trial.level
        self.step = self._train if mode == "train" else self._infer
        self.mode = mode
        self.loss: Any = None
        self.saved: list[Any] = []
        #: Called before each sample, off the clock, where caches are to be cold.
        self.flush: Callable[[], None] = lambda: None
        if mode == "inference":
            built.model.eval()

    def _train(self, batch: int, mark: Callable[[str], None]) -> None:
        collated = self.built.batch(self.batches[batch])
        mark("collate")
        self.loss = self.built.step(self.built, collated, mark)

    def _infer(self, batch: int, mark: Callable[[str], None]) -> None:
        with torch.inference_mode():
            collated = self.built.batch(self.batches[batch])
            mark("collate")
            self.loss = self.built.evaluate(self.built.model, collated)
            mark("forward")

    def before(self) -> None:
        """Say who runs next, and wind the alarm."""
        self.flush()
        self.watchdog.doing(self.level, f"one {self.mode} step")

    def save(self) -> None:
        """Remember parameters and optimizer state as they are now."""
        if self.mode == "train":
            self.saved = [clone(thing.state_dict()) for thing in self.built.state(self.built)]

    def restore(self) -> None:
        """Check the pass that ends, and put everything back for the next."""
        self.check()
        if self.mode == "train":
            for thing, saved in zip(self.built.state(self.built), self.saved, strict=False):
                load_state(thing, saved)

    def check(self) -> None:
        """Raise TrialFailed where the last step's result is not finite."""
        if isinstance(self.loss, torch.Tensor) and not bool(torch.isfinite(self.loss).all()):
            what = "its loss" if self.mode == "train" else "what it predicts"
            raise TrialFailed(self.level, f"{what} is not finite after a few {self.mode} steps")

    def counts(self) -> dict[str, list[float]]:
        """The amounts counted in each batch of this member's work set."""
        columns: dict[str, list[float]] = {}
        with blaming(self.level, "counting"):
            for batch in self.batches:
                for name, amount in self.built.count(self.built.model, self.built.collate(batch)).items():
                    columns.setdefault(str(name), []).append(float(amount))
        return columns


@contextmanager
def undisturbed(random: Random) -> Iterator[None]:
    """No garbage collection, and a heap laid out at random: where objects lie moves times by a percent or so, so every
    process draws its own layout."""
    padding = [bytearray(random.randrange(1, 1 << 16)) for _ in range(random.randrange(64))]
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        del padding


def build_members(task: Task, settings: Speed, random: Random) -> list[BuiltMember]:
    """The members of a task, built in random order."""
    block, builder, watchdog, wanted = task.block, task.builder, task.watchdog, task.members
    baseline = block.baseline
    data = builder.data(baseline.dataset)
    with blaming(baseline.level, "choosing the work set"):
        examples = work_set(data.train, baseline.batch_size, settings.batches, baseline.seed)
    with blaming(baseline.level, "building the model"):
        watchdog.doing(baseline.level, "building the model")
        weights = {name: tensor.clone() for name, tensor in builder.bare(baseline).state_dict().items()}
    trials = {trial.level: trial for trial in block.trials}
    members: dict[int, BuiltMember] = {}
    for index in random.sample(range(len(wanted)), len(wanted)):
        level, role = wanted[index]
        trial = trials[level]
        with blaming(trial.level, "building the model"):
            watchdog.doing(trial.level, "building the model")
            built = builder.build(trial, weights)
        with blaming(trial.level, "cutting the work set into batches"):
            # The order draws from the suite's seed, so that each process has the same batches.
            batches = built.batches(examples, Random(f"order {trial.seed}"))
            if len(batches) != settings.batches:
                raise ValueError(f"its order makes {len(batches)} batches where {settings.batches} are due")
        members[index] = BuiltMember(built, role, batches, task.mode, watchdog)
    if settings.cache == "cold":
        flush = gpu.cold_caches(next(iter(members.values())).built.device)
        for member in members.values():
            member.flush = flush
    return [members[index] for index in range(len(wanted))]


def lone_member(block: Block, level: str, mode: str, builder: TrialBuilder, watchdog: Watchdog) -> BuiltMember:
    """One trial by itself, as the clock meets it: its model under its own seed, the block's work set in its batches."""
    trial = next(trial for trial in block.trials if trial.level == level)
    batches = (block.measures.speed or Speed()).batches
    with blaming(level, "building the model"):
        watchdog.doing(level, "building the model")
        built = builder.build(trial)
    with blaming(level, "cutting the work set into batches"):
        examples = work_set(builder.data(trial.dataset).train, trial.batch_size, batches, trial.seed)
        return BuiltMember(built, "variant", built.batches(examples, Random(f"order {trial.seed}")), mode, watchdog)


def clone(value: Any) -> Any:
    """A deep copy of a state dict's values."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: clone(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(clone(inner) for inner in value)
    return value


def load_state(thing: Any, saved: Any) -> None:
    """Restore a saved state in place where its form is unchanged, which costs a copy and no allocation."""
    if not _copy_into(thing.state_dict(), saved):
        thing.load_state_dict(saved)


def _copy_into(current: Any, saved: Any) -> bool:
    if isinstance(saved, torch.Tensor):
        if not isinstance(current, torch.Tensor) or current.shape != saved.shape:
            return False
        current.copy_(saved)
        return True
    if isinstance(saved, dict):
        return (
            isinstance(current, dict)
            and current.keys() == saved.keys()
            and all(_copy_into(current[key], inner) for key, inner in saved.items())
        )
    if isinstance(saved, (list, tuple)):
        return len(current) == len(saved) and all(map(_copy_into, current, saved))
    return bool(current == saved)
