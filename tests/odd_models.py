"""A plugin in one file: models with other dtypes, other generators, and difficult rounding."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
import torch
import toy
from torch import nn

import harness

#: Generators that no seed of the harness sets.
OWN = np.random.default_rng()
OWN_PYTHON = random.Random()


def typed(features: int, *, dtype: str = "bfloat16") -> nn.Module:
    """One linear map in another dtype."""
    return toy.linear(features).to(getattr(torch, dtype))


class Complex(toy.Regression):
    """A linear map with complex weights. It predicts the real part."""

    def predict(self, batch: toy.Points) -> torch.Tensor:
        return self.layers(batch.x.to(self.layers.weight.dtype)).real


def complex_linear(features: int) -> nn.Module:
    """A linear map with complex weights."""
    return Complex(nn.Linear(features, 1, dtype=torch.complex64))


class Mixed(toy.Regression):
    """A hidden layer in bfloat16 and a head in float32, with the conversions that they need."""

    def predict(self, batch: toy.Points) -> torch.Tensor:
        hidden, head = self.layers
        return head(hidden(batch.x.bfloat16()).float())


def mixed(features: int) -> nn.Module:
    """Two linear maps of different dtypes."""
    return Mixed(nn.Sequential(nn.Linear(features, 4).bfloat16(), nn.Linear(4, 1)))


class SaysItsDtype(toy.Regression):
    """Parameters of two dtypes. It says that its inputs are to be in float64."""

    dtype = torch.float64

    def predict(self, batch: toy.Points) -> torch.Tensor:
        hidden, head = self.layers
        return head(hidden(batch.x).float())


def says(features: int) -> nn.Module:
    """A model with the attribute `dtype`."""
    return SaysItsDtype(nn.Sequential(nn.Linear(features, 4).double(), nn.Linear(4, 1)))


class Single(toy.Regression):
    """It computes with a constant in float32, so it fails in float64."""

    def predict(self, batch: toy.Points) -> torch.Tensor:
        return batch.x @ torch.ones(batch.x.shape[1], 1) * self.layers[0].bias + self.layers(batch.x)


def single(features: int) -> nn.Module:
    """A model that can only compute in float32."""
    return Single(nn.Sequential(nn.Linear(features, 1)))


def drawn(features: int, *, by: str = "numpy") -> nn.Module:
    """The weights of a linear map, drawn by another generator."""
    draws = {
        "torch": lambda: float(torch.randn(())),
        "numpy": np.random.normal,
        "python": random.random,
        "own": OWN.normal,
        "own_python": OWN_PYTHON.random,
        "system": lambda: os.urandom(1)[0] / 256,
        "fixed": lambda: 0.5,
    }
    model = toy.linear(features)
    if by == "seeds_numpy":
        np.random.seed(0)
    if by == "seeds_torch":
        torch.manual_seed(0)
    if by == "from_torch":
        draws[by] = np.random.default_rng(torch.initial_seed()).normal
    draw = draws.get(by, np.random.normal)
    with torch.no_grad():
        model.layers[0].weight.copy_(torch.tensor([[draw() for _ in range(features)]]))
    return model


class Noisy(toy.Regression):
    """A linear map whose training loss has noise from a generator."""

    def __init__(self, layers: nn.Module, draw: Any) -> None:
        super().__init__(layers)
        self.draw = draw

    def predict(self, batch: toy.Points) -> torch.Tensor:
        return super().predict(batch) * (1 + 0.2 * self.draw() if self.training else 1)


def noisy(features: int, *, by: str = "numpy") -> nn.Module:
    """Noise in each training step."""
    return Noisy(toy.linear(features).layers, {"numpy": np.random.normal, "own": OWN.normal}[by])


class Cancelling(toy.Regression):
    """A linear map, plus and minus a large number: float32 keeps three digits of the result. `reverse` adds the
    products in another order, `mistake` is the relative error of a mistake, and `half` computes in bfloat16."""

    def __init__(self, layers: nn.Module, reverse: bool, mistake: float, half: bool) -> None:
        super().__init__(layers)
        self.reverse, self.mistake, self.half = reverse, mistake, half

    def predict(self, batch: toy.Points) -> torch.Tensor:
        linear = self.layers[0]
        products = batch.x * linear.weight
        if self.half:
            products = (batch.x.bfloat16() * linear.weight.bfloat16()).to(batch.x)
        columns = products.unbind(1)
        total = torch.full_like(columns[0], 1e3)
        for column in reversed(columns) if self.reverse else columns:
            total = total + column
        return (total - 1e3 + linear.bias)[:, None] * (1 + self.mistake)


def cancelling(features: int, *, reverse: bool = False, mistake: float = 0.0, half: bool = False) -> nn.Module:
    """A badly conditioned sum."""
    return Cancelling(toy.linear(features).layers, reverse, mistake, half)


class Idle(toy.Regression):
    """A linear map, and weights whose gradient is zero apart from rounding."""

    def __init__(self, layers: nn.Module, reverse: bool) -> None:
        super().__init__(layers)
        self.idle = nn.Parameter(torch.zeros(64))
        self.reverse = reverse

    def predict(self, batch: toy.Points) -> torch.Tensor:
        order = slice(None, None, -1) if self.reverse else slice(None)
        columns = [batch.x[:, i] for i in range(batch.x.shape[1])][order]
        nothing = sum(columns[1:], columns[0]) - batch.x.sum(1)
        return self.layers(batch.x) + (nothing[:, None] * self.idle).sum(1, keepdim=True)


def idle(features: int, *, reverse: bool = False) -> nn.Module:
    """Most gradients are noise."""
    return Idle(toy.linear(features).layers, reverse)


class Counting(toy.Regression):
    """Its extra state holds an array that counts its calls."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__(layers)
        self.seen = np.zeros(2)

    def get_extra_state(self) -> Any:
        return {"seen": self.seen}

    def set_extra_state(self, state: Any) -> None:
        self.seen = state["seen"]

    def predict(self, batch: toy.Points) -> torch.Tensor:
        self.seen = self.seen + 1
        return super().predict(batch)


def counting(features: int) -> nn.Module:
    """Extra state that is no tensor."""
    return Counting(toy.linear(features).layers)


class Unsavable(toy.Regression):
    """Its state cannot be read after some calls."""

    def get_extra_state(self) -> Any:
        if getattr(self, "called", 0) > 20:
            raise RuntimeError("the state is gone")
        return {}

    def set_extra_state(self, state: Any) -> None:
        pass

    def predict(self, batch: toy.Points) -> torch.Tensor:
        self.called = getattr(self, "called", 0) + 1
        return super().predict(batch)


def unsavable(features: int) -> nn.Module:
    """A state that cannot be saved."""
    return Unsavable(toy.linear(features).layers)


class Detached(toy.Regression):
    """Its loss depends on no parameter."""

    def loss(self, batch: toy.Points) -> torch.Tensor:
        return (self.predict(batch).detach()[:, 0] - batch.y).square().mean().requires_grad_()


def detached(features: int) -> nn.Module:
    """A model that cannot train."""
    return Detached(toy.linear(features).layers)


@harness.hookimpl
def provide_models() -> Any:
    same = {"cancelling": frozenset({"reverse", "mistake", "half"}), "idle": frozenset({"reverse"})}
    for build in (cancelling, idle):
        name = build.__name__
        yield harness.Model(name, build, "rounding", computes=name, implementation=same[name])
    yield harness.Model("single", single, "only float32", computes="single")
    for build in (typed, complex_linear, mixed, says, drawn, noisy, counting, unsavable, detached):
        yield harness.Model(build.__name__, build, build.__doc__ or "")
