"""The forget gate's bias at the start."""

from __future__ import annotations

import torch
from torch import nn

from harness import Recipe
from harness_rnn.optimizations.initialisers import initialised, recurrent


def forget_bias(recipe: Recipe, *, value: float = 1.0, longest: int | None = None, fill: bool = False) -> Recipe:
    """Set the forget gate's total bias in every layer and direction, leaving all other biases alone.

    torch adds two biases: filling every parameter with "bias" in its name, as tutorials do, sets both, and the total
    is twice what was meant. Here `bias_ih` holds the whole and `bias_hh` is zero (Jozefowicz et al. 2015); with `fill`
    it is done as tutorials do, `value` in both, so that the total is 2 `value`. With `longest`, the chrono
    initialisation (Tallec and Ollivier 2018): the forget bias is log u with u uniform on 1..`longest` - 1, the input
    gate's is minus that, and `value` is not used. Gates in torch's order i, f, g, o.
    """
    if longest is not None and longest < 3:
        raise ValueError(f"longest = {longest}: chrono needs dependencies of at least 3 steps")
    if longest is not None and fill:
        raise ValueError("fill puts one value into both biases, chrono (longest) draws their total: choose one")

    def set_bias(model: nn.Module) -> None:
        for ours, theirs in zip(recurrent(model, "bias_ih"), recurrent(model, "bias_hh"), strict=True):
            size = len(ours) // 4
            total = torch.full_like(ours[:size], value)
            if longest is not None:
                total = torch.log(torch.empty_like(total).uniform_(1, longest - 1))
                ours[:size], theirs[:size] = -total, 0.0
            ours[size : 2 * size] = total
            theirs[size : 2 * size] = total if fill else 0.0

    return initialised(recipe, set_bias)
