"""Learning rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable
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
    total: int | None = None,
    final: float = 0.01,
    drops: int = 2,
) -> Recipe:
    """Multiply the learning rate by a factor that depends on the number of the update (LambdaLR).

    During the first `warm_up` updates the factor rises linearly to 1 (Goyal et al. 2017). After that, `kind` decides:
    "constant" stays at 1; the others fall to `final` at update `total` and stay there. "linear" falls in a straight
    line, "cosine" along half a cosine (Loshchilov and Hutter 2017), and "step" by `drops` equal ratios at equal
    distances. By default, `total` is the number of steps of a run, and 1000 if that is not known. A `total` that
    differs much from it is remarked.

    The schedule counts updates, not epochs: with `tbptt`, which makes several updates in a step, it ends sooner. List
    it after the optimizer. Raises ValueError unless 0 <= `warm_up` < `total` and 0 <= `final` <= 1; the kind "step"
    also needs `final` above 0 and at least one drop.
    """
    end = total if total is not None else recipe.steps or max(1000, 2 * warm_up)
    if not 0 <= warm_up < end:
        raise ValueError(f"warm_up = {warm_up}: it must be at least 0 and below total = {end}")
    if not 0 <= final <= 1:
        raise ValueError(f"final = {final}: it must be from 0 to 1")
    if kind == "step" and (final == 0 or drops < 1):
        raise ValueError(f"kind step needs drops and final above 0; got drops = {drops} and final = {final}")
    factor_of = partial(factor, kind=kind, warm_up=warm_up, total=end, final=final, drops=drops)
    if total is not None and recipe.steps is not None:
        recipe = compared_with_run(recipe, warm_up if kind == "constant" else total, recipe.steps, factor_of)

    def scheduled(make_optimizer: Any) -> Any:
        def make(model: nn.Module) -> torch.optim.Optimizer | None:
            optimizer = make_optimizer(model)
            if optimizer is not None and not isinstance(optimizer, torch.optim.Optimizer):
                raise ValueError(
                    f"schedule needs a torch.optim.Optimizer, but the optimizer is a {type(optimizer).__name__}"
                )
            if optimizer is not None:
                optimizer.schedule = LambdaLR(optimizer, factor_of)  # update and state read it there
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


def compared_with_run(recipe: Recipe, end: int, steps: int, factor_of: Callable[[int], float]) -> Recipe:
    """The recipe, with a remark if the last change of the learning rate, at update `end`, is more than a tenth of a run
    after its last step, or before half of it. A warm-up alone may be short."""
    several_updates = "step" in recipe.changes  # an earlier part, such as tbptt, may make several updates in a step
    late = end > 1.1 * steps and not several_updates
    early = end < 0.5 * steps and factor_of(end) < 1
    if not late and not early:
        return recipe
    return recipe.remark(
        f"the schedule ends at update {end}, and a run has {steps} steps, at whose end the learning rate is multiplied "
        f"by {factor_of(steps - 1):.2g}; leave total out to use the length of a run"
    )


def factor(update: int, *, kind: Kind, warm_up: int, total: int, final: float, drops: int) -> float:
    """The factor of the learning rate at an update, counted from 0."""
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
