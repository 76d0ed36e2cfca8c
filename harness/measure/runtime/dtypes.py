"""The dtypes of models and batches. A model is measured in the dtypes that its author gave it."""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch

from harness.measure.runtime.nested import mapped


def input_dtype(model: torch.nn.Module) -> torch.dtype | None:
    """The dtype that a model wants for floating-point inputs: its attribute `dtype`, or else the one dtype of its
    parameters. None if they have several, so that the inputs stay as the dataset gives them."""
    declared = getattr(model, "dtype", None)
    if isinstance(declared, torch.dtype) and declared.is_floating_point:
        return declared
    found = {tensor.dtype.to_real() for tensor in model.parameters() if is_inexact(tensor)}
    return found.pop() if len(found) == 1 else None


def is_inexact(tensor: torch.Tensor) -> bool:
    """Whether the numbers of a tensor are rounded: real or complex floating-point numbers."""
    return bool(tensor.is_floating_point() or tensor.is_complex())


def floats_as(batch: Any, dtype: torch.dtype) -> Any:
    """The batch with its real floating-point tensors in this dtype; the batch itself if they have it already."""

    def converted(leaf: Any) -> Any:
        return leaf.to(dtype) if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() else leaf

    return mapped(batch, converted)


def to_float64(model: torch.nn.Module) -> None:
    """Move all floating-point parameters and buffers to float64, and complex ones to complex128."""
    model.double()
    for tensor in chain(model.parameters(), model.buffers()):
        if tensor.is_complex():
            tensor.data = tensor.data.to(torch.complex128)


def as_real(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor (*), or the real and imaginary parts (*, 2) of a complex one."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def lower_of(one: torch.dtype, other: torch.dtype) -> torch.dtype:
    """The dtype of fewer bits; the first if they have the same number."""
    return other if other.itemsize < one.itemsize else one


def dtype_name(dtype: torch.dtype) -> str:
    """The name of a dtype without its module, such as float32."""
    return str(dtype).removeprefix("torch.")


def dtype_of(name: str) -> torch.dtype:
    """The dtype with this name."""
    return getattr(torch, name)
