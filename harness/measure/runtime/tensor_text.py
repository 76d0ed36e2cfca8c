"""Tensors in exported scripts: as text with their bytes, or as random values of the same shape."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_map_only

from harness.measure.runtime.dtypes import dtype_name


@dataclass(frozen=True)
class PackedTensor:
    """A tensor as plain bytes. `stored` is the type of the stored values, which may be narrower than `dtype`."""

    dtype: str
    stored: str
    shape: tuple[int, ...]
    content: bytes


def pack_tensor(value: Any) -> PackedTensor | None:
    """A dense tensor as bytes; None for any other value."""
    if not isinstance(value, torch.Tensor) or value.layout is not torch.strided or value.is_quantized:
        return None
    flat = value.detach().cpu().contiguous().reshape(-1)
    dtype = flat.dtype
    if not (dtype.is_floating_point or dtype.is_complex or dtype is torch.bool) and flat.numel():
        low, high = int(flat.min()), int(flat.max())
        for narrow in (torch.uint8, torch.int16, torch.int32):
            if torch.iinfo(narrow).min <= low and high <= torch.iinfo(narrow).max and narrow.itemsize < dtype.itemsize:
                flat = flat.to(narrow)
                break
    content: np.ndarray[Any, Any] = flat.view(torch.uint8).numpy() if flat.numel() else np.zeros(0, np.uint8)
    return PackedTensor(dtype_name(dtype), dtype_name(flat.dtype), tuple(value.shape), content.tobytes())


def unpack_tensors(rows: Sequence[tuple[str, str, tuple[int, ...]]], text: str) -> list[torch.Tensor]:
    """The tensors whose values are in a text, one after another. Each row has a type, a stored type and a shape."""
    content, tensors, start = zlib.decompress(base64.b64decode(text)), [], 0
    for dtype, stored, shape in rows:
        stored_type = getattr(torch, stored)
        size = math.prod(shape) * stored_type.itemsize
        values = bytearray(content[start : start + size])
        flat = torch.frombuffer(values, dtype=stored_type) if size else torch.empty(0)
        tensors.append(flat.to(getattr(torch, dtype)).reshape(shape))
        start += size
    return tensors


def random_tensor(shape: tuple[int, ...], mean: float, std: float, seed: int, dtype: str) -> torch.Tensor:
    """Values from a normal distribution, the same for the same seed."""
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * std + mean
    return values.to(getattr(torch, dtype))


def replace_large(value: Any, replaced: dict[int, tuple[Any, ...]], least: int = 4096) -> Any:
    """The value with each floating-point tensor of at least this many numbers replaced by a random one of the same
    shape, mean and standard deviation. `replaced` gets the arguments of `random_tensor`, by the id of the new tensor.
    """

    def replace(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_floating_point() or tensor.numel() < least or pack_tensor(tensor) is None:
            return tensor
        exact = tensor.detach().double()
        arguments = (
            tuple(tensor.shape),
            float(exact.mean()),
            float(exact.std()),
            len(replaced),
            dtype_name(tensor.dtype),
        )
        new = random_tensor(*arguments)
        replaced[id(new)] = arguments
        return new

    return tree_map_only(torch.Tensor, replace, value)
