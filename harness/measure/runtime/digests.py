"""Digests of loaded data and built models, to compare two processes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from harness.measure.runtime.builder import tensors_of
from harness.measure.runtime.nested import add_tensor, tensors_in
from harness.plugins.parts import Data

#: The largest number of examples of each half of a dataset that its digest covers.
MOST = 64


def digest(tensors: Iterable[torch.Tensor]) -> str:
    """SHA-256 of the tensors' types, shapes and bytes."""
    found = hashlib.sha256()
    for tensor in tensors:
        add_tensor(found, tensor)
    return found.hexdigest()


def digest_of_weights(model: torch.nn.Module) -> str:
    """The digest of all parameters and buffers, in the order of their names."""
    state = tensors_of(model)
    return digest(state[name] for name in sorted(state))


def digest_of_examples(data: Data, examples: Sequence[Any]) -> str:
    """The digest of these examples as one batch."""
    return digest(tensors_in(data.collate(list(examples))))


def digest_of_data(data: Data) -> str:
    """The digest of the first examples and the sizes of both halves, and of the facts that models get."""
    halves = [
        f"{len(half)} {digest_of_examples(data, [half[position] for position in range(min(MOST, len(half)))])}"
        for half in (data.train, data.test)
        if len(half)
    ]
    return hashlib.sha256(f"{halves} {data.facts!r}".encode()).hexdigest()
