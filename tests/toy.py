"""A plugin in one file, without sequences, for tests of the core: parts without a fault, and parts that fail."""

from __future__ import annotations

import os
import signal
import time
from random import Random, SystemRandom
from typing import Any, NamedTuple

import torch
from torch import nn

import harness
from harness.testing.specimen import waste

HERE = "toy"


class Points(NamedTuple):
    ids: torch.Tensor
    x: torch.Tensor
    y: torch.Tensor

    def to(self, device: Any) -> Points:
        return Points(*(tensor.to(device) for tensor in self))


class Regression(nn.Module):
    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def predict(self, batch: Points) -> torch.Tensor:
        return self.layers(batch.x)

    def loss(self, batch: Points) -> torch.Tensor:
        return ((self.predict(batch)[:, 0] - batch.y) ** 2).mean()

    def observe(self, batch: Points) -> dict[str, torch.Tensor]:
        return {"predictions": self.predict(batch)}


def points(*, size: int = 512, features: int = 8) -> harness.Data:
    """Points on a noisy plane."""
    random = Random(0)
    rows = [(index, [random.gauss(0, 1) for _ in range(features)]) for index in range(size)]

    def collate(examples: list[tuple[int, list[float]]]) -> Points:
        x = torch.tensor([row for _, row in examples])
        return Points(torch.tensor([index for index, _ in examples]), x, x.sum(1))

    return harness.Data(rows, rows[:8], collate, features, count)


def fickle(*, size: int = 512) -> harness.Data:
    """Other points in every process, although its fingerprint is the same."""
    data = points(size=size)
    shift = SystemRandom().random()
    rows = [(index, [value + shift for value in row]) for index, row in data.train]
    return harness.Data(rows, rows[:8], data.collate, data.facts, count)


def count(batch: Points) -> dict[str, float]:
    """How many points a batch has."""
    return {"points": float(len(batch.ids))}


def cloud(
    *, size: int = 48, held_out: int = 24, features: int = 4, noise: float = 0.3, exchangeable: bool = True
) -> harness.Data:
    """Points near a plane, some of them for evaluation, with a score: predictions within 0.5."""
    random = Random(1)
    rows = []
    for index in range(size + held_out):
        x = [random.gauss(0, 1) for _ in range(features)]
        rows.append((index, x, sum(x) + random.gauss(0, noise)))

    def collate(examples: list[tuple[int, list[float], float]]) -> Points:
        ids, x, y = zip(*examples, strict=True)
        return Points(torch.tensor(ids), torch.tensor(x), torch.tensor(y))

    def close(predictions: torch.Tensor, batch: Points) -> torch.Tensor:
        return ((predictions[:, 0] - batch.y).abs() < 0.5).float()

    return harness.Data(
        rows[:size], rows[size:], collate, features, count, scores={"close": close}, exchangeable=exchangeable,
        criterion=squared_errors, constant=mean_answer,
    )  # fmt: skip


def squared_errors(predictions: torch.Tensor, batch: Points) -> torch.Tensor:
    """The loss of each point."""
    return (predictions[:, 0] - batch.y) ** 2


def mean_answer(train: Any) -> Any:
    """Predicts the mean of y of these points for every point."""
    mean = torch.tensor([y for _, _, y in train]).mean()
    return lambda batch: mean.expand(len(batch.ids), 1)


def linear(features: int, *, bias: bool = True) -> Regression:
    """One linear map."""
    return Regression(nn.Sequential(nn.Linear(features, 1, bias=bias)))


def mlp(features: int, *, hidden_size: int = 32, dropout: float = 0.1) -> Regression:
    """Two linear maps with dropout between."""
    layers = [nn.Linear(features, hidden_size), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden_size, 1)]
    return Regression(nn.Sequential(*layers))


