"""A function with the arguments that it is timed on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from random import Random
from time import perf_counter
from typing import Any

import torch

from harness.measure.runtime.builder import BuiltTrial, Mark, no_mark
from harness.measure.runtime.failure import TrialFailed
from harness.measure.runtime.functions import Arguments, FunctionModel
from harness.measure.runtime.member import BuiltMember
from harness.measure.runtime.results import difference, structure_differs, tensor_of
from harness.measure.runtime.watchdog import Watchdog
from harness.records.record import Role

#: One in so many samples is checked: is the result of its last call the verified one?
CHECKED = 8
#: The largest error of such a result, as a share of the largest value. It is coarse: rounding was checked before.
COARSE = {torch.float64: 1e-3, torch.float32: 1e-3, torch.complex64: 1e-3, torch.complex128: 1e-3}
COARSEST = 0.05


class FunctionMember(BuiltMember):
    """A function that is called with each of its inputs. The loop of calls has as little Python in it as possible.

    In the mode `call`, every call of an input gets the same objects. In the mode `fresh`, each gets a copy that no call
    has had before."""

    def __init__(self, built: BuiltTrial, role: Role, batches: list[list[Any]], mode: str, watchdog: Watchdog) -> None:
        super().__init__(built, role, batches, mode, watchdog)
        model = built.model
        assert isinstance(model, FunctionModel)
        self.function: FunctionModel = model
        self.copies: list[list[Arguments]] = [[self.arguments(batch)] for batch in range(len(batches))]
        #: What every call must return for each input, by name: see `expect`.
        self.expected: list[dict[str, Any]] = []
        #: The seconds of the first call of the first input in this process, and of a later one.
        self.first_call = self.later_call = 0.0
        self.random = Random(f"checked calls {self.level} {role}")
        self.step = self._step

    def arguments(self, batch: int) -> Arguments:
        """New arguments with the values of an input."""
        return self.function.prepare(self.built.batch(self.batches[batch]).arguments)

    def _copy(self, batch: int) -> Any:
        """Nothing: `copies` take the place of prepared batches."""

    def _step(self, batch: int, mark: Mark) -> None:
        self.run(batch, 1, mark)

    def before(self, batch: int, repeats: int = 1) -> None:
        """See `BuiltMember.before`. Every call of `fresh` gets a new copy, because a call may change its arguments."""
        self.flush()
        self.watchdog.doing(self.level, f"one call (input {batch})")
        if self.mode == "fresh":
            self.copies[batch] = [self.arguments(batch) for _ in range(repeats)]
        else:
            self.function.call(self.copies[batch][0])
        self.loss = None

    def run(self, batch: int, repeats: int, mark: Mark) -> None:
        """Call the function `repeats` times."""
        result = None
        copies = self.copies[batch]
        if self.function.gradients:
            call = self.function.call
            for arguments in copies if self.mode == "fresh" else repeat(copies[0], repeats):
                result = call(arguments)
        else:
            function = self.function.function
            if self.mode == "fresh":
                for positional, keyword in copies:
                    result = function(*positional, **keyword)
            else:
                positional, keyword = copies[0]
                if keyword:
                    for _ in repeat(None, repeats):
                        result = function(*positional, **keyword)
                else:
                    for _ in repeat(None, repeats):
                        result = function(*positional)
        mark("forward")
        self.loss = result

    def run_once(self) -> None:
        """Call the function once, and forget what it returns."""
        self.before(0)
        self.run(0, 1, no_mark)
        self.loss = None

    def results(self) -> list[dict[str, Any]]:
        """What the function returns for each input, by name."""
        found = []
        for batch in range(len(self.batches)):
            self.watchdog.doing(self.level, f"one call (input {batch})")
            arguments = self.arguments(batch)
            begun = perf_counter()
            result = self.function.call(arguments)
            self.first_call = self.first_call or perf_counter() - begun
            found.append(self.function.named(result))
        return found

    def after(self, batch: int) -> None:
        """See `BuiltMember.after`. Raises TrialFailed if the last call did not return what was verified."""
        if self.expected and not self.random.randrange(CHECKED):
            self.check_result(self.expected[batch], batch)

    def check_result(self, expected: dict[str, Any], batch: int) -> None:
        """Raise TrialFailed unless the last call has returned this, roughly."""
        found = self.function.named(self.loss)
        wrong = structure_differs(found, expected)
        for name, leaf in expected.items() if not wrong else ():
            theirs = tensor_of(leaf)
            if theirs is None:
                continue
            ours = tensor_of(found[name])
            assert ours is not None
            apart = difference(ours, theirs)
            if apart.error > COARSE.get(theirs.dtype, COARSEST):
                wrong = f"{name} is off by {apart.error:.1e} of its largest value ({apart.where})"
        if wrong:
            raise TrialFailed(
                self.level, f"a timed call did not return what was verified before (input {batch}): {wrong}"
            )

    def check(self) -> None:
        """Nothing: a function may return numbers that are not finite, and its arguments were checked before."""

    def save(self) -> None:
        """Nothing: a function has no state that is known."""

    def restore(self) -> None:
        """Nothing: see `save`."""


def expect_results(members: Sequence[BuiltMember], baseline: str) -> None:
    """Let all functions expect what the baseline returns in this process. One that may return something else, or whose
    baseline is measured in another process, expects what it returns itself."""
    functions = [member for member in members if isinstance(member, FunctionMember)]
    known = None
    for member in functions:
        own = member.results()
        if member.level == baseline:
            known = known or own
        member.expected = known if known and not member.function.different else own
