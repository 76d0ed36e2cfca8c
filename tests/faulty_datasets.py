"""Datasets that each break one promise. `faults` provides them."""

from __future__ import annotations

import random
import time
from typing import Any

import torch
import toy

import harness


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


def unscored() -> harness.Data:
    """Its criterion is not finite for the constant answer."""
    return replaced(
        train=toy.points().train[8:],
        criterion=lambda predictions, batch: predictions[:, 0].square(),
        constant=lambda train: lambda batch: float("inf") * torch.ones(len(batch.ids), 1),
    )


def undefined() -> harness.Data:
    """Its score of all predictions is no number."""
    score = harness.WholeScore(lambda values: float("nan"), lambda predictions, batch: (predictions[:, 0],))
    return replaced(train=toy.points().train[8:], scores={"close": score})


def clockwork() -> str:
    """Another text each time."""
    return str(time.perf_counter_ns())


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
        ("unscored", unscored, "a constant answer with an infinite loss"),
    ):
        yield harness.Dataset(name, code, summary, fingerprint=fixed)
    yield harness.Dataset("clockwork", apart, "a fingerprint of the time of day", fingerprint=lambda: clockwork())
    yield harness.Dataset("nameless", apart, "no fingerprint")
    close = {"close": harness.Score(optional=True)}
    yield harness.Dataset("undefined", undefined, "a score that is not defined", fingerprint=fixed, scores=close)
    boasts = {"close": harness.Score(), "far": harness.Score()}
    yield harness.Dataset(
        "boastful_here", toy.cloud, "a score that it does not compute", fingerprint=fixed, scores=boasts
    )
