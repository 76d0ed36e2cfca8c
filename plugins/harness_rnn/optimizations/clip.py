"""Gradient clipping."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from harness import Recipe


def clip(
    recipe: Recipe,
    *,
    max_norm: float | None = None,
    max_value: float | None = None,
    norm_type: Literal[1, 2, "inf"] = 2,
) -> Recipe:
    """Clip the gradients before each update (Pascanu et al. 2013, algorithm 1).

    `max_norm` multiplies all gradients by min(1, `max_norm` / norm), where norm is that of all gradients together; it
    is 1 if neither bound is given. `max_value` clips each element to -`max_value`..`max_value`; with both bounds, this
    comes first. `norm_type` is the sum of the absolute elements (1), the Euclidean norm (2) or the largest absolute
    element (inf). Unlike `max_value`, `max_norm` keeps the direction of the gradient. Sparse gradients are clipped,
    too. Raises ValueError for a bound that is not above 0.
    """
    if max_norm is None and max_value is None:
        max_norm = 1.0
    for name, bound in (("max_norm", max_norm), ("max_value", max_value)):
        if bound is not None and bound <= 0:
            raise ValueError(f"{name} = {bound}: it must be above 0")

    def clipped(update: Any) -> Any:
        def clip_and_update(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
            if max_value is not None:
                nn.utils.clip_grad_value_(dense(model.parameters()), max_value)
            if max_norm is not None:
                nn.utils.clip_grad_norm_(dense(model.parameters()), max_norm, float(norm_type))
            update(model, optimizer)

        return clip_and_update

    return recipe.wrap("update", clipped)


def dense(parameters: Iterable[Tensor]) -> Iterator[Tensor]:
    """The parameters. In place of one with a sparse gradient, which torch cannot clip, comes a tensor (n, *) whose
    gradient is the memory of the n rows that the sparse gradient stores."""
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            rows = parameter.grad.values()
            parameter = torch.empty_like(rows)
            parameter.grad = rows
        yield parameter
