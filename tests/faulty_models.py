"""Models and optimizations that each break one promise. `faults` provides them."""

from __future__ import annotations

import os
from typing import Any

import torch
import toy
from torch import nn
from toy import Points, Regression

import harness


def regression(features: int) -> Regression:
    """One linear map."""
    return Regression(nn.Sequential(nn.Linear(features, 1)))


def mute(features: int) -> Regression:
    return regression(features)


def demanding(features: int, *, size: int) -> Regression:
    """Its size has no default."""
    return regression(features)


def mistyped(features: int, *, size: int = "8") -> Regression:  # type: ignore[assignment]
    """Its default is a string."""
    return regression(features)


def trusting(features: int, *, size: Any = 8) -> Regression:
    """Accepts anything."""
    return regression(features)


class LongLoss(Regression):
    def loss(self, batch: Points) -> torch.Tensor:
        return (self.predict(batch)[:, 0] - batch.y) ** 2


class Narrow(Regression):
    narrow = False

    def predict(self, batch: Points) -> torch.Tensor:
        predicted = super().predict(batch)
        return predicted[:1] if self.narrow else predicted

    def loss(self, batch: Points) -> torch.Tensor:
        return ((self.layers(batch.x)[:, 0] - batch.y) ** 2).mean()


def narrow(features: int, *, narrow: bool = False) -> Narrow:
    """With `narrow`, predicts only one row."""
    model = Narrow(nn.Sequential(nn.Linear(features, 1)))
    model.narrow = narrow
    return model


class Sociable(Regression):
    def predict(self, batch: Points) -> torch.Tensor:
        return self.layers(batch.x - batch.x.mean(0))


class Restless(Regression):
    def predict(self, batch: Points) -> torch.Tensor:
        return self.layers(nn.functional.dropout(batch.x, 0.3))


class CutOff(Regression):
    def predict(self, batch: Points) -> torch.Tensor:
        return self.layers(batch.x) + (self.layers[0].weight.detach() * batch.x).sum(1, keepdim=True)


class Overflow(Regression):
    calls = 0

    def loss(self, batch: Points) -> torch.Tensor:
        self.calls += 1
        return super().loss(batch) * (float("nan") if self.calls > 3 else 1)


class HiddenWeight(Regression):
    def __init__(self, layers: nn.Module) -> None:
        super().__init__(layers)
        self.scale = [torch.randn(1)]  # no parameter, no buffer

    def predict(self, batch: Points) -> torch.Tensor:
        return self.layers(batch.x) * self.scale[0]


class Single(Regression):
    def predict(self, batch: Points) -> torch.Tensor:
        return self.layers(batch.x.float())


class HalfMoved(Regression):
    def predict(self, batch: Points) -> torch.Tensor:
        return nn.functional.linear(batch.x.float(), self.layers[0].weight.float(), self.layers[0].bias.float())


class LeftBehind(Regression):
    def __init__(self, layers: nn.Module) -> None:
        super().__init__(layers)
        self.offset = torch.zeros(1, 8)

    def predict(self, batch: Points) -> torch.Tensor:
        return self.layers(batch.x + self.offset.to(batch.x.dtype))


class Dice(Regression):
    def predict(self, batch: Points) -> torch.Tensor:
        torch.rand(())
        return super().predict(batch)


class Hoarder(Regression):
    def predict(self, batch: Points) -> torch.Tensor:
        self.last = batch
        return super().predict(batch)


class Diary(Regression):
    def loss(self, batch: Points) -> torch.Tensor:
        self.losses = [*getattr(self, "losses", []), super().loss(batch)]
        return self.losses[-1]


def of(kind: type[Regression], *more: nn.Module) -> Any:
    """The code of a model of this class."""

    def build(features: int) -> Regression:
        """One linear map with a fault."""
        return kind(nn.Sequential(nn.Linear(features, 1), *more))

    return build


def normed(features: int) -> Regression:
    """Batch normalisation, which needs two examples."""
    return Regression(nn.Sequential(nn.BatchNorm1d(features), nn.Linear(features, 1)))


def uphill(features: int) -> Regression:
    """Its gradients have the wrong sign."""
    model = regression(features)
    for parameter in model.parameters():
        parameter.register_hook(lambda gradient: -gradient)
    return model


