"""A plugin in one file with parts that each break one promise, to test that the kit finds it.

`FAULTS` says which promise; the summary of a part says what is wrong with it. The parts use the toy's dataset.
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
from harness.records.record import Record

#: For each promise, the parts that break it, each with words that the result must contain.
FAULTS: dict[str, list[tuple[str, str]]] = {
    "documented": [("mute", "has no docstring")],
    "parameters-have-defaults": [
        ("demanding", "size has no default"),
        ("mistyped", "a suite would reject the default of size"),
    ],
    "invalid-parameters-are-rejected": [("trusting", "size accepts object")],
    "shapes": [("long_loss", "not a scalar"), ("narrow", "with narrow = True: predict returns shape (1, 1)")],
    "batch-of-one": [("normed", "more than 1 value per channel")],
    "batch-invariance": [("sociable", "in a batch with")],
    "deterministic-evaluation": [("restless", "two predictions of one batch differ")],
    "gradients": [("cut_off", "the gradient gives")],
    "trains": [("uphill", "it cannot fit one batch"), ("overflow", "the loss of step 4 is nan")],
    "repeats": [
        ("unseeded", "different weights"),
        ("deaf", "another seed gives the same weights"),
        ("moody", "with the same seed, 3 steps"),
    ],
    "state-dict": [("hidden_weight", "predicts something else"), ("heavy", "continues differently")],
    "rebuilds": [("process_bound", "another process builds other weights")],
    "dtypes": [("single", "it raised RuntimeError"), ("half_moved", "it predicts in torch.float32")],
    "devices": [("left_behind", "moved to another device, it fails")],
    "global-state": [
        ("meddler", "building it changes the number of threads"),
        ("flusher", "a step of it changes whether subnormal numbers are flushed"),
        ("dice", "predicting draws from torch's random generator"),
        ("shuffler", "loading it changes Python's random generator"),
    ],
    "no-leaks": [
        ("hoarder", "of the batch is still alive"),
        ("diary", "each further step leaves"),
    ],
    "same-in-every-process": [("hashed", "another process loads different data")],
    "examples-repeat": [
        ("noisy", "collate changes the examples, or draws"),
        ("redrawn", "loading it twice in one process"),
    ],
    "batches": [("twins", "ids are not unique"), ("listed", "not a NamedTuple"), ("holey", "is not finite")],
    "fingerprint": [("clockwork", "different fingerprints"), ("nameless", "has no fingerprint")],
    "scores": [("boastful_here", "score far is declared but not computed")],
    "declared-changes": [("amplifier", "is off by")],
    "plans-without-building": [("eager", "builds a Linear while it is planned")],
    "finite-values": [
        ("nan_metric", "not a finite number"),
        ("assuming", "KeyError"),
        ("single_cost", "for each sample"),
    ],
    "read-only": [("scribbler", "changes what is stored")],
    "writes-inside-folder": [
        ("wanderer", "lies outside the run's folder"),
        ("shredder", "changes records.jsonl"),
        ("secretive", "does not name it"),
        ("fragile", "it raised"),
    ],
    "complete-records": [
        ("dropper", "delivers no record of level again"),
        ("piecemeal", "part of a replicate"),
        ("repeater", "measures finished work again"),
    ],
}


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


def shuffler() -> harness.Data:
    """Shuffles with Python's global generator."""
    data = toy.points()
    random.shuffle([1, 2, 3])
    return data


def replaced(**fields: Any) -> harness.Data:
    """The toy's points, with some fields replaced."""
    return harness.Data(**{**vars(toy.points()), **fields})


def hashed() -> harness.Data:
    """Its examples are in the order of hash values."""
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
    """Draws new examples each time."""
    rows = [(index, [random.SystemRandom().random() for _ in range(8)]) for index in range(64)]
    return replaced(train=rows[8:], test=rows[:8])


def twins() -> harness.Data:
    """The ids of train and test both start at zero."""
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
    """Has no fault."""
    return replaced(train=toy.points().train[8:])


def clockwork() -> str:
    """Another text each time."""
    return str(time.perf_counter_ns())


def nan_metric(samples: Any) -> float:
    """Not a number."""
    return float("nan")


