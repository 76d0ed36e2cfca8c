"""One replicate of a block's speed: every trial and the control, interleaved over a fixed work set."""

from __future__ import annotations

import gc
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from time import perf_counter
from typing import Any

import numpy as np
import torch

from harness.measure.runtime import gpu
from harness.measure.runtime.batches import work_set
from harness.measure.runtime.builder import Kitchen, Live
from harness.measure.runtime.clock import Clock, Tape, run_rounds
from harness.measure.runtime.failure import TrialFailed, blaming
from harness.measure.runtime.watchdog import Guard
from harness.records.plan import Block, Role, Speed

#: A sample lasts at least this many seconds; shorter steps are repeated within it.
LEAST_SAMPLE = 1e-3
#: Warm-up ends when a pass over the work set is no longer faster than the best before it by more than this.
STATIONARY = 0.03
#: After its first pass, warm-up lasts at most this many seconds a member.
WARM_MOST = 3.0
#: A GPU raises its clock under load, so there each member warms up at least this many seconds.
GPU_WARM_UP = 0.5
#: A quick look measures this long in all.
QUICK_SECONDS = 5.0


#: A place among those timed against each other: a level and the role it plays.
Seat = tuple[str, Role]


class LiveMember:
    """A live trial as the clock sees it: a step to run on a batch of the work set."""

    def __init__(self, live: Live, role: Role, batches: list[list[Any]], mode: str, guard: Guard) -> None:
        self.live, self.role, self.batches, self.guard = live, role, batches, guard
        self.level = live.trial.level
        self.step = self._train if mode == "train" else self._infer
        self.mode = mode
        self.loss: Any = None
        self.saved: list[Any] = []
        #: Called before each sample, off the clock, where caches are to be cold.
        self.flush: Callable[[], None] = lambda: None
        if mode == "inference":
            live.model.eval()

    def _train(self, batch: int, mark: Callable[[str], None]) -> None:
        collated = self.live.batch(self.batches[batch])
        mark("collate")
        self.loss = self.live.step(self.live, collated, mark)

    def _infer(self, batch: int, mark: Callable[[str], None]) -> None:
        with torch.inference_mode():
            collated = self.live.batch(self.batches[batch])
            mark("collate")
            self.loss = self.live.evaluate(self.live.model, collated)
            mark("forward")

    def before(self) -> None:
        """Say who runs next, and wind the alarm."""
        self.flush()
        self.guard.doing(self.level, f"one {self.mode} step")

    def save(self) -> None:
        """Remember parameters and optimizer state as they are now."""
        if self.mode == "train":
            self.saved = [clone(thing.state_dict()) for thing in self.live.state(self.live)]

    def restore(self) -> None:
        """Check the pass that ends, and put everything back for the next."""
        self.check()
        if self.mode == "train":
            for thing, saved in zip(self.live.state(self.live), self.saved, strict=False):
                put_back(thing, saved)

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
                for name, amount in self.live.count(self.live.model, self.live.collate(batch)).items():
                    columns.setdefault(str(name), []).append(float(amount))
        return columns


def measure_speed(
    block: Block, mode: str, number: int, kitchen: Kitchen, guard: Guard, clock: Clock | None = None
) -> list[dict[str, Any]]:
    """The samples of every member as JSON values. Raises TrialFailed naming the level that cannot go on."""
    settings = block.measures.speed or Speed()
    random = Random(f"{block.id} {mode} {number}")
    everybody: list[Seat] = [(trial.level, "variant") for trial in block.trials] + [(block.baseline.level, "control")]
    with undisturbed(random):
        members = build_members(block, everybody, mode, settings, kitchen, guard, random)
        clock = clock or gpu.clock_for(members[0].live.device)
        warmth, tapes, samples = make_ready(members, settings, clock, random)
        before = gpu.reading(members[0].live.device)
        run_guarded(members, tapes, settings.batches, range(rounds_for(samples, settings)), clock, random)
        guard.rest()
        return results(members, tapes, warmth, [before, gpu.reading(members[0].live.device)])


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


def make_ready(
    members: Sequence[LiveMember], settings: Speed, clock: Clock, random: Random
) -> tuple[Warmth, list[Tape], list[float]]:
    """Warm the members up; returns how that went, a tape for each, and the mean seconds of a sample of each."""
    gc.collect()
    gc.freeze()
    warmth = warm_up(members, settings, clock, random)
    tapes = [Tape(repeats=max(1, math.ceil(LEAST_SAMPLE / median))) for median in warmth.medians]
    return warmth, tapes, [mean * tape.repeats for mean, tape in zip(warmth.means, tapes, strict=True)]


