"""A built trial with the batches that it is measured on."""

from __future__ import annotations

import gc
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from random import Random
from typing import Any

import numpy as np
import torch
from torch.profiler import record_function
from torch.utils._pytree import tree_flatten_with_path, tree_map

from harness.measure.runtime.builder import BuiltTrial, Mark, no_mark
from harness.measure.runtime.failure import TrialFailed
from harness.measure.runtime.nested import tensors_in
from harness.measure.runtime.watchdog import Watchdog
from harness.modes import PREPARED
from harness.records.record import Role

#: The prefix of the name of an event that `mark_timeline` adds, before the phase that ends there.
MARK = "harness ends "


class BuiltMember:
    """A built trial that takes steps on the batches of its work set."""

    def __init__(self, built: BuiltTrial, role: Role, batches: list[list[Any]], mode: str, watchdog: Watchdog) -> None:
        self.built, self.role, self.batches, self.watchdog = built, role, batches, watchdog
        self.level = built.trial.level
        self.mode = mode
        self.trains = mode == "train"
        #: Copies of each batch that `call` and `fresh` predict, in turn.
        self.prepared: list[list[Any]] = []
        #: The tensors of these copies, with their versions when they were made.
        self.versions: list[tuple[torch.Tensor, int]] = []
        self.calls = 0
        self.step = self._train if self.trains else self._infer
        self.loss: Any = None
        self.saved: list[Any] = []
        #: How often the counters were restored, because a step had raised.
        self.restarts = 0
        #: Remarks on its samples, which are stored with them.
        self.flags: list[str] = []
        self._can_restart = False
        #: Called before each sample, outside the timed region, to empty the caches.
        self.flush: Callable[[], None] = lambda: None
        if not self.trains:
            built.model.eval()
        if mode in PREPARED:
            self.prepared = [[self._copy(batch)] for batch in range(len(batches))]
            self.step = self._call

    def _train(self, batch: int, mark: Mark) -> None:
        collated = self.built.batch(self.batches[batch])
        mark("collate")
        self.loss = self.built.step(self.built, collated, mark)

    def _infer(self, batch: int, mark: Mark) -> None:
        with torch.inference_mode():
            collated = self.built.batch(self.batches[batch])
            mark("collate")
            self.loss = self.built.evaluate(self.built.model, collated)
            mark("forward")

    def _copy(self, batch: int) -> Any:
        """Another copy of a prepared batch."""
        copy = self.built.batch(self.batches[batch])
        self.versions += [(tensor, tensor._version) for tensor in tensors_in(copy) if not tensor.is_inference()]
        return copy

    def _call(self, batch: int, mark: Mark) -> None:
        copies = self.prepared[batch]
        prepared = copies[self.calls % len(copies)]
        self.calls += 1
        with torch.inference_mode():
            self.loss = self.built.evaluate(self.built.model, prepared)
            mark("forward")

    def before(self, batch: int, repeats: int = 1) -> None:
        """Prepare a sample of `repeats` steps on a batch, outside the timed region: empty the caches if they are to be
        cold, and restart the watchdog's alarm.

        A sample of `call` is preceded by a call on the same batch, because the other members' calls have evicted it
        from the caches. A sample of `fresh` gets a copy of the batch for each of its steps."""
        self.flush()
        self.watchdog.doing(self.level, f"one {self.mode} step")
        if self.mode == "call":
            self.step(batch, no_mark)
        elif self.mode == "fresh":
            copies = self.prepared[batch]
            copies += [self._copy(batch) for _ in range(repeats - len(copies))]

    def run(self, batch: int, repeats: int, mark: Mark) -> None:
        """Take the steps of one sample, which is timed."""
        step = self.step
        for _ in range(repeats):
            step(batch, mark)

    def after(self, batch: int) -> None:
        """Check a sample on a batch when it is complete, outside the timed region."""

    def run_work_set(self, passes: int = 1) -> None:
        """Take a step on each batch of the work set, without marks."""
        for _ in range(passes):
            for batch in range(len(self.batches)):
                self.before(batch)
                self.step(batch, no_mark)

    def save(self) -> None:
        """Save parameters and optimizer state."""
        self.watchdog.doing(self.level, "saving its state")
        if self.mode == "train":
            self.saved = [clone(stateful.state_dict()) for stateful in self.built.state(self.built)]

    def restore(self) -> None:
        """Check the last step of a pass, and put weights and moments back. Counters run on: see `put_back`."""
        self.watchdog.doing(self.level, "putting its state back")
        self.check()
        if self.mode == "train":
            parameters = {parameter.data_ptr() for parameter in self.built.model.parameters()}
            for stateful, saved in zip(self.built.state(self.built), self.saved, strict=False):
                put_back(stateful, saved, parameters)
            self._can_restart = True

    def restart(self) -> bool:
        """Load everything that was saved, with the counters. Returns whether that may help: not without saved state,
        and not twice in one pass."""
        if not self.saved or not self._can_restart:
            return False
        self.watchdog.doing(self.level, "loading its state")
        for stateful, saved in zip(self.built.state(self.built), self.saved, strict=False):
            stateful.load_state_dict(clone(saved))
        self.built.model.zero_grad(set_to_none=True)
        self.restarts, self._can_restart = self.restarts + 1, False
        return True

    def check(self) -> None:
        """Raise TrialFailed if the result of the last step is not finite, or if a prepared batch was changed in place:
        its next call would do other work."""
        if isinstance(self.loss, torch.Tensor) and not bool(torch.isfinite(self.loss).all()):
            result = "its loss" if self.trains else "its prediction"
            raise TrialFailed(self.level, f"{result} is not finite after a few {self.mode} steps")
        if any(tensor._version != version for tensor, version in self.versions):
            raise TrialFailed(self.level, f"it changes its batch in place, so mode {self.mode} cannot repeat its calls")

    def counts(self) -> dict[str, list[float]]:
        """The amounts counted in each batch. Stops the alarm: counting is not part of a step."""
        self.watchdog.doing(self.level, "counting")
        self.watchdog.stop_alarm()
        rows = []
        for batch in self.batches:
            counted = self.built.count(self.built.model, self.built.collate(batch))
            rows.append({str(name): float(amount) for name, amount in counted.items()})
        return columns(rows)