def broken(features: int, *, how: str = "raises", at: int = 0) -> Regression:
    """A model that fails as `how` says, from step `at` on."""
    model = linear(features)
    predict, calls = model.predict, [0]
    errors = {"raises": RuntimeError("the toy is broken"), "exits": SystemExit(0), "interrupts": KeyboardInterrupt()}

    def wrong(batch: Points) -> torch.Tensor:
        calls[0] += 1
        if calls[0] <= at:
            return predict(batch)
        if how in errors:
            raise errors[how]
        if how == "nan":
            return predict(batch) * float("nan")
        if how == "shape":
            return predict(batch)[:3]
        if how == "hangs":
            time.sleep(3600)
        if how == "leaves":  # leaves a process that runs on and keeps the pipe open
            if calls[0] == at + 1:
                if not (left := os.fork()):
                    time.sleep(600)
                    os._exit(0)
                print("left", left, flush=True)
            return predict(batch)
        if how == "ends":
            os._exit(0)
        if how == "meddles":
            torch.set_default_dtype(torch.float64)
            return predict(batch)
        if how == "killed":
            os.kill(os.getpid(), signal.SIGSEGV)
        raise AssertionError(how)

    model.predict = wrong
    return model


def remembers(features: int, *, extra_ms: float = 2.0) -> Regression:
    """One linear map that takes longer for a batch that it has not just seen: as with data that is in no cache."""
    model = linear(features)
    predict, last = model.predict, [None]

    def slow(batch: Points) -> torch.Tensor:
        until = time.thread_time_ns() + (extra_ms * 1e6 if batch is not last[0] else 0)
        last[0] = batch
        while time.thread_time_ns() < until:
            pass
        return predict(batch)

    model.predict = slow
    return model


class WithHealth(Regression):
    """One linear map whose health draws a random number, computes gradients and returns them."""

    def health(self, batch: Points) -> dict[str, Any]:
        self.loss(batch).backward()
        weight = self.layers[0].weight
        return {"drawn": float(torch.rand(())), "lags": [2.0, 1.0, 0.0], "rows": weight.grad[0].tolist()}


def other(features: int) -> Regression:
    """Declares that it computes what linear computes, but does not."""
    model = linear(features)
    predict = model.predict
    model.predict = lambda batch: predict(batch) * 1.001
    return model


def descent(recipe: harness.Recipe, *, lr: float = 0.01) -> harness.Recipe:
    """Gradient descent."""
    return recipe.replace("optimizer", lambda model: torch.optim.SGD(model.parameters(), lr=lr))


def adaptive(recipe: harness.Recipe, *, lr: float = 0.01) -> harness.Recipe:
    """Adam, an optimizer with state."""
    return recipe.replace("optimizer", lambda model: torch.optim.Adam(model.parameters(), lr=lr))


def fade(recipe: harness.Recipe, *, gamma: float = 0.9) -> harness.Recipe:
    """A learning rate that shrinks with every update. The schedule is part of the saved state."""
    return scheduled(recipe, lambda made: torch.optim.lr_scheduler.ExponentialLR(made, gamma))


def one_cycle(recipe: harness.Recipe, *, total: int | None = None) -> harness.Recipe:
    """A learning rate that rises and falls once in a run. Its schedule raises after `total` updates."""
    if total and recipe.steps:
        recipe = recipe.remark(f"the cycle has {total} updates, and a run has {recipe.steps} steps")
    last = total or recipe.steps or 1000
    return scheduled(recipe, lambda made: torch.optim.lr_scheduler.OneCycleLR(made, 0.1, total_steps=last + 1))


def scheduled(recipe: harness.Recipe, schedule_of: Any) -> harness.Recipe:
    """A learning rate that changes with every update."""
    schedules: list[Any] = []

    def optimizer(inner: Any) -> Any:
        def build(model: nn.Module) -> Any:
            made = inner(model)
            schedules.append(schedule_of(made))
            return made

        return build

    recipe = recipe.wrap("optimizer", optimizer)
    recipe = recipe.wrap("update", lambda inner: lambda *given: (inner(*given), schedules[-1].step()))
    return recipe.wrap("state", lambda state: lambda built: [*state(built), schedules[-1]])


def shorten(recipe: harness.Recipe, *, max_norm: float = 1.0) -> harness.Recipe:
    """Gradient clipping."""
    return before_update(recipe, lambda model: nn.utils.clip_grad_norm_(model.parameters(), max_norm))


def before_update(recipe: harness.Recipe, change: Any) -> harness.Recipe:
    """Calls `change(model)` before each update."""

    def update(inner: Any) -> Any:
        def run(model: nn.Module, optimizer: Any) -> None:
            change(model)
            inner(model, optimizer)

        return run

    return recipe.wrap("update", update)


