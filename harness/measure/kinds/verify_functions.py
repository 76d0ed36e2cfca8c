"""Verifies before timing that functions return what the baseline returns, and that they do the work in each call.

The reference is the baseline with arguments in float64, as for models: see `harness.measure.runtime.reference`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

import numpy as np
import torch

from harness.measure.runtime.builder import TrialBuilder
from harness.measure.runtime.dtypes import is_inexact
from harness.measure.runtime.failure import TrialFailed, failures_of
from harness.measure.runtime.functions import Arguments, FunctionModel, name_of_argument
from harness.measure.runtime.generators import seed_generators
from harness.measure.runtime.nested import cloned, digest_of, leaves, mapped, on_device, tensors_in
from harness.measure.runtime.promises import BrokenPromise
from harness.measure.runtime.reference import EPSILONS, LOOSE, SAMPLES, STRICT
from harness.measure.runtime.results import Difference, difference, structure_differs, tensor_of
from harness.measure.runtime.rounding import RandomRounding, spread
from harness.measure.runtime.watchdog import Watchdog
from harness.plugins.code_files import watched_imports
from harness.records.plan import Block, Trial

Leaves = dict[str, Any]

#: The error that is always accepted, by the dtype of a result: the relative tolerance of torch.testing.assert_close.
#: NumPy and plain Python give no estimate of what rounding explains.
ACCEPTED = {torch.float64: 1e-7, torch.complex128: 1e-7, torch.float32: 1.3e-6, torch.complex64: 1.3e-6,
            torch.bfloat16: 1.6e-2, torch.float16: 1e-3}  # fmt: skip


class FunctionVerifier:
    """Verifies the functions of one block. The baseline comes first, since the others are compared with it."""

    def __init__(self, block: Block, builder: TrialBuilder, watchdog: Watchdog) -> None:
        self.builder, self.watchdog, self.baseline = builder, watchdog, block.baseline
        self.mode = (block.measures.modes or ("call",))[0]
        self.inputs = [Arguments.of(value) for value in builder.data(block.baseline.dataset).train]
        self.device = torch.device(block.baseline.device)
        #: What the baseline returns for each input, the same with arguments in float64 if it can, and how far rounding
        #: spreads it.
        self.expected: list[Leaves] = []
        self.exact: list[Leaves | None] = []
        self.spreads: dict[tuple[int, torch.dtype], dict[str, float]] = {}
        self.reference: FunctionModel
        self.shares_memory = False

    def verify(self, trial: Trial, data: dict[str, Any]) -> None:
        """Verify one function, and add to the data of its finding. Raises BrokenPromise and TrialFailed."""
        model = self.builder.bare(trial)
        assert isinstance(model, FunctionModel)
        if trial is self.baseline:
            self.reference = model
        else:
            self.check_caching(trial, model)
        found = [self.call(trial, model, arguments, number) for number, arguments in enumerate(self.inputs)]
        if trial is self.baseline:
            self.expected = found
            self.exact = [self.in_float64(model, arguments) for arguments in self.inputs]
            self.shares_memory = self.returns_same_memory(model)
            data["dataset_counts"] = {}
            return
        if model.different:
            return
        worst = max((self.check_result(model, number, each) for number, each in enumerate(found)), default=None)
        if worst:
            data.update(dict(zip(("error", "allowed", "of"), worst[1:], strict=True)))
        self.check_memory(model)
        self.check_new_values(trial, model)

    # One call

    def call(self, trial: Trial, model: FunctionModel, arguments: Arguments, number: int) -> Leaves:
        """What the function returns for an input, by name, and what it has made of arguments that it changes. Raises
        TrialFailed and BrokenPromise."""
        self.watchdog.doing(trial.level, f"verifying input {number}")
        self.check_signature(trial, model, arguments)
        given = self.given(model, arguments)
        before = digest_of(given)
        imported = set[str]()
        with failures_of(trial.level, f"calling it with input {number}"), watched_imports(imported):
            seed_generators(trial.seed)
            found = model.named(cloned(model.call(given)))
        if imported and trial.model.parameters.get("commit"):
            what = f"a call imports {min(imported)}, which is that of the working folder and not that of the commit"
            raise TrialFailed(trial.level, f"{what}; move the import to the top of its file")
        if digest_of(given) == before:
            return found
        changed = changed_arguments(self.given(model, arguments), given)
        if self.mode != "fresh":
            what = f"it changes its {', '.join(changed)} in place, so a repeated call would do other work"
            raise TrialFailed(trial.level, f"{what}; time it with fresh inputs (--fresh)")
        return found | {f"{name} after the call": leaf for name, leaf in changed.items()}

    def given(self, model: FunctionModel, arguments: Arguments) -> Arguments:
        """A copy of the arguments for one call."""
        return model.prepare(on_device(cloned(arguments), self.device))

    def check_signature(self, trial: Trial, model: FunctionModel, arguments: Arguments) -> None:
        """Raise TrialFailed unless the function can be called with these arguments."""
        try:
            signature = inspect.signature(model.function)
        except (TypeError, ValueError):  # some functions of C have none
            return
        try:
            signature.bind(*arguments.positional, **arguments.keyword)
        except TypeError as error:
            count = len(arguments.positional)
            given = f"{count} positional argument{'s' * (count != 1)}"
            given += "".join(f", {name}" for name in arguments.keyword)
            code = getattr(model.function, "__code__", None)
            place = f" ({code.co_filename.rpartition('/')[2]}:{code.co_firstlineno})" if code else ""
            what = f"it cannot be called with the inputs ({given}): {error}; its signature is {signature}{place}"
            raise TrialFailed(trial.level, what) from None

    # Results

    def in_float64(self, model: FunctionModel, arguments: Arguments) -> Leaves | None:
        """What the function returns for arguments in float64; None if it does not compute in float64."""
        try:
            seed_generators(self.baseline.seed)
            given = mapped(self.given(model, arguments), as_float64)
            return model.named(cloned(model.call(model.prepare(given))))
        except Exception:  # code that is written for one dtype may raise anything
            return None

    def check_result(self, model: FunctionModel, number: int, found: Leaves) -> tuple[float, float, float, str]:
        """Compare a result with that of the baseline. Returns its error as a share of the limit, the error, the limit,
        and its name. Raises BrokenPromise."""
        if wrong := structure_differs(found, self.expected[number]):
            raise BrokenPromise(f"{wrong} (input {number})")
        worst = (0.0, 0.0, 1.0, "")
        for name, leaf in found.items():
            ours, own = tensor_of(leaf), tensor_of(self.expected[number][name])
            if ours is None or own is None:
                continue
            apart = difference(ours, self.truth(number, name, own))
            limit = self.quick_limit(model, number, name, own)
            if apart.error > limit:
                limit = self.careful_limit(model, number, name, own, apart)
            if apart.error > limit:
                if apart.error == inf:
                    raise BrokenPromise(f"{name} differs, {apart.where} (input {number})")
                what = f"{name} is off by {apart.error:.1e} of its largest value, {apart.where}"
                allows = "--tolerance" if model.tolerance else "rounding"
                raise BrokenPromise(f"{what} ({allows} allows {limit:.1e}; input {number})")
            if limit:
                worst = max(worst, (apart.error / limit, apart.error, limit, name))
        return worst

    def truth(self, number: int, name: str, own: torch.Tensor) -> torch.Tensor:
        """The baseline's result in float64, or else its own."""
        exact = self.exact[number]
        found = tensor_of(exact[name]) if exact and name in exact else None
        return own if found is None or found.shape != own.shape else found

    def quick_limit(self, model: FunctionModel, number: int, name: str, own: torch.Tensor) -> float:
        """An error that needs no further look."""
        if model.tolerance:
            return model.tolerance
        return max(2 * difference(own, self.truth(number, name, own)).error, ACCEPTED.get(own.dtype, 0.0))

    def careful_limit(
        self, model: FunctionModel, number: int, name: str, own: torch.Tensor, apart: Difference
    ) -> float:
        """The largest error that rounding explains, from the spread of the baseline under random rounding. A function
        that agrees with the baseline in float64 may have a larger one."""
        if model.tolerance or not is_inexact(own):
            return model.tolerance
        dtype = lowest_dtype(self.inputs[number], own.dtype)
        epsilon, spread = float(torch.finfo(dtype).eps), self.spread(number, dtype).get(name, 0.0)
        limit = STRICT * spread + EPSILONS * epsilon
        if apart.error > limit and (exact := self.in_float64(model, self.inputs[number])) and self.exact[number]:
            ours, theirs = tensor_of(exact.get(name)), tensor_of((self.exact[number] or {}).get(name))
            if ours is not None and theirs is not None and ours.shape == theirs.shape:
                exact_limit = max(LOOSE * spread * torch.finfo(torch.float64).eps / epsilon, 1e-12)
                if difference(ours, theirs).error <= exact_limit:
                    limit = LOOSE * spread + EPSILONS * epsilon
        return max(limit, ACCEPTED.get(own.dtype, 0.0))

    def spread(self, number: int, dtype: torch.dtype) -> dict[str, float]:
        """How far rounding to a dtype spreads each result of the baseline."""
        if (number, dtype) not in self.spreads:
            exact, own, samples = self.exact[number], self.expected[number], list[dict[str, float]]()
            errors = self.errors_of(number, own)
            for seed in range(SAMPLES) if exact else ():
                with RandomRounding(dtype, seed):
                    found = self.in_float64(self.reference, self.inputs[number])
                if found is None:
                    break
                samples.append(self.errors_of(number, found))
            self.spreads[number, dtype] = spread(samples, errors)
        return self.spreads[number, dtype]

    def errors_of(self, number: int, found: Leaves) -> dict[str, float]:
        """The error of each floating-point result against the truth."""
        errors = {}
        for name, leaf in self.expected[number].items():
            own, ours = tensor_of(leaf), tensor_of(found.get(name))
            if own is not None and ours is not None and own.is_floating_point() and ours.shape == own.shape:
                error = difference(ours, self.truth(number, name, own)).error
                errors[name] = error if error < inf else 0.0
        return errors

    # Work that is not done in each call

    def check_caching(self, trial: Trial, model: FunctionModel) -> None:
        """Raise BrokenPromise if the function remembers results, as functools.lru_cache does."""
        for found in (model.function, getattr(model.function, "__wrapped__", None)):
            if hasattr(found, "cache_info") and not hasattr(self.reference.function, "cache_info"):
                raise BrokenPromise("it keeps its results (functools), so a repeated call does no work")

    def returns_same_memory(self, model: FunctionModel) -> bool:
        """Whether two calls with different copies of an input return the same memory."""
        one, two = (model.call(self.given(model, self.inputs[0])) for _ in range(2))
        addresses = [{t.untyped_storage().data_ptr() for t in memory_of(each)} - {0} for each in (one, two)]
        return bool(addresses[0] & addresses[1])

    def check_memory(self, model: FunctionModel) -> None:
        """Raise BrokenPromise if a call returns the memory of an earlier result, and the baseline does not."""
        if not self.shares_memory and self.returns_same_memory(model):
            raise BrokenPromise(
                "two calls return the same memory: it keeps its results between calls, or each call overwrites the "
                "result of the call before it"
            )

    def check_new_values(self, trial: Trial, model: FunctionModel) -> None:
        """Raise BrokenPromise if the function does not notice that the values of an argument that it knows have
        changed: it keeps results by the identity of its arguments."""
        for number, arguments in enumerate(self.inputs):
            other = mapped(arguments, rolled)
            if other is arguments:
                continue
            try:
                seed_generators(trial.seed)
                expected = self.reference.named(cloned(self.reference.call(self.given(self.reference, other))))
                given = self.given(model, arguments)
                model.call(given)
                copy_values(self.given(model, other), given)
                seed_generators(trial.seed)
                found = model.named(cloned(model.call(given)))
            except Exception:  # values in another order may be no valid arguments
                continue
            limit = max(100 * ACCEPTED[torch.float16], 10 * model.tolerance)
            pairs = [(tensor_of(found.get(name)), tensor_of(leaf)) for name, leaf in expected.items()]
            if any(
                ours is not None and theirs is not None and ours.shape == theirs.shape
                and difference(ours, theirs).error > limit
                for ours, theirs in pairs
            ):  # fmt: skip
                raise BrokenPromise(
                    f"it returns a wrong result when the values of an argument change in place (input {number}): it "
                    f"keeps results of earlier calls"
                )