def mark_timeline(phase: str) -> None:
    """A `mark` that adds an event to the timeline of a running profiler."""
    with record_function(MARK + phase):
        pass


def step_with_marks(member: BuiltMember, batch: int, mark: Mark) -> None:
    """Take one step. `mark` is called again at its end, because the time after the last mark belongs to the last
    phase."""
    last = "step"

    def remember(phase: str) -> None:
        nonlocal last
        last = phase
        mark(phase)

    member.step(batch, remember)
    mark(last)


@contextmanager
def undisturbed(random: Random) -> Iterator[None]:
    """Switch garbage collection off, and randomise the layout of the heap: the addresses of objects change times by
    about a percent, so every process draws its own layout."""
    padding = [bytearray(random.randrange(1, 1 << 16)) for _ in range(random.randrange(64))]
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        del padding


def columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """A list for each name in the rows, with one number per row; 0 if a row lacks the name."""
    return {name: [row.get(name, 0) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}


def clone(state: Any) -> Any:
    """A deep copy of a state dict. A value that cannot be copied, such as a lock, is shared."""

    def copied(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.detach().clone()
        try:
            return deepcopy(value)
        except Exception:  # plugin code may raise anything
            return value

    return tree_map(copied, state)


def put_back(stateful: Any, saved: Any, parameters: Container[int]) -> None:
    """Copy the numbers that steps compute with from a saved state: parameters (given by their addresses), and all
    floating-point tensors and arrays of more than one element, such as the moments of an optimizer. Without this,
    hundreds of steps on the same few batches would end in subnormal numbers.

    Everything else runs on, also state that a later step has added. Numbers, tensors of one element and of integers are
    counters: work that comes every n-th step must come during the measurement as it does in training."""
    values = dict(tree_flatten_with_path(saved)[0])
    with torch.no_grad():
        for path, now in tree_flatten_with_path(stateful.state_dict())[0]:
            value = values.get(path)
            if isinstance(value, np.ndarray) and is_array(now) and now.shape == value.shape and now.size > 1:
                np.copyto(now, value)
            if not isinstance(now, torch.Tensor) or not isinstance(value, torch.Tensor) or now.shape != value.shape:
                continue
            computed = now.numel() > 1 and (now.is_floating_point() or now.is_complex())
            if computed or now.data_ptr() in parameters:
                now.copy_(value)


def is_array(value: Any) -> bool:
    """Whether a value is a writable floating-point array of NumPy, as the extra state of a module may hold."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "fc" and value.flags.writeable