def null(recipe: harness.Recipe) -> harness.Recipe:
    """Changes nothing."""
    return recipe


def shuffled(recipe: harness.Recipe) -> harness.Recipe:
    """Another random order, no better and no worse than the first."""
    return in_order(recipe, lambda count, random: random.sample(range(count), count))


def in_order(recipe: harness.Recipe, arrange: Any) -> harness.Recipe:
    """Takes the examples in the order `arrange(number of examples, random)`."""

    def order(examples: Any, batch_size: int, random: Random) -> list[list[int]]:
        positions = arrange(len(examples), random)
        return [positions[at : at + batch_size] for at in range(0, len(positions), batch_size)]

    return recipe.replace("order", order)


def harmful(recipe: harness.Recipe, *, share: float = 0.3) -> harness.Recipe:
    """A share of the updates, drawn from torch's generator, has the wrong sign."""

    def negate(model: nn.Module) -> None:
        if float(torch.rand(())) < share:
            for parameter in model.parameters():
                parameter.grad.neg_()

    return before_update(recipe, negate)


def spoil(recipe: harness.Recipe, *, how: str = "nan", at: int = 3) -> harness.Recipe:
    """The step after `at` others fails as `how` says."""

    def around(step: Any) -> Any:
        taken = [0]

        def run(built: Any, batch: Points, mark: Any) -> torch.Tensor:
            taken[0] += 1
            if taken[0] != at + 1:
                return step(built, batch, mark)
            if how == "raises":
                raise RuntimeError("the step is broken")
            if how == "hangs":
                time.sleep(3600)
            if how == "nan":
                return step(built, batch, mark) * float("nan")
            loss = built.forward(built.model, batch)
            built.backward(built.model, loss)
            parameter = next(built.model.parameters())
            if how == "gradient":
                parameter.grad.fill_(float("inf"))
            built.update(built.model, built.optimizer)
            if how == "weights":
                parameter.data.fill_(float("nan"))
            return loss.detach()

        return run

    return recipe.wrap("step", around)


def reverse(recipe: harness.Recipe) -> harness.Recipe:
    """The examples from the last to the first."""
    return in_order(recipe, lambda count, random: [*reversed(range(count))])