def assuming(samples: Any) -> float:
    """Assumes that points are counted."""
    return samples.totals()["points"]


def single_cost(samples: Any) -> float:
    """One cost for all samples."""
    return float(samples.seconds.mean())


def scribbler(samples: Any) -> float:
    """Changes the stored samples."""
    samples.wall[0] = samples.wall.min() / 2
    return float(samples.wall.mean())


def wanderer(report: Any, folder: Path) -> list[Path]:
    """Writes next to the run's folder."""
    path = folder.parent / "wandered.txt"
    path.write_text("here")
    return [path]


def shredder(report: Any, folder: Path) -> list[Path]:
    """Empties a file of the run."""
    (folder / "records.jsonl").write_text("")
    return []


def secretive(report: Any, folder: Path) -> list[Path]:
    """Writes a file that it does not name."""
    (folder / "cache.tmp").write_text("")
    return []


def fragile(report: Any, folder: Path) -> list[Path]:
    """Uses names of levels as file names."""
    paths = [folder / f"{one.level}.txt" for one in report.findings.comparisons]
    for path in paths:
        path.write_text("")
    return paths


def measured(block: Any, done: list[Record], keep: Any) -> None:
    """Stands in for a measurement: one replicate with a record of each trial, unless it is done already."""
    if not done:
        n = len(block.trials)
        keep([Record(block.id, t.level, t.id, "verify", "variant", 0, n, "ok") for t in block.trials])


def doing(change: Any) -> Any:
    """An executor that changes how records are delivered."""

    @contextmanager
    def execute(run: Any) -> Any:
        """Measures here, but delivers wrongly."""
        yield lambda block, done, keep: change(block, done, keep)

    return execute


def drop(block: Any, done: Any, keep: Any) -> None:
    measured(block, done, lambda records: keep([record for record in records if record.level != "again"]))


def apiece(block: Any, done: Any, keep: Any) -> None:
    measured(block, done, lambda records: [keep([record]) for record in records])


def repeat(block: Any, done: Any, keep: Any) -> None:
    measured(block, [], keep)


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
def provide_datasets():
    def fixed(**parameters: Any) -> str:
        return "1"

    yield harness.Dataset("apart", apart, "points on a plane, without a fault", fingerprint=fixed)
    for name, code, summary in (
        ("shuffler", shuffler, "shuffles with Python's global generator"),
        ("hashed", hashed, "iterates over a set of strings"),
        ("noisy", noisy, "adds random noise to each batch"),
        ("redrawn", redrawn, "draws its examples without a seed"),
        ("twins", twins, "ids of train and test that both start at zero"),
        ("listed", listed, "batches that are lists, not NamedTuples"),
        ("holey", holey, "values that are NaN"),
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
    yield harness.Optimization("heavy", heavy, "momentum that is not part of the saved state", changes="update")
    yield harness.Optimization("flusher", flusher, "leaves subnormal numbers flushed", changes="rounding")
    yield harness.Optimization("amplifier", toy.doubled, "twice the gradient, declared as rounding", changes="rounding")
    yield harness.Optimization("eager", eager, "builds a layer while it is planned", changes="model")


@harness.hookimpl
def provide_metrics():
    yield harness.Metric("nan_metric", nan_metric, "gives NaN")
    yield harness.Metric("assuming", assuming, "a KeyError where a count is missing")
    yield harness.Metric("single_cost", single_cost, "one number instead of one per sample", per="sample")
    yield harness.Metric("scribbler", scribbler, "overwrites a sample")


@harness.hookimpl
def provide_reporters():
    yield harness.Reporter("wanderer", wanderer, "writes next to the run's folder")
    yield harness.Reporter("shredder", shredder, "empties records.jsonl")
    yield harness.Reporter("secretive", secretive, "writes a file that it does not name")
    yield harness.Reporter("fragile", fragile, "uses the name of a level as a file name")


@harness.hookimpl
def provide_executors():
    yield harness.Executor("dropper", doing(drop), "loses the records of a level")
    yield harness.Executor("piecemeal", doing(apiece), "stores records one by one")
    yield harness.Executor("repeater", doing(repeat), "ignores that work is already done")
