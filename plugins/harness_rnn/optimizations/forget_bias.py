"""Initialisation of the forget gate's bias."""

from __future__ import annotations

import torch
from torch import nn

from harness import Recipe
from harness_rnn.optimizations.initialisers import initialised, recurrent


def forget_bias(recipe: Recipe, *, value: float = 1.0, longest: int | None = None, fill: bool = False) -> Recipe:
    """Initialise the forget gate's bias with `value` in every layer and direction (Jozefowicz et al. 2015).

    torch adds two biases, each (4 H,). The part of the forget gate (H,) in `bias_ih` is set to `value`, and that in
    `bias_hh` to zero. `fill` sets both to `value`, as tutorials do when they fill all parameters with "bias" in their
    names, so that the total is twice `value`. Other biases do not change.

    `longest` selects the chrono initialisation (Tallec and Ollivier 2018) instead of `value`: the forget
    bias is log u with u uniform on 1..`longest` - 1, and the input gate's bias is minus that. Raises ValueError if
    `longest` is below 3 or is combined with `fill`.
    """
    if longest is not None and longest < 3:
        raise ValueError(f"longest = {longest}: it must be at least 3 for the chrono initialisation")
    if longest is not None and fill:
        raise ValueError("fill and longest cannot be combined: fill sets both biases, longest draws their total")

    def set_bias(model: nn.Module) -> None:
        for bias_ih, bias_hh in zip(recurrent(model, "bias_ih"), recurrent(model, "bias_hh"), strict=True):
            size = len(bias_ih) // 4  # gates i, f, g, o
            total = torch.full_like(bias_ih[:size], value)
            if longest is not None:
                total = torch.log(torch.empty_like(total).uniform_(1, longest - 1))
                bias_ih[:size], bias_hh[:size] = -total, 0.0
            bias_ih[size : 2 * size] = total
            bias_hh[size : 2 * size] = total if fill else 0.0

    return initialised(recipe, set_bias)
