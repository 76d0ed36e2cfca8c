"""Values of any structure: tuples, lists, named tuples, dictionaries, dataclasses and packed sequences, nested.

The leaves that count are tensors and NumPy arrays. Arrays stay on the CPU. Objects of any other class are leaves too:
they are not changed, except that an object with a method `to` is moved by it.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence

#: The deepest nesting that is followed. A value that contains itself ends here.
DEEPEST = 64


def mapped(value: Any, function: Callable[[Any], Any], deep: int = 0) -> Any:
    """The same structure with ``function(leaf)`` in place of each leaf. A part in which no leaf changes is the same
    object as before, and so is the whole value."""
    children = None if deep > DEEPEST else children_of(value)
    if children is None:
        return function(value)
    changed = {}
    for key, child in children.items():
        new = mapped(child, function, deep + 1)
        if new is not child:
            changed[key] = new
    return with_children(value, changed) if changed else value


def children_of(value: Any) -> dict[Any, Any] | None:
    """The parts of a container by key, index or name; None if it is a leaf."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=True))
    if isinstance(value, tuple | list):
        return dict(enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: getattr(value, name) for name in names if hasattr(value, name)}
    return None


def with_children(value: Any, changed: Mapping[Any, Any]) -> Any:
    """A copy of a container with some of its parts replaced."""
    if isinstance(value, Mapping):
        try:
            made: Any = copy.copy(value)
            for key, child in changed.items():
                made[key] = child
        except TypeError:  # a mapping that cannot be changed
            return {**value, **changed}
        return made
    if isinstance(value, PackedSequence):
        return PackedSequence(*(changed.get(name, part) for name, part in zip(value._fields, value, strict=True)))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(changed.get(name, part) for name, part in zip(value._fields, value, strict=True)))
    if isinstance(value, tuple | list):
        parts = [changed.get(index, part) for index, part in enumerate(value)]
        return parts if type(value) is list else type(value)(parts)
    made = copy.copy(value)
    for name, child in changed.items():
        object.__setattr__(made, name, child)  # a frozen dataclass has no other way
    return made


def leaves(value: Any, name: str = "", deep: int = 0) -> Iterator[tuple[str, Any]]:
    """Each leaf with its path as Python writes it, such as ``[0]``, ``['mask']`` or ``.labels``; empty for a value that
    is a leaf itself."""
    children = None if deep > DEEPEST else children_of(value)
    if children is None:
        yield name, value
        return
    attributes = not isinstance(value, Mapping) and (hasattr(value, "_fields") or dataclasses.is_dataclass(value))
    for key, child in children.items():
        yield from leaves(child, f"{name}.{key}" if attributes else f"{name}[{key!r}]", deep + 1)


def tensors_in(value: Any) -> list[torch.Tensor]:
    """Every tensor, in order."""
    return [leaf for _, leaf in leaves(value) if isinstance(leaf, torch.Tensor)]


def named_tensors(value: Any) -> dict[str, torch.Tensor]:
    """Every tensor by its path (see `leaves`), in order. Arrays of numbers share their memory with their tensors, and
    numbers become tensors of shape (). Anything else is left out."""
    found = {}
    for name, leaf in leaves(value):
        if isinstance(leaf, torch.Tensor):
            found[name] = leaf
        elif isinstance(leaf, np.ndarray) and leaf.dtype.kind in "biufc":
            found[name] = torch.from_numpy(leaf if leaf.flags.writeable else leaf.copy())
        elif isinstance(leaf, bool | int | float | complex | np.number | np.bool_):
            found[name] = torch.tensor(leaf.item() if isinstance(leaf, np.generic) else leaf)
    return found


def on_device(value: Any, device: torch.device | str) -> Any:
    """The value with its tensors on a device; the same object if they are there already."""

    def moved(leaf: Any) -> Any:
        if isinstance(leaf, torch.nn.Module | type | np.ndarray | np.generic):
            return leaf
        to = getattr(leaf, "to", None)
        return to(device) if callable(to) else leaf

    if isinstance(value, PackedSequence):  # its batch sizes stay on the CPU
        return value if value.data.device == torch.device(device) else value.to(device)
    children = children_of(value)
    if children is None:
        return moved(value)
    changed = {key: new for key, child in children.items() if (new := on_device(child, device)) is not child}
    return with_children(value, changed) if changed else value


def cloned(value: Any) -> Any:
    """A copy whose tensors and arrays share no memory with the value. A tensor that needs a gradient is a leaf of
    autograd that needs one. An object of another class is copied deeply, or shared if it cannot be copied."""

    def copied(leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor):
            return leaf.detach().clone().requires_grad_(leaf.requires_grad)
        if isinstance(leaf, np.ndarray):
            return leaf.copy()
        try:
            return copy.deepcopy(leaf)
        except Exception:  # the class may raise anything
            return leaf

    return mapped(value, copied)


def digest_of(value: Any) -> str:
    """SHA-256 of the structure, and of the contents of all tensors, arrays, numbers and texts. Of an object of another
    class, only the name of the class counts."""
    found = hashlib.sha256()
    for name, leaf in leaves(value):
        found.update(f"\0{name}\0".encode())
        if isinstance(leaf, torch.Tensor):
            add_tensor(found, leaf)
        elif isinstance(leaf, np.ndarray):
            found.update(f"{leaf.dtype} {leaf.shape}".encode())
            found.update(repr(leaf.tolist()).encode() if leaf.dtype.hasobject else np.ascontiguousarray(leaf).tobytes())
        elif isinstance(leaf, bool | int | float | complex | str | bytes | np.generic | None):
            found.update(repr(leaf).encode())
        else:
            found.update(type(leaf).__qualname__.encode())
    return found.hexdigest()


def add_tensor(found: Any, tensor: torch.Tensor) -> None:
    """Add the type, shape and bytes of a tensor to a hash."""
    whole = (tensor.to_dense() if tensor.layout != torch.strided else tensor).detach().cpu().resolve_conj().contiguous()
    found.update(f"{whole.dtype} {tuple(whole.shape)}".encode())
    found.update(whole.view(torch.uint8).numpy().tobytes() if whole.dim() else repr(whole.item()).encode())
