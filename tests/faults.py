"""A plugin in one file whose every part breaks one promise, so that the kit can be seen to catch it.

`FAULTS` says which; the summary of each part says what is wrong with it. It works on the toy's dataset.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import toy
from torch import nn
from toy import Points, Regression

import harness

#: By promise: the parts that break it, each with words that what is seen must hold.
FAULTS: dict[str, list[tuple[str, str]]] = {
    "says-what-it-is": [("mute", "has no docstring")],
    "parameters-have-defaults": [
        ("demanding", "size has no default"),
        ("mistyped", "default of size would be refused"),
    ],
    "wrong-parameters-are-refused": [("trusting", "size takes object")],
    "shapes": [("long_loss", "not a scalar"), ("narrow", "with narrow = True, predict gives shape (1, 1)")],
    "batch-of-one": [("normed", "more than 1 value per channel")],
    "alone-as-in-company": [("sociable", "in the company of")],
    "evaluation-is-steady": [("restless", "two predictions of one batch differ")],
    "gradients": [("cut_off", "the gradient says")],
    "trains": [("uphill", "does not learn one batch"), ("overflow", "the loss of step 4 is nan")],
    "repeats": [
        ("unseeded", "different weights"),
        ("deaf", "another seed gives the same weights"),
        ("moody", "under one seed, 3 steps"),
    ],
    "state-dict": [("hidden_weight", "predicts something else"), ("heavy", "goes on differently")],
    "rebuilds": [("process_bound", "another process builds other weights")],
    "dtypes": [("single", "it raised RuntimeError"), ("half_moved", "in float64 it predicts in torch.float32")],
    "devices": [("left_behind", "moved to another device, it fails")],
    "global-state": [
        ("meddler", "building it changes the number of threads"),
        ("flusher", "a step of it changes whether subnormal numbers are flushed"),
        ("dice", "predicting draws from torch's random generator"),
        ("shuffler", "loading it changes Python's random generator"),
    ],
    "keeps-no-batch": [
        ("hoarder", "of the batch is still alive"),
        ("diary", "more tensors are alive after each further step"),
    ],
    "same-everywhere": [("hashed", "two processes load different data")],
    "examples-repeat": [("noisy", "collate changes or draws"), ("redrawn", "loaded twice in one process")],
    "batches": [("twins", "share an id"), ("listed", "not a NamedTuple"), ("holey", "is not finite")],
    "fingerprint": [("clockwork", "and then"), ("nameless", "has no fingerprint")],
    "scores": [("boastful_here", "its door names it and it is not computed")],
    "keeps-its-word": [("amplifier", "is off by")],
    "plans-without-building": [("eager", "builds a Linear while it is planned")],
    "reads-without-torch": [("torchy", "imports torch")],
    "answers": [("nan_metric", "not a finite number"), ("assuming", "KeyError"), ("single_cost", "for each sample")],
    "reads-only": [("scribbler", "changes what is stored")],
    "stays-inside": [
        ("wanderer", "lies outside the run's folder"),
        ("shredder", "changes records.jsonl"),
        ("secretive", "does not name it"),
        ("fragile", "it raised"),
    ],
    "hands-on": [("dropper", "is kept"), ("piecemeal", "part of a replicate"), ("repeater", "is measured again")],
}


def regression(features: int) -> Regression:
    """One linear map, to be spoiled."""
    return Regression(nn.Sequential(nn.Linear(features, 1)))


def mute(features: int) -> Regression:
    return regression(features)


def demanding(features: int, *, size: int) -> Regression:
    """Wants a size, and suggests none."""
    return regression(features)


def mistyped(features: int, *, size: int = "8") -> Regression:  # type: ignore[assignment]
    """Its default is a text."""
    return regression(features)


def trusting(features: int, *, size: Any = 8) -> Regression:
    """Takes anything."""
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
    """Predicts one row of all, if asked to be narrow."""
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
        """One linear map, spoiled."""
        return kind(nn.Sequential(nn.Linear(features, 1), *more))

    return build


def normed(features: int) -> Regression:
    """Batch normalisation, which wants two examples."""
    return Regression(nn.Sequential(nn.BatchNorm1d(features), nn.Linear(features, 1)))


def uphill(features: int) -> Regression:
    """Its gradients point the wrong way."""
    model = regression(features)
    for parameter in model.parameters():
        parameter.register_hook(lambda gradient: -gradient)
    return model


def unseeded(features: int) -> Regression:
    """Weights from the system's own noise."""
    model = regression(features)
    model.layers[0].weight.data.normal_(generator=generator(int.from_bytes(os.urandom(4), "big")))
    return model


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def deaf(features: int) -> Regression:
    """Seeds itself."""
    torch.manual_seed(0)
    return regression(features)


class Moody(Regression):
    def loss(self, batch: Points) -> torch.Tensor:
        return super().loss(batch) * (1 + int.from_bytes(os.urandom(2), "big"))


