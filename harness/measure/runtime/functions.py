"""A function of the user as a model: it is called with arguments that another function yields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import nn

from harness.errors import UserError
from harness.measure.runtime.dtypes import is_inexact
from harness.measure.runtime.nested import cloned, leaves, mapped, named_tensors, on_device
from harness.measure.runtime.observations import projection

#: The most inputs of a run: each is kept in memory and timed.
MOST = 64


class Arguments(NamedTuple):
    """The arguments of one call."""

    positional: tuple[Any, ...] = ()
    keyword: Mapping[str, Any] = {}

    @classmethod
    def of(cls, value: Any) -> Arguments:
        """From what a function of inputs yields: a tuple, a dictionary of keyword arguments, or the only argument."""
        if isinstance(value, tuple) and not hasattr(value, "_fields"):
            return cls(value)
        if isinstance(value, dict) and all(isinstance(name, str) for name in value):
            return cls((), value)
        return cls((value,))


class FunctionBatch(NamedTuple):
    """The arguments of a call, in the form of a batch of one example."""

    ids: torch.Tensor
    arguments: Arguments

    def to(self, device: Any) -> FunctionBatch:
        """The batch with all tensors on a device."""
        return FunctionBatch(self.ids, on_device(self.arguments, device))


def collate(examples: Sequence[Any]) -> FunctionBatch:
    """One example as a batch. It shares no memory with the example, so that a call cannot change it. (Several are only
    compared, and never called.)"""
    arguments = Arguments.of(examples[0]) if len(examples) == 1 else Arguments(tuple(examples))
    return FunctionBatch(torch.arange(len(examples)), cloned(arguments))


def yielded(make: Callable[[], Any], code: str) -> list[Any]:
    """Everything that a function of inputs yields. A function that returns one tuple of arguments is accepted too.
    Raises UserError if there is nothing, or too much."""
    made = make()
    if isinstance(made, tuple | dict | torch.Tensor) or not isinstance(made, Iterable):
        made = [made]
    values = list(islice(made, MOST + 1))
    if not values:
        fix = "Each value that it yields is one tuple of arguments."
        raise UserError(f"{code} yields no arguments.", fix=fix)
    if len(values) > MOST:
        raise UserError(f"{code} yields more than {MOST} tuples of arguments.", fix="Yield a typical selection.")
    return values


class FunctionModel(nn.Module):  # type: ignore[misc]  # torch does not declare its type
    """Calls a function. With `gradients`, a call also computes the gradients of a random projection of what the
    function returns, for each argument that is a floating-point tensor and for the parameters of a module."""

    def __init__(
        self, function: Callable[..., Any], *, gradients: bool = False, different: bool = False, tolerance: float = 0.0
    ) -> None:
        super().__init__()
        self.parts = (function,)  # in a tuple, so that a module is not a part of this one
        self.gradients, self.different, self.tolerance = gradients, different, tolerance
        self.projections: dict[str, torch.Tensor] = {}

    @property
    def function(self) -> Callable[..., Any]:
        """The function itself."""
        return self.parts[0]

    def prepare(self, arguments: Arguments) -> Arguments:
        """Arguments that can be called with: with gradients, floating-point tensors need one."""
        if not self.gradients:
            return arguments
        found: Arguments = mapped(
            arguments, lambda leaf: leaf.detach().requires_grad_() if is_differentiable(leaf) else leaf
        )
        return found

    def variables(self, arguments: Arguments) -> dict[str, torch.Tensor]:
        """The tensors whose gradients are computed, by the names of their arguments."""
        found = {name_of_argument(name): leaf for name, leaf in leaves(arguments) if is_differentiable(leaf)}
        if isinstance(self.function, nn.Module):
            found |= {name: one for name, one in self.function.named_parameters() if one.requires_grad}
        return found

    def call(self, arguments: Arguments) -> Any:
        """What the function returns; with gradients, a tuple of it and of the gradients by name."""
        result = self.function(*arguments.positional, **arguments.keyword)
        if not self.gradients:
            return result
        outputs = {name: one for name, one in named_tensors(result).items() if one.requires_grad}
        variables = self.variables(arguments)
        if not outputs or not variables:
            raise ValueError(
                "no result depends on an argument that has a gradient: a floating-point tensor; leave out --grad"
            )
        weights = [self.projection(name, output) for name, output in outputs.items()]
        found = torch.autograd.grad(list(outputs.values()), list(variables.values()), weights, allow_unused=True)
        return result, dict(zip(variables, found, strict=True))

    def named(self, value: Any) -> dict[str, Any]:
        """The leaves of what `call` returns, by their names: "result[0]", "gradient of argument 1"."""
        result, gradients = value if self.gradients else (value, {})
        found = {f"result{path}": leaf for path, leaf in leaves(result)}
        return found | {f"gradient of {name}": one for name, one in gradients.items()}

    def projection(self, name: str, output: torch.Tensor) -> torch.Tensor:
        """The weights of a result in the projection. They are made once, outside the timed region."""
        key = f"{name} {tuple(output.shape)} {output.dtype} {output.device}"
        if key not in self.projections:
            self.projections[key] = projection(name, output)
        return self.projections[key]

    def predict(self, batch: FunctionBatch) -> Any:
        """Call the function."""
        return self.call(self.prepare(batch.arguments))

    def loss(self, batch: FunctionBatch) -> torch.Tensor:
        """Raise UserError: there is none."""
        fix = "Measure it with speed: {of: call}, or fresh."
        raise UserError("a function has no loss, so it cannot train.", fix=fix)

    def observe(self, batch: FunctionBatch) -> dict[str, torch.Tensor]:
        """Nothing: `harness.measure.kinds.verify_functions` compares what functions return."""
        return {}


def is_differentiable(value: Any) -> bool:
    """Whether a value is a tensor that can have a gradient."""
    return isinstance(value, torch.Tensor) and is_inexact(value)


def name_of_argument(path: str) -> str:
    """The name of an argument from its path in `Arguments`: "argument 0", or "argument mask"."""
    inner = path.removeprefix(".positional").removeprefix(".keyword").removeprefix("[")
    first, _, rest = inner.partition("]")
    return f"argument {first.strip(chr(39))}{rest}"