def unseeded(features: int) -> Regression:
    """Weights from the random numbers of the system."""
    model = regression(features)
    model.layers[0].weight.data.normal_(generator=generator(int.from_bytes(os.urandom(4), "big")))
    return model


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def deaf(features: int) -> Regression:
    """Sets the seed itself."""
    torch.manual_seed(0)
    return regression(features)


class Moody(Regression):
    def loss(self, batch: Points) -> torch.Tensor:
        return super().loss(batch) * (1 + int.from_bytes(os.urandom(2), "big"))


def process_bound(features: int) -> Regression:
    """Cannot be pickled, and each process builds other weights."""
    model = regression(features)
    model.layers[0].weight.data.normal_(generator=generator(os.getpid()))
    model.act = lambda x: x
    return model


def meddler(features: int) -> Regression:
    """Sets the number of threads for the whole process."""
    torch.set_num_threads(2)
    return regression(features)


def heavy(recipe: harness.Recipe) -> harness.Recipe:
    """Momentum that is not saved."""
    velocity: dict[Any, torch.Tensor] = {}

    def update(inner: Any) -> Any:
        def run(model: nn.Module, optimizer: Any) -> None:
            for name, parameter in model.named_parameters():
                velocity[name] = 0.9 * velocity.get(name, 0) + parameter.grad
                parameter.grad = velocity[name]
            inner(model, optimizer)

        return run

    return recipe.wrap("update", update)


def flusher(recipe: harness.Recipe) -> harness.Recipe:
    """Flushes subnormal numbers and does not switch it off again."""

    def step(inner: Any) -> Any:
        def run(*given: Any) -> torch.Tensor:
            torch.set_flush_denormal(True)
            return inner(*given)

        return run

    return recipe.wrap("step", step)


def eager(recipe: harness.Recipe) -> harness.Recipe:
    """Builds a layer before the model is built."""
    layer = nn.Linear(1, 1)
    return recipe.wrap(
        "forward", lambda inner: lambda model, batch: inner(model, batch) + 0 * layer.bias.sum().detach()
    )


@harness.hookimpl
def provide_models():
    for name, code, summary in (
        ("mute", mute, "has no docstring"),
        ("demanding", demanding, "a parameter without a default"),
        ("mistyped", mistyped, "a default of another type than its annotation"),
        ("trusting", trusting, "a parameter annotated with Any"),
        ("long_loss", of(LongLoss), "one loss per example instead of a scalar"),
        ("narrow", narrow, "one switch that gives predictions the wrong shape"),
        ("normed", normed, "batch normalisation, which cannot train on one example"),
        ("sociable", of(Sociable), "subtracts the mean of its batch"),
        ("restless", of(Restless), "dropout that is on in evaluation mode"),
        ("cut_off", of(CutOff), "a detach() where a gradient should flow"),
        ("uphill", uphill, "gradients of the wrong sign"),
        ("overflow", of(Overflow), "a loss that is NaN from the fourth step on"),
        ("unseeded", unseeded, "weights from a generator without a seed"),
        ("deaf", deaf, "sets its own seed, so that all seeds give the same weights"),
        ("moody", of(Moody), "a loss with random numbers of the system"),
        ("hidden_weight", of(HiddenWeight), "a weight that is neither a parameter nor a buffer"),
        ("process_bound", process_bound, "cannot be pickled, and its weights depend on the process"),
        ("single", of(Single), "casts its input to float32"),
        ("half_moved", of(HalfMoved), "computes in float32, whatever the dtype of its weights"),
        ("left_behind", of(LeftBehind), "a tensor that is not a buffer and stays on the CPU"),
        ("meddler", meddler, "sets the number of threads"),
        ("dice", of(Dice), "draws a random number in each prediction"),
        ("hoarder", of(Hoarder), "keeps the last batch in an attribute"),
        ("diary", of(Diary), "keeps every loss with its graph"),
    ):
        yield harness.Model(name, code, summary)


@harness.hookimpl
def provide_optimizations():
    yield harness.Optimization("heavy", heavy, "momentum that is not part of the saved state", changes="update")
    yield harness.Optimization("flusher", flusher, "leaves subnormal numbers flushed", changes="rounding")
    yield harness.Optimization("amplifier", toy.doubled, "twice the gradient, declared as rounding", changes="rounding")
    yield harness.Optimization("eager", eager, "builds a layer while it is planned", changes="model")