def process_bound(features: int) -> Regression:
    """Cannot be pickled, and each process has weights of its own."""
    model = regression(features)
    model.layers[0].weight.data.normal_(generator=generator(os.getpid()))
    model.act = lambda x: x
    return model


def meddler(features: int) -> Regression:
    """Computes on two threads from here on, and so does everybody."""
    torch.set_num_threads(2)
    return regression(features)


def heavy(recipe: harness.Recipe) -> harness.Recipe:
    """Momentum that nothing saves."""
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
    """Flushes subnormal numbers, and leaves it so."""

    def step(inner: Any) -> Any:
        def run(*given: Any) -> torch.Tensor:
            torch.set_flush_denormal(True)
            return inner(*given)

        return run

    return recipe.wrap("step", step)


def eager(recipe: harness.Recipe) -> harness.Recipe:
    """Builds a layer before there is a model."""
    layer = nn.Linear(1, 1)
    return recipe.wrap(
        "forward", lambda inner: lambda model, batch: inner(model, batch) + 0 * layer.bias.sum().detach()
    )


def shuffler() -> harness.Data:
    """Shuffles with the generator that all share."""
    data = toy.points()
    random.shuffle([1, 2, 3])
    return data


def replaced(**fields: Any) -> harness.Data:
    """The toy's points, with something else in them."""
    return harness.Data(**{**vars(toy.points()), **fields})


def hashed() -> harness.Data:
    """Its examples are in the order of hashes."""
    names = sorted({f"example {index}" for index in range(64)}, key=hash)
    rows = [(int(name.split()[1]), [float(len(name))] * 8) for name in names]
    return replaced(train=rows, test=[(64, [0.0] * 8)])


def noisy() -> harness.Data:
    """Draws noise for every batch."""
    collate = toy.points().collate
    rows = toy.points().train
    return replaced(
        train=rows[8:],
        collate=lambda examples: collate(
            [(i, [x + random.SystemRandom().random() for x in row]) for i, row in examples]
        ),
    )


def redrawn() -> harness.Data:
    """Draws other examples each time."""
    rows = [(index, [random.SystemRandom().random() for _ in range(8)]) for index in range(64)]
    return replaced(train=rows[8:], test=rows[:8])


def twins() -> harness.Data:
    """Train and test count their examples from nought."""
    return toy.points()


def listed() -> harness.Data:
    """A batch is a list."""
    collate = toy.points().collate

    class Listed(list):
        ids, x, y = property(lambda b: b[0]), property(lambda b: b[1]), property(lambda b: b[2])

        def to(self, device: Any) -> Any:
            return self

    return replaced(train=toy.points().train[8:], collate=lambda examples: Listed(collate(examples)))


def holey() -> harness.Data:
    """Some of its values are missing."""
    rows = [(index, [float("nan") if index == 3 else 1.0] * 8) for index in range(64)]
    return replaced(train=rows[8:], test=rows[:8])


def apart() -> harness.Data:
    """Nothing wrong with it."""
    return replaced(train=toy.points().train[8:])


def clockwork() -> str:
    """Another name each time."""
    return str(time.perf_counter_ns())


def nan_metric(samples: Any) -> float:
    """Not a number."""
    return float("nan")


def assuming(samples: Any) -> float:
    """Takes for granted that points are counted."""
    return samples.totals()["points"]


def single_cost(samples: Any) -> float:
    """One cost for all samples."""
    return float(samples.seconds.mean())


def scribbler(samples: Any) -> float:
    """Trims the samples where they are stored."""
    samples.wall[0] = samples.wall.min() / 2
    return float(samples.wall.mean())


def torchy(samples: Any) -> float:
    """Its module imports torch."""
    return float(samples.seconds.mean())


def wanderer(report: Any, folder: Path) -> list[Path]:
    """Writes beside the run."""
    path = folder.parent / "wandered.txt"
    path.write_text("here")
    return [path]


def shredder(report: Any, folder: Path) -> list[Path]:
    """Tidies up what it does not need."""
    (folder / "records.jsonl").write_text("")
    return []


def secretive(report: Any, folder: Path) -> list[Path]:
    """Leaves a file that it does not name."""
    (folder / "cache.tmp").write_text("")
    return []


def fragile(report: Any, folder: Path) -> list[Path]:
    """Names files after levels."""
    paths = [folder / f"{one.level}.txt" for one in report.findings.comparisons]
    for path in paths:
        path.write_text("")
    return paths


def doing(change: Any) -> Any:
    """An executor that does something to the records on their way."""

    @contextmanager
    def execute(run: Any) -> Any:
        """On this machine, but not well."""
        from harness.measure.local import execute as local

        with local(run) as measure:
            yield lambda block, done, keep: change(measure, block, done, keep)

    return execute


def drop(measure: Any, block: Any, done: Any, keep: Any) -> None:
    measure(block, done, lambda records: keep([record for record in records if record.level != "again"]))


