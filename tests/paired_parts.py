"""A plugin in one file: models and optimizations that differ in their initial weights, or in their loss."""

from __future__ import annotations

from typing import Any

import torch
import toy
from torch import nn
from torch.nn import functional as F

import harness


class Table(nn.Module):
    """Points (B, features), rounded to rows of an embedding, times a buffer, to a number. `tied`: the last linear map
    is the first row of the embedding."""

    def __init__(self, features: int, spread: float, scale: float, bias: float, tied: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(3, features)
        self.last = nn.Linear(features, 3)
        self.register_buffer("scale", torch.tensor(scale))
        with torch.no_grad():
            self.embedding.weight *= spread
            self.last.bias.fill_(bias)
        if tied:
            self.last.weight = self.embedding.weight

    def predict(self, batch: Any) -> torch.Tensor:
        rows = self.embedding((batch.x[:, 0] > 0).long() + 1)
        return self.last(rows * batch.x * self.scale).sum(1, keepdim=True)

    def loss(self, batch: Any) -> torch.Tensor:
        return F.mse_loss(self.predict(batch)[:, 0], batch.y)

    def observe(self, batch: Any) -> dict[str, torch.Tensor]:
        return {"predictions": self.predict(batch)}


def table(
    features: int, *, spread: float = 1.0, scale: float = 1.0, bias: float = 0.0, tied: bool = False
) -> nn.Module:
    """Its constructor sets weights."""
    return Table(features, spread, scale, bias, tied)


def rescaled(recipe: harness.Recipe, *, by: float = 3.0) -> harness.Recipe:
    """The model is built with a larger bias."""

    def around(build: Any) -> Any:
        def run() -> nn.Module:
            model = build()
            with torch.no_grad():
                model.last.bias.fill_(by)
            return model

        return run

    return recipe.wrap("build", around)


def filled(recipe: harness.Recipe) -> harness.Recipe:
    """An initialiser."""

    @torch.no_grad()
    def run(model: nn.Module) -> None:
        model.last.bias.fill_(2.0)

    return recipe.wrap("init", lambda init: run)


class Direct(nn.Module):
    """A linear map with a loss of its own, which does not call `predict`."""

    def __init__(self, features: int, width: int, power: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, width), nn.Linear(width, 1))
        self.power = power

    def predict(self, batch: Any) -> torch.Tensor:
        return self.layers(batch.x)

    def loss(self, batch: Any) -> torch.Tensor:
        return ((self.layers(batch.x)[:, 0] - batch.y).abs() ** self.power).mean()

    def observe(self, batch: Any) -> dict[str, torch.Tensor]:
        return {"predictions": self.predict(batch)}


def direct(features: int, *, width: int = 4, power: float = 2.0) -> nn.Module:
    """Its parameters may change the loss."""
    return Direct(features, width, power)


class Weighted(Table):
    """The loss of `Table`, with a penalty of the weights."""

    def loss(self, batch: Any) -> torch.Tensor:
        return Table.loss(self, batch) + 0.01 * self.last.weight.square().sum()


def weighted(features: int) -> nn.Module:
    """Its loss has a penalty."""
    return Weighted(features, 1.0, 1.0, 0.0, False)


def robust(recipe: harness.Recipe) -> harness.Recipe:
    """Trains with the absolute error."""

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        return (model.predict(batch)[:, 0] - batch.y).abs().mean()

    return recipe.replace("forward", loss)


def named(recipe: harness.Recipe) -> harness.Recipe:
    """Wraps the loss and does not change it."""
    return recipe.wrap("model.loss", lambda inner: lambda model, batch: inner(model, batch))


def plain_cloud(*, size: int = 48) -> harness.Data:
    """The toy's cloud without a criterion."""
    data = toy.cloud(size=size)
    return harness.Data(data.train, data.test, data.collate, data.facts, scores=data.scores, exchangeable=True)


@harness.hookimpl
def provide_models():
    yield harness.Model("table", table, "sets weights in its constructor")
    yield harness.Model("direct", direct, "has a loss that does not call predict")
    yield harness.Model("weighted", weighted, "has a penalty in its loss")


@harness.hookimpl
def provide_datasets():
    scores = {"close": harness.Score("higher", "difference", "share of predictions within 0.5")}
    yield harness.Dataset("plain_cloud", plain_cloud, "points without a criterion", scores=scores)


@harness.hookimpl
def provide_optimizations():
    yield harness.Optimization("rescaled", rescaled, "builds another model", changes="model")
    yield harness.Optimization("filled", filled, "sets a bias", changes="model")
    yield harness.Optimization("robust", robust, "another loss", changes="model")
    yield harness.Optimization("named", named, "the same loss", changes="model")
