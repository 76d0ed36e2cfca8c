"""Pooling: from the outputs of a sequence to one vector for the head."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Pooling = Literal["last", "mean", "max", "first"]


def pooled(how: Pooling, outputs: Tensor, final: Tensor, lengths: Tensor) -> Tensor:
    """Outputs (B, T, W) and final (B, W) -> (B, W): `final`, the mean or the maximum over the valid steps, or the first
    step. Padding has no effect."""
    if how == "last":
        return final
    if how == "first":
        return outputs[:, 0]
    lengths = lengths.to(outputs.device)
    padding = (torch.arange(outputs.shape[1], device=outputs.device) >= lengths[:, None])[..., None]
    if how == "max":
        return outputs.masked_fill(padding, -torch.inf).amax(1)
    return outputs.masked_fill(padding, 0.0).sum(1) / lengths[:, None].to(outputs)