def apiece(measure: Any, block: Any, done: Any, keep: Any) -> None:
    measure(block, done, lambda records: [keep([record]) for record in records])


def repeat(measure: Any, block: Any, done: Any, keep: Any) -> None:
    measure(block, [], keep)


@harness.hookimpl
def provide_models():
    for name, code, summary in (
        ("mute", mute, "has no docstring"),
        ("demanding", demanding, "a parameter without a default"),
        ("mistyped", mistyped, "a default of another type than its annotation"),
        ("trusting", trusting, "a parameter annotated with Any"),
        ("long_loss", of(LongLoss), "a loss for each example"),
        ("narrow", narrow, "one switch that spoils the shape of what is predicted"),
        ("normed", normed, "batch normalisation, which cannot learn from one example"),
        ("sociable", of(Sociable), "subtracts the mean of its batch"),
        ("restless", of(Restless), "dropout that evaluation does not turn off"),
        ("cut_off", of(CutOff), "a detach() where a gradient should flow"),
        ("uphill", uphill, "gradients of the wrong sign"),
        ("overflow", of(Overflow), "a loss that is NaN from the fourth step on"),
        ("unseeded", unseeded, "weights from a generator of its own, never seeded"),
        ("deaf", deaf, "seeds itself, so that every seed is the same"),
        ("moody", of(Moody), "a loss that draws from the system's noise"),
        ("hidden_weight", of(HiddenWeight), "a weight that is neither parameter nor buffer"),
        ("process_bound", process_bound, "cannot be pickled, and its weights depend on the process"),
        ("single", of(Single), "casts its input to float32"),
        ("half_moved", of(HalfMoved), "computes in float32 whatever its weights are in"),
        ("left_behind", of(LeftBehind), "a table that is no buffer stays on the CPU"),
        ("meddler", meddler, "sets the number of threads"),
        ("dice", of(Dice), "draws a random number in each prediction"),
        ("hoarder", of(Hoarder), "keeps the last batch in an attribute"),
        ("diary", of(Diary), "keeps every loss with its graph"),
    ):
        yield harness.Model(name, code, summary)


@harness.hookimpl
def provide_datasets():
    def fixed(**parameters: Any) -> str:
        return "1"

    yield harness.Dataset("apart", apart, "points on a plane, as they should be", fingerprint=fixed)
    for name, code, summary in (
        ("shuffler", shuffler, "shuffles with Python's shared generator"),
        ("hashed", hashed, "lists a set of strings"),
        ("noisy", noisy, "augments at random when it makes a batch"),
        ("redrawn", redrawn, "draws its examples without a seed"),
        ("twins", twins, "numbers train and test both from nought"),
        ("listed", listed, "makes lists where NamedTuples are due"),
        ("holey", holey, "has values that are NaN"),
    ):
        yield harness.Dataset(name, code, summary, fingerprint=fixed)
    yield harness.Dataset("clockwork", apart, "a fingerprint of the time of day", fingerprint=lambda: clockwork())
    yield harness.Dataset("nameless", apart, "no fingerprint")
    boasts = {"close": harness.Score(), "far": harness.Score()}
    yield harness.Dataset(
        "boastful_here", toy.cloud, "a score that it does not compute", fingerprint=fixed, scores=boasts
    )


@harness.hookimpl
def provide_optimizations():
    yield harness.Optimization("heavy", heavy, "momentum outside the state that is saved", changes="update")
    yield harness.Optimization("flusher", flusher, "leaves subnormal numbers flushed", changes="rounding")
    yield harness.Optimization("amplifier", toy.doubled, "twice the gradient, called rounding", changes="rounding")
    yield harness.Optimization("eager", eager, "builds a layer while it is planned", changes="model")


@harness.hookimpl
def provide_metrics():
    yield harness.Metric("nan_metric", nan_metric, "gives NaN")
    yield harness.Metric("assuming", assuming, "a KeyError where a count is missing")
    yield harness.Metric("single_cost", single_cost, "one number where each sample has one", per="sample")
    yield harness.Metric("scribbler", scribbler, "overwrites a sample")
    yield harness.Metric("torchy", "faults:torchy", "imports torch to take a mean")


@harness.hookimpl
def provide_reporters():
    yield harness.Reporter("wanderer", wanderer, "writes beside the run's folder")
    yield harness.Reporter("shredder", shredder, "empties records.jsonl")
    yield harness.Reporter("secretive", secretive, "leaves a file it does not name")
    yield harness.Reporter("fragile", fragile, "a level's name as a file name")


@harness.hookimpl
def provide_executors():
    yield harness.Executor("dropper", doing(drop), "loses the records of a level")
    yield harness.Executor("piecemeal", doing(apiece), "stores records one by one")
    yield harness.Executor("repeater", doing(repeat), "takes no notice of what is done")
