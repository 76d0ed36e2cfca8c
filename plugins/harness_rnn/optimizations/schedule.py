"""Learning rates that change with the number of updates."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Literal

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from harness import Recipe

Kind = Literal["constant", "linear", "cosine", "step"]


def schedule(
    recipe: Recipe,
    *,
    kind: Kind = "cosine",
    warm_up: int = 0,
    total: int = 1000,
    final: float = 0.01,
    drops: int = 2,
) -> Recipe:
    """Multiply the optimizer's learning rate by a share that depends on the update, counted from 0.

    Over the first `warm_up` updates it rises linearly to 1 (Goyal et al. 2017), and reaches it with the last of them.
    From there it stays ("constant"), or falls to `final` at update `total` and stays there: in a straight line
    ("linear"), along half a cosine ("cosine", Loshchilov and Hutter 2017), or in `drops` equal ratios at equal
    distances ("step"). Updates are counted and not epochs: a part that makes several in a step, such as `tbptt`, gets
    there sooner. Write it after the optimizer.
    """
    if not 0 <= warm_up < total:
        raise ValueError(f"warm_up = {warm_up} must lie from 0 to below total = {total}")
    if not 0 <= final <= 1:
        raise ValueError(f"final = {final} is no share from 0 to 1")
    if kind == "step" and (final == 0 or drops < 1):
        raise ValueError(f"drops = {drops} equal ratios do not lead to final = {final}: both must be above 0")
    of = partial(share, kind=kind, warm_up=warm_up, total=total, final=final, drops=drops)

    def scheduled(make_optimizer: Any) -> Any:
        def make(model: nn.Module) -> torch.optim.Optimizer | None:
            optimizer = make_optimizer(model)
            if optimizer is not None:
                optimizer.schedule = LambdaLR(optimizer, of)  # kept where update and state find it
            return optimizer

        return make

    def counted(update: Any) -> Any:
        def update_and_count(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
            update(model, optimizer)
            optimizer.schedule.step()

        return update_and_count

    def and_schedule(state: Any) -> Any:
        return lambda built: [*state(built), built.optimizer.schedule]

    return recipe.wrap("optimizer", scheduled).wrap("update", counted).wrap("state", and_schedule)


def share(update: int, *, kind: Kind, warm_up: int, total: int, final: float, drops: int) -> float:
    """The share of the learning rate at an update."""
    if update < warm_up:
        return (update + 1) / warm_up
    done = min(1.0, (update - warm_up) / (total - warm_up))
    match kind:
        case "linear":
            return 1 + (final - 1) * done
        case "cosine":
            return final + (1 - final) * (1 + math.cos(math.pi * done)) / 2
        case "step":
            return final ** (min(drops, math.floor(done * (drops + 1))) / drops)
    return 1.0