def changed_arguments(before: Arguments, after: Arguments) -> dict[str, Any]:
    """The leaves of the arguments that a call has changed, by the names of their arguments."""
    old = dict(leaves(before))
    return {
        name_of_argument(path): leaf
        for path, leaf in leaves(after)
        if path not in old or digest_of(leaf) != digest_of(old[path])
    }


def memory_of(value: Any) -> Sequence[torch.Tensor]:
    """The dense tensors in a result; arrays share memory with tensors."""
    found = tensors_in(value)
    found += [torch.from_numpy(leaf) for _, leaf in leaves(value) if is_writable(leaf)]
    return [tensor for tensor in found if tensor.layout == torch.strided and tensor.numel()]


def is_writable(leaf: Any) -> bool:
    """Whether a leaf is an array of numbers that a tensor can share memory with."""
    return isinstance(leaf, np.ndarray) and leaf.dtype.kind in "biufc" and leaf.flags.writeable


def as_float64(leaf: Any) -> Any:
    """A leaf in double precision."""
    if isinstance(leaf, torch.Tensor) and leaf.is_floating_point():
        return leaf.double()
    if isinstance(leaf, torch.Tensor) and leaf.is_complex():
        return leaf.to(torch.complex128)
    if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f":
        return leaf.astype(np.float64)
    return leaf


def lowest_dtype(arguments: Arguments, of_result: torch.dtype) -> torch.dtype:
    """The floating-point dtype of fewest bits among the arguments and the result."""
    found = [of_result.to_real() if of_result.is_complex else of_result]
    found += [tensor.dtype.to_real() for tensor in tensors_in(arguments) if tensor.is_floating_point()]
    return min(found, key=lambda dtype: dtype.itemsize)


def rolled(leaf: Any) -> Any:
    """A tensor or an array with its values in another order along the first dimension."""
    if isinstance(leaf, torch.Tensor) and leaf.layout == torch.strided and leaf.dim() and len(leaf) > 1:
        return leaf.roll(1, 0)
    if isinstance(leaf, np.ndarray) and leaf.ndim and len(leaf) > 1:
        return np.roll(leaf, 1, 0)
    return leaf


def copy_values(source: Any, target: Any) -> None:
    """Copy the values of tensors and arrays into those of a value with the same structure."""
    into: Mapping[str, Any] = dict(leaves(target))
    with torch.no_grad():
        for name, leaf in leaves(source):
            if isinstance(leaf, torch.Tensor):
                into[name].copy_(leaf)
            elif isinstance(leaf, np.ndarray):
                np.copyto(into[name], leaf)
