"""Optimizers."""

from __future__ import annotations

import torch

from harness import Recipe


def adam(recipe: Recipe, *, lr: float = 1e-3, weight_decay: float = 0.0, fused: bool = False) -> Recipe:
    """torch.optim.Adam (Kingma and Ba 2015, algorithm 1). `lr` is the learning rate, `weight_decay` the factor of an L2
    penalty. `fused` runs the update as a single kernel. Building the trial raises ValueError if torch rejects a value.
    """
    return recipe.replace(
        "optimizer",
        lambda model: torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay, fused=fused or None),
    )


def sgd(
    recipe: Recipe, *, lr: float = 0.1, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0
) -> Recipe:
    """torch.optim.SGD: stochastic gradient descent with the learning rate `lr`. `momentum`, `nesterov` and
    `weight_decay` (the factor of an L2 penalty) are optional. Building the trial raises ValueError if torch rejects a
    value.
    """
    return recipe.replace(
        "optimizer",
        lambda model: torch.optim.SGD(
            model.parameters(), lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay
        ),
    )
