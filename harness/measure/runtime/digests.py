"""Digests of what is loaded or built, so that two processes can be held against each other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from harness.plugins.parts import Data

#: How many examples of each half of a dataset are looked at.
MOST = 64


def tensors_in(value: Any) -> Iterable[torch.Tensor]:
    """Every tensor in nested tuples, lists and mappings, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from tensors_in(one)
    elif isinstance(value, tuple | list):
        for one in value:
            yield from tensors_in(one)


def digest(tensors: Iterable[torch.Tensor]) -> str:
    """SHA-256 of the tensors' types, shapes and bytes."""
    found = hashlib.sha256()
    for tensor in tensors:
        whole = tensor.detach().cpu().contiguous()
        found.update(f"{whole.dtype} {tuple(whole.shape)}".encode())
        found.update(whole.view(torch.uint8).numpy().tobytes() if whole.dim() else repr(whole.item()).encode())
    return found.hexdigest()


def digest_of_weights(model: torch.nn.Module) -> str:
    """All parameters and buffers, by name."""
    state = model.state_dict()
    return digest(state[name] for name in sorted(state))


def digest_of_examples(data: Data, examples: Sequence[Any]) -> str:
    """The batch that the examples make."""
    return digest(tensors_in(data.collate(list(examples))))


def digest_of_data(data: Data) -> str:
    """The first examples of both halves, how many there are, and what is told to models."""
    halves = [
        f"{len(half)} {digest_of_examples(data, half[: min(MOST, len(half))])}" for half in (data.train, data.test)
    ]
    return hashlib.sha256(f"{halves} {data.facts!r}".encode()).hexdigest()
