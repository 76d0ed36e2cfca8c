"""The plugin that the self-test measures: a model, random data, and an optimization with a known effect.

A step takes a few milliseconds of matrix products and their gradients. The file is loaded as a separate plugin.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import nn

import harness


class Points(NamedTuple):
    """A batch: ids (B,), inputs x (B, F), targets y (B,)."""

    ids: torch.Tensor
    x: torch.Tensor
    y: torch.Tensor

    def to(self, device: Any) -> Points:
        """The batch on another device."""
        return Points(*(tensor.to(device) for tensor in self))


class Layers(nn.Module):  # type: ignore[misc]
    """Linear layers with tanh between them, trained with the squared error."""

    def __init__(self, features: int, *, width: int = 256, depth: int = 4) -> None:
        super().__init__()
        sizes = [features, *[width] * depth]
        hidden = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.Tanh())]
        self.layers = nn.Sequential(*hidden, nn.Linear(width, 1))

    def predict(self, batch: Points) -> torch.Tensor:
        """(B,)"""
        return self.layers(batch.x)[:, 0]

    def loss(self, batch: Points) -> torch.Tensor:
        """Scalar."""
        return ((self.predict(batch) - batch.y) ** 2).mean()

    def observe(self, batch: Points) -> dict[str, torch.Tensor]:
        """Predictions (B,)."""
        return {"predictions": self.predict(batch)}


def points(*, size: int = 2048, features: int = 64) -> harness.Data:
    """Random points with the sum of their features as target. An example is a position, so that collating takes almost
    no time: the planted effect is a share of the rest of the step."""
    x = torch.randn(size, features, generator=torch.Generator().manual_seed(0))
    y = x.sum(1)

    def collate(examples: Sequence[int]) -> Points:
        ids = torch.tensor(list(examples))
        return Points(ids, x[ids], y[ids])

    return harness.Data(range(size), range(8), collate, features)


def descent(recipe: harness.Recipe, *, lr: float = 1e-3) -> harness.Recipe:
    """Gradient descent."""
    return recipe.replace("optimizer", lambda model: torch.optim.SGD(model.parameters(), lr=lr))


def waste(recipe: harness.Recipe, *, share: float = 0.05) -> harness.Recipe:
    """Spin for this share of the step's duration. The duration is CPU time of this thread, because wall time would
    include time in which other programs ran; spinning is used, because sleeping takes no CPU time."""

    def slowed(step: Any) -> Any:
        def run(built: Any, batch: Any, mark: Any) -> Any:
            begun = time.thread_time_ns()
            loss = step(built, batch, mark)
            until = begun + (time.thread_time_ns() - begun) * (1 + share)
            while time.thread_time_ns() < until:
                pass
            return loss

        return run

    return recipe.wrap("step", slowed)


@harness.hookimpl
def provide_models() -> Iterator[harness.Model]:
    """The model that is measured."""
    yield harness.Model("specimen", Layers, "linear layers")


@harness.hookimpl
def provide_datasets() -> Iterator[harness.Dataset]:
    """Its data."""
    yield harness.Dataset("specimen_points", points, "random points", fingerprint=lambda **parameters: "1")


@harness.hookimpl
def provide_optimizations() -> Iterator[harness.Optimization]:
    """The optimizer, and the optimization with a known effect."""
    yield harness.Optimization("descent", descent, "gradient descent", changes="update", role="optimizer")
    yield harness.Optimization("waste", waste, "spend additional CPU time, a share of the step", changes="rounding")
