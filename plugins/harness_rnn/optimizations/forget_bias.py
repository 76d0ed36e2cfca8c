"""The forget gate's bias at the start."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from harness import Recipe


def forget_bias(recipe: Recipe, *, value: float = 1.0, longest: int | None = None) -> Recipe:
    """Set the forget gate's total bias in every layer and direction, leaving all other biases alone.

    torch adds two biases: filling every parameter with "bias" in its name, as tutorials do, sets both, and the total
    is twice what was meant. Here `bias_ih` holds the whole and `bias_hh` is zero (Jozefowicz et al. 2015). With
    `longest`, the chrono initialisation (Tallec and Ollivier 2018): the forget bias is log u with u uniform on
    1..`longest` - 1, the input gate's is minus that, and `value` is not used. Gates in torch's order i, f, g, o.
    """
    if longest is not None and longest < 3:
        raise ValueError(f"longest = {longest}: chrono needs dependencies of at least 3 steps")

    def initialised(init: Any) -> Any:
        @torch.no_grad()
        def set_bias(model: nn.Module) -> None:
            init(model)
            parameters = dict(model.named_parameters())
            for name, ours in parameters.items():
                if ".bias_ih_l" not in f".{name}":
                    continue
                theirs = parameters[name.replace("bias_ih_l", "bias_hh_l")]
                size = len(ours) // 4
                total = torch.full_like(ours[:size], value)
                if longest is not None:
                    total = torch.log(torch.empty_like(total).uniform_(1, longest - 1))
                    ours[:size], theirs[:size] = -total, 0.0
                ours[size : 2 * size], theirs[size : 2 * size] = total, 0.0

        return set_bias

    return recipe.wrap("init", initialised)
