"""The work set: the examples that every variant and every process is timed on."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from harness.measure.runtime.builder import BuiltTrial


def work_set(train: Sequence[Any], batch_size: int, batches: int, seed: int) -> list[Any]:
    """`batches` x `batch_size` training examples, fixed by the seed. Raises ValueError if there are too few."""
    wanted = batches * batch_size
    if len(train) < wanted:
        raise ValueError(
            f"the work set needs {batches} x {batch_size} = {wanted} examples and the training set has "
            f"{len(train)}; lower measure.speed.batches or dataset.batch_size"
        )
    positions = Random(f"work set {seed}").sample(range(len(train)), wanted)
    return [train[position] for position in positions]


def dataset_counts(built: BuiltTrial, examples: Sequence[Any], most: int = 64) -> dict[str, float]:
    """The amounts counted in the first batches (at most `most`) in the order of the dataset itself. Reports compare
    them with the amounts in the work set."""
    totals: dict[str, float] = {}
    size = built.trial.batch_size
    for at in range(0, min(len(examples), most * size), size):
        for name, amount in built.count(built.model, built.collate(examples[at : at + size])).items():
            totals[name] = totals.get(name, 0.0) + amount
    return totals
