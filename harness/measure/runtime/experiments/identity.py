"""Whether two functions of a script are the same: their code, and the values that they use from around it."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import torch
from torch import nn

from harness.measure.runtime.nested import digest_of

PLAIN = (bool, int, float, str, type(None))


class Unknown(Exception):
    """A value of which it cannot be seen whether it is the same."""


def identity_of(function: Any) -> tuple[Any, ...] | None:
    """What two functions have in common if they are the same: equal code, and equal values among their defaults and the
    variables around them. None if that cannot be seen."""
    try:
        return identity(function)
    except Unknown:
        return None


def identity(function: Any) -> tuple[Any, ...]:
    """The same. Raises Unknown if it cannot be seen."""
    if isinstance(function, partial):
        return identity(function.func), value_of(function.args), value_of(function.keywords)
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    if code is None:
        raise Unknown
    around = [cell.cell_contents for cell in getattr(function, "__closure__", None) or () if not is_empty(cell)]
    return code, value_of(around), value_of(getattr(function, "__defaults__", None))


def value_of(value: Any) -> Any:
    """A value that can be compared. Raises Unknown for an object of a class that is not known."""
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, torch.Tensor):
        return digest_of(value)
    if isinstance(value, nn.Module):
        settings = [(name, one) for name, one in vars(value).items() if isinstance(one, PLAIN) and name != "training"]
        return type(value), settings, digest_of(value.state_dict())
    if isinstance(value, list | tuple):
        return list(map(value_of, value))
    if isinstance(value, dict):
        return [(key, value_of(one)) for key, one in value.items()]
    return identity(value)


def is_empty(cell: Any) -> bool:
    """Whether a variable around a function has no value yet."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False
