"""Two masked softmaxes, for the workflow `speed`, which shows how the action of this repository is used."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def inputs() -> Iterator[tuple[Tensor, Tensor]]:
    """Scores and masks, both of shape (batch, heads, queries, keys); False is padding."""
    torch.manual_seed(0)
    for length in (16, 64):
        mask = torch.rand(8, 1, 1, length) > 0.3
        mask[..., 0] = True
        yield torch.randn(8, 4, length, length), mask


def written_out(scores: Tensor, mask: Tensor) -> Tensor:
    """By its formula."""
    scores = torch.where(mask, scores, float("-inf"))
    weights = torch.exp(scores - scores.amax(-1, keepdim=True))
    return weights / weights.sum(-1, keepdim=True)


def fused(scores: Tensor, mask: Tensor) -> Tensor:
    """By one operator."""
    return torch.softmax(scores.masked_fill(~mask, float("-inf")), -1)
