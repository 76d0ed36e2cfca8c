"""A plugin in one file: optimizers as people use them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn, optim

import harness

#: Optimizers of torch with their settings.
OF_TORCH: dict[str, tuple[type[optim.Optimizer], dict[str, Any]]] = {
    "adagrad": (optim.Adagrad, {"lr": 0.01}),
    "rmsprop": (optim.RMSprop, {"lr": 0.01, "momentum": 0.9, "centered": True}),
    "nadam": (optim.NAdam, {"lr": 0.01}),
    "radam": (optim.RAdam, {"lr": 0.01}),
    "adamw": (optim.AdamW, {"lr": 0.01, "amsgrad": True}),
    "adadelta": (optim.Adadelta, {"lr": 0.01}),
    "adamax": (optim.Adamax, {"lr": 0.01}),
    "asgd": (optim.ASGD, {"lr": 0.01}),
    "rprop": (optim.Rprop, {"lr": 0.01}),
    "foreach_sgd": (optim.SGD, {"lr": 0.01, "momentum": 0.9, "foreach": True}),
}


class Lion(optim.Optimizer):
    """The sign of an interpolated momentum (Chen et al. 2023), with a tensor of state for each parameter."""

    def __init__(
        self, parameters: Iterable[Tensor], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.99)
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            one, two = group["betas"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                momentum = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                parameter.sub_(torch.sign(one * momentum + (1 - one) * parameter.grad), alpha=group["lr"])
                momentum.mul_(two).add_(parameter.grad, alpha=1 - two)


def lion(recipe: harness.Recipe, *, lr: float = 1e-3) -> harness.Recipe:
    """An optimizer of one's own."""
    return recipe.replace("optimizer", lambda model: Lion(model.parameters(), lr))


def sparse_adam(recipe: harness.Recipe) -> harness.Recipe:
    """SparseAdam of the parameters that are trained."""
    return recipe.replace(
        "optimizer", lambda model: optim.SparseAdam([p for p in model.parameters() if p.requires_grad])
    )


def lbfgs(recipe: harness.Recipe) -> harness.Recipe:
    """LBFGS, whose step needs a closure."""
    return recipe.replace("optimizer", lambda model: optim.LBFGS(model.parameters()))


def groups(recipe: harness.Recipe) -> harness.Recipe:
    """Groups of parameters: no weight decay of biases, and another learning rate for the head."""

    def make(model: nn.Module) -> optim.Optimizer:
        named = list(model.named_parameters())
        return optim.AdamW([
            {"params": [p for name, p in named if "classifier" in name], "lr": 0.1},
            {"params": [p for name, p in named if "classifier" not in name and p.ndim > 1]},
            {"params": [p for name, p in named if "classifier" not in name and p.ndim < 2], "weight_decay": 0.0},
        ], lr=0.01)  # fmt: skip

    return recipe.replace("optimizer", make)


class Both:
    """Two optimizers that step together, which is not a torch.optim.Optimizer."""

    def __init__(self, *optimizers: optim.Optimizer) -> None:
        self.optimizers = optimizers

    @property
    def param_groups(self) -> list[Any]:
        return [group for one in self.optimizers for group in one.param_groups]

    def step(self) -> None:
        for one in self.optimizers:
            one.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        for one in self.optimizers:
            one.zero_grad(set_to_none)

    def state_dict(self) -> Any:
        return [one.state_dict() for one in self.optimizers]

    def load_state_dict(self, states: Any) -> None:
        for one, state in zip(self.optimizers, states, strict=True):
            one.load_state_dict(state)


def halves(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """The parameters of the embedding, and all others."""
    first = list(model.embedding.parameters())
    return first, [p for p in model.parameters() if all(p is not one for one in first)]


def both(recipe: harness.Recipe, *, sparse: bool = False) -> harness.Recipe:
    """Two optimizers: one for the embedding, and one for the rest."""
    one = optim.SparseAdam if sparse else optim.SGD

    def make(model: nn.Module) -> Any:
        first, rest = halves(model)
        return Both(one(first, lr=0.1), optim.Adam(rest, lr=0.01))

    return recipe.replace("optimizer", make)


def listed(recipe: harness.Recipe) -> harness.Recipe:
    """Two optimizers as a list, which is refused."""
    return recipe.replace("optimizer", lambda model: [optim.SGD(part, lr=0.1) for part in halves(model)])


def accumulated(recipe: harness.Recipe, *, steps: int = 2) -> harness.Recipe:
    """The gradients of several steps for one update."""

    def wrap(update: Any) -> Any:
        taken = [0]

        def sometimes(model: nn.Module, optimizer: Any) -> None:
            taken[0] += 1
            if taken[0] % steps == 0:
                update(model, optimizer)

        return sometimes

    return recipe.wrap("update", wrap)


def averaged(recipe: harness.Recipe, *, decay: float = 0.9) -> harness.Recipe:
    """The moving average of the weights predicts, as torch.optim.swa_utils.AveragedModel keeps it."""
    models: dict[int, nn.Module] = {}

    def average_of(model: nn.Module) -> nn.Module:
        if id(model) not in models:
            models[id(model)] = copy.deepcopy(model)
        return models[id(model)]

    def wrap(update: Callable[..., None]) -> Callable[..., None]:
        def update_both(model: nn.Module, optimizer: Any) -> None:
            update(model, optimizer)
            with torch.no_grad():
                for mean, now in zip(average_of(model).parameters(), model.parameters(), strict=True):
                    mean.lerp_(now, 1 - decay)

        return update_both

    recipe = recipe.wrap("update", wrap).wrap(
        "state", lambda state: lambda built: [*state(built), average_of(built.model)]
    )
    return recipe.wrap("evaluate", lambda inner: lambda model, batch: inner(average_of(model).eval(), batch))


def normalised(recipe: harness.Recipe) -> harness.Recipe:
    """A hook of the optimizer that makes every gradient as long as 1."""

    def wrap(make: Any) -> Any:
        def make_with_hook(model: nn.Module) -> Any:
            optimizer = make(model)

            def shorten(*_: Any) -> None:
                for parameter in model.parameters():
                    if parameter.grad is not None:
                        parameter.grad.div_(parameter.grad.norm() + 1e-12)

            optimizer.register_step_pre_hook(shorten)
            return optimizer

        return make_with_hook

    return recipe.wrap("optimizer", wrap)


def of_torch(name: str) -> Callable[..., harness.Recipe]:
    """The optimization that uses an optimizer of torch."""
    kind, settings = OF_TORCH[name]

    def optimizer(recipe: harness.Recipe) -> harness.Recipe:
        return recipe.replace("optimizer", lambda model: kind(model.parameters(), **settings))

    optimizer.__doc__ = f"torch.optim.{kind.__name__}."
    return optimizer


@harness.hookimpl
def provide_optimizations():
    for name in OF_TORCH:
        yield harness.Optimization(name, of_torch(name), name, changes="update", role="optimizer")
    for code in (lion, sparse_adam, lbfgs, groups, both, listed):
        yield harness.Optimization(code.__name__, code, code.__doc__, changes="update", role="optimizer")
    for code in (accumulated, averaged, normalised):
        yield harness.Optimization(code.__name__, code, code.__doc__, changes="update")