def results(
    members: Sequence[LiveMember], tapes: Sequence[Tape], warmth: Warmth, card: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What was measured, as JSON values; `card` is what a GPU said before and after. Raises TrialFailed where a
    member's last step is not finite."""
    throttled = ["throttled"] if any(told.get("forced_down") for told in card) else []
    for member in members:
        member.check()
    return [
        {
            "level": member.level,
            "role": member.role,
            "data": {
                **tape.columns(),
                "counts": member.counts(),
                "warm_up": {"passes": warmth.passes, "seconds": warmth.spent},
                "flags": throttled if stationary else ["not_stationary", *throttled],
                "gpu": [told for told in card if told],
            },
        }
        for member, tape, stationary in zip(members, tapes, warmth.stationary, strict=True)
    ]


def build_members(
    block: Block, wanted: Sequence[Seat], mode: str, settings: Speed, kitchen: Kitchen, guard: Guard, random: Random
) -> list[LiveMember]:
    """The wanted levels and roles, built in random order."""
    baseline = block.baseline
    data = kitchen.data(baseline.dataset)
    with blaming(baseline.level, "choosing the work set"):
        examples = work_set(data.train, baseline.batch_size, settings.batches, baseline.seed)
    with blaming(baseline.level, "building the model"):
        guard.doing(baseline.level, "building the model")
        weights = {name: tensor.clone() for name, tensor in kitchen.bare(baseline).state_dict().items()}
    trials = {trial.level: trial for trial in block.trials}
    members: dict[int, LiveMember] = {}
    for index in random.sample(range(len(wanted)), len(wanted)):
        level, role = wanted[index]
        trial = trials[level]
        with blaming(trial.level, "building the model"):
            guard.doing(trial.level, "building the model")
            live = kitchen.live(trial, weights)
        with blaming(trial.level, "cutting the work set into batches"):
            # The order draws from the suite's seed, so that each process has the same batches.
            batches = live.batches(examples, Random(f"order {trial.seed}"))
            if len(batches) != settings.batches:
                raise ValueError(f"its order makes {len(batches)} batches where {settings.batches} are due")
        members[index] = LiveMember(live, role, batches, mode, guard)
    if settings.cache == "cold":
        flush = gpu.cold_caches(next(iter(members.values())).live.device)
        for member in members.values():
            member.flush = flush
    return [members[index] for index in range(len(wanted))]


def lone_member(block: Block, level: str, mode: str, kitchen: Kitchen, guard: Guard) -> LiveMember:
    """One trial by itself, as the clock meets it: its model under its own seed, the block's work set in its batches."""
    trial = next(trial for trial in block.trials if trial.level == level)
    batches = (block.measures.speed or Speed()).batches
    with blaming(level, "building the model"):
        guard.doing(level, "building the model")
        live = kitchen.live(trial)
    with blaming(level, "cutting the work set into batches"):
        examples = work_set(kitchen.data(trial.dataset).train, trial.batch_size, batches, trial.seed)
        return LiveMember(live, "variant", live.batches(examples, Random(f"order {trial.seed}")), mode, guard)


def run_guarded(
    members: Sequence[LiveMember], tapes: Sequence[Tape], batches: int, rounds: range, clock: Clock, random: Random
) -> None:
    """`run_rounds`, naming the member whose step raised."""
    try:
        run_rounds(members, tapes, batches, rounds, clock, random)
    except (TrialFailed, KeyboardInterrupt):
        raise
    except BaseException as error:  # a trial's code may raise anything
        level, what = members[0].guard.last_words()
        with blaming(level, what):
            raise error


@dataclass
class Warmth:
    """What warming up came to: how many passes and seconds, and of each member its median and mean seconds a step
    in the last pass and whether it had become stationary."""

    passes: int
    spent: float
    medians: list[float]
    means: list[float]
    stationary: list[bool]


def warm_up(members: Sequence[LiveMember], settings: Speed, clock: Clock, random: Random) -> Warmth:
    """Passes over the work set, thrown away, until no member gets faster.

    The first pass meets every shape for the first time. A member is warm when it no longer gets faster: when the
    median over batches of its time over the best so far is above 1 - `STATIONARY`. (Asking two passes to agree
    both ways mistakes a noisy machine for a cold one.)
    """
    begun = perf_counter()
    least = max(settings.warm_up, GPU_WARM_UP) if members[0].live.device.type == "cuda" else settings.warm_up
    for member in members:
        member.save()
    stationary, first = [False] * len(members), 0.0
    best: list[Any] = []
    for passes in itertools.count(1):
        tapes = [Tape() for _ in members]
        run_guarded(members, tapes, settings.batches, range(settings.batches), clock, random)
        times = [np.array(tape.wall) * 1e-9 for tape in tapes]
        if passes == 1:
            best = times
            for member in members:  # from here on, restoring finds an optimizer state that exists
                member.save()
        else:
            for index, now in enumerate(times):
                stationary[index] = stationary[index] or float(np.median(now / best[index])) > 1 - STATIONARY
            best = [np.minimum(now, then) for now, then in zip(times, best, strict=True)]
        spent = perf_counter() - begun
        if passes == 1:
            first = spent  # it may compile, for as long as that takes
        warm = spent >= least * len(members) and all(stationary)
        if warm or spent - first >= WARM_MOST * len(members):
            break
    return Warmth(passes, spent, [float(np.median(t)) for t in times], [float(t.mean()) for t in times], stationary)


def rounds_for(seconds: Sequence[float], settings: Speed) -> int:
    """How many rounds one process runs: whole passes, at least `visits` of them, and at least `seconds` a member
    on average. `seconds` are the members' times for one sample."""
    wanted = QUICK_SECONDS if settings.quick else settings.seconds * len(seconds)
    passes = math.ceil(wanted / (sum(seconds) * settings.batches))
    return max(settings.visits, passes) * settings.batches


def clone(value: Any) -> Any:
    """A deep copy of a state dict's values."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: clone(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(clone(inner) for inner in value)
    return value


def put_back(thing: Any, saved: Any) -> None:
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
