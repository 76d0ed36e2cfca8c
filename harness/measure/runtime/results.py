"""Compares what two functions return: nested values whose leaves are tensors, arrays, numbers, texts and the like."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, NamedTuple

import torch

from harness.measure.runtime.dtypes import as_real, dtype_name, is_inexact
from harness.measure.runtime.nested import named_tensors

#: The smallest value by which an error is divided.
SMALLEST = 1e-12


class Difference(NamedTuple):
    """The largest difference between two tensors, as a share of the largest value of the second, and where it is."""

    error: float
    where: str = ""


def structure_differs(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """How two results differ, given by the names of their leaves, in anything but the values of tensors: in words, or
    empty."""
    for name in [*theirs, *ours]:
        if name not in ours:
            return f"it lacks {name}, which the baseline has"
        if name not in theirs:
            return f"it has {name}, which the baseline lacks"
    for name, theirs_leaf in theirs.items():
        one, other = tensor_of(ours[name]), tensor_of(theirs_leaf)
        if one is None or other is None:
            if not is_equal(ours[name], theirs_leaf):
                return f"{name} is {shown(ours[name])} and not {shown(theirs_leaf)}"
        elif one.shape != other.shape:
            return f"{name} has shape {tuple(one.shape)} and not {tuple(other.shape)}"
        elif one.dtype != other.dtype:
            return f"{name} has dtype {dtype_name(one.dtype)} and not {dtype_name(other.dtype)}"
    return ""


def tensor_of(leaf: Any) -> torch.Tensor | None:
    """A leaf as a tensor: an array or a number is converted. None for anything else."""
    if isinstance(leaf, float):
        return torch.tensor(leaf, dtype=torch.float64)
    return named_tensors(leaf).get("")


def is_equal(one: Any, other: Any) -> bool:
    """Whether two leaves that are no tensors are equal. Objects of a class that does not define equality are equal if
    they have the same class and the same attributes."""
    try:
        defines_equality = "__eq__" in {name for kind in type(one).__mro__[:-1] for name in vars(kind)}
        if not defines_equality:
            return type(one) is type(other) and repr(vars(one)) == repr(vars(other))
        return bool(one == other)
    except Exception:  # the class may raise anything, and may have no attributes
        return one is other


def shown(leaf: Any) -> str:
    """A leaf in a message."""
    if (tensor := tensor_of(leaf)) is not None and tensor.dim():
        return f"a tensor of shape {tuple(tensor.shape)}"
    text = repr(leaf)
    return text if len(text) <= 60 else f"{text[:57]}..."


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> Difference:
    """The largest difference. Equal infinities and NaN at the same place are equal. Integers and truth values that
    differ differ completely."""
    one, other = (comparable(tensor) for tensor in (ours, theirs))
    if not one.numel():
        return Difference(0.0)
    same = (one == other) | (one.isnan() & other.isnan())
    apart = torch.where(same, torch.zeros_like(one), (one - other).abs()).nan_to_num(inf, inf)
    at = int(apart.argmax())
    if not float(apart.flatten()[at]):
        return Difference(0.0)
    index = tuple(int(each) for each in torch.unravel_index(torch.tensor(at), apart.shape))
    place = f"at {index if len(index) != 1 else index[0]}: " if index else ""
    where = f"{place}{float(one.flatten()[at]):.6g} and not {float(other.flatten()[at]):.6g}"
    if not is_inexact(theirs):
        return Difference(inf, where)
    largest = float(other[other.isfinite()].abs().max()) if bool(other.isfinite().any()) else 0.0
    return Difference(float(apart.max()) / max(largest, SMALLEST), where)


def comparable(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor as float64 on the CPU."""
    dense = tensor.detach().to_dense() if tensor.layout != torch.strided else tensor.detach()
    return as_real(dense).double().cpu()