def forgetful(recipe: harness.Recipe) -> harness.Recipe:
    """An order that has some examples twice and omits others."""
    return recipe.wrap("order", lambda order: lambda *given: [[p // 2 * 2 for p in batch] for batch in order(*given)])


def doubled(recipe: harness.Recipe) -> harness.Recipe:
    """Twice the gradient."""
    return recipe.wrap("backward", lambda inner: lambda model, loss: inner(model, loss * 2))


def halved(recipe: harness.Recipe) -> harness.Recipe:
    """Half the update."""

    def halve(model: nn.Module) -> None:
        for parameter in model.parameters():
            parameter.grad /= 2

    return before_update(recipe, halve)


def lazy(recipe: harness.Recipe) -> harness.Recipe:
    """A step that uses half of its batch."""

    def half(built: Any, batch: Points, mark: Any) -> torch.Tensor:
        part = Points(*(tensor[: len(tensor) // 2] for tensor in batch))
        loss = built.forward(built.model, part)
        built.backward(built.model, loss)
        built.update(built.model, built.optimizer)
        return loss.detach()

    return recipe.replace("step", half)


def needs_two(recipe: harness.Recipe) -> harness.Recipe:
    """A step that cannot train on a single example, as with batch normalization."""

    def step(inner: Any) -> Any:
        def run(built: Any, batch: Points, mark: Any) -> torch.Tensor:
            if len(batch.ids) < 2:
                raise ValueError("expected more than one example")
            return inner(built, batch, mark)

        return run

    return recipe.wrap("step", step)


def busy(recipe: harness.Recipe, *, times: int = 100) -> harness.Recipe:
    """The same result, with `times` needless sines."""

    def forward(inner: Any) -> Any:
        def run(model: nn.Module, batch: Points) -> torch.Tensor:
            with torch.no_grad():
                for _ in range(times):
                    batch.x.sin()
            return inner(model, batch)

        return run

    return recipe.wrap("forward", forward)


def picky(recipe: harness.Recipe, *, amount: float = 1.0) -> harness.Recipe:
    """Refuses some parameters, and some trials."""
    if amount < 0:
        raise ValueError(f"amount = {amount} is negative")
    if amount > 9:
        raise harness.Skip("more than nine is too much")
    return recipe


def same(recipe: harness.Recipe, *, threads: int = 1, preload: str = "") -> harness.Recipe:
    """Changes only the environment."""
    return recipe


def variables(*, threads: int, preload: str) -> dict[str, str]:
    """Environment variables that must be set before the process starts."""
    return {"TOY": "1", "HARNESS_THREADS": str(threads)} | ({"LD_PRELOAD": preload} if preload else {})


@harness.hookimpl
def provide_models():
    yield harness.Model("linear", linear, "one linear map", offers={"plane"}, computes="linear")
    yield harness.Model("mlp", mlp, "two linear maps")
    yield harness.Model("remembers", remembers, "slow for other batches", computes="linear")
    yield harness.Model(
        "with_health", lambda features: WithHealth(nn.Sequential(nn.Linear(features, 1))), computes="linear"
    )
    yield harness.Model("broken", f"{HERE}:broken", "fails")
    yield harness.Model("other", f"{HERE}:other", "computes something else than it declares", computes="linear")


@harness.hookimpl
def provide_datasets():
    yield harness.Dataset("points", points, "points on a plane", fingerprint=lambda **parameters: "points 1")
    yield harness.Dataset("fickle", fickle, "other points each time", fingerprint=lambda **parameters: "fickle 1")
    scores = {"close": harness.Score("higher", "difference", "share of predictions within 0.5")}
    yield harness.Dataset("cloud", cloud, "points near a plane", scores=scores)
    broken = {"close": harness.Score(), "far": harness.Score()}
    yield harness.Dataset("boastful", cloud, "declares a score that it does not compute", scores=broken)


@harness.hookimpl
def provide_optimizations():
    yield harness.Optimization("descent", descent, "gradient descent", changes="update", role="optimizer")
    yield harness.Optimization("second_descent", descent, "the same, renamed", changes="update", role="optimizer")
    yield harness.Optimization("adaptive", adaptive, "Adam", changes="update", role="optimizer")
    yield harness.Optimization("fade", fade, "a shrinking learning rate", changes="update")
    yield harness.Optimization("one_cycle", one_cycle, "a learning rate for the length of a run", changes="update")
    yield harness.Optimization("shorten", shorten, "clipping", changes="update")
    yield harness.Optimization("null", null, "nothing", changes="rounding")
    yield harness.Optimization("shuffled", shuffled, "another random order", changes="order", role="order")
    yield harness.Optimization("harmful", harmful, "learns worse", changes="update")
    yield harness.Optimization("spoil", spoil, "one step fails", changes="model")
    yield harness.Optimization("spin", waste, "waste time", changes="rounding")
    yield harness.Optimization("reverse", reverse, "examples from the last to the first", changes="order", role="order")
    yield harness.Optimization("forgetful", forgetful, "loses examples", changes="order")
    yield harness.Optimization("doubled", doubled, "twice the gradient", changes="rounding")
    yield harness.Optimization("declared_doubled", doubled, "twice the gradient, declared as such", changes="answer")
    yield harness.Optimization("halved", halved, "half the update", changes="rounding")
    yield harness.Optimization("lazy", lazy, "half a batch", changes="rounding")
    yield harness.Optimization("declared_halved", halved, "half the update, declared as such", changes="update")
    yield harness.Optimization("needs_two", needs_two, "refuses a single example", changes="model")
    yield harness.Optimization("busy", busy, "needless work", changes="rounding")
    yield harness.Optimization("plane", picky, "needs a plane", changes="rounding", needs={"plane"})
    yield harness.Optimization("picky", picky, "refuses", changes="rounding")
    yield harness.Optimization("elsewhere", same, "its own process", changes="rounding", environment=variables)
    yield harness.Optimization("contrary", picky, "another variable", changes="rounding", environment={"TOY": "2"})


@harness.hookimpl
def provide_metrics():
    yield harness.Metric("points_per_second", lambda s: s.totals()["points"] / s.pass_seconds, "points a second")
