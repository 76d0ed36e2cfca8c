"""The adding problem: the target is the sum of two marked numbers in a long sequence."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Literal

import torch
from torch import Tensor

from harness import Data
from harness_rnn.contract import SequenceBatch, SequenceFacts, Sequences, sequence_data

#: Increased whenever the same parameters draw other sequences.
VERSION = "1"

Variant = Literal["original", "fixed"]
Drawing = Callable[[int, Random], tuple[Tensor, float]]


def adding(
    *, length: int = 100, examples: int = 4096, test_examples: int = 512, variant: Variant = "original", seed: int = 0
) -> Data:
    """Sequences of a number and a marker per step, features (L, 2). The target is computed from the two marked numbers.

    `variant` **original** is experiment 4 of Hochreiter and Schmidhuber (1997, section 5.4). L is uniform on `length`
    to `length` + `length` / 10, and numbers are uniform on -1..1. One of the first ten steps has the marker 1, and so
    has another one of the first `length` / 2 - 1 unmarked steps. The first and the last step have the marker -1, all
    others 0. The target is 0.5 + (x1 + x2) / 4; if the first step is marked, its number is zero. A constant prediction
    of 0.5 has a mean squared error of about 0.04.

    `variant` **fixed** is the form of Arjovsky, Shah and Bengio (2016, section 4.2), close to that of Le, Jaitly and
    Hinton (2015). Every sequence has `length` steps, numbers are uniform on 0..1, one step in each half has the marker
    1, and all others 0. The target is the sum. A constant prediction of 1 has a mean squared error of 0.167.

    A sequence is solved if the error is below 0.04 of the range of targets, which is 1 in the original and 2 in the
    fixed variant. `examples` and `test_examples` are the sizes of the two sets, and `seed` draws both. Raises
    ValueError for a set without examples, or if `length` is below 20 (original) or 2 (fixed).
    """
    draw = checked(length, examples, test_examples, variant)
    random = Random(f"adding {VERSION} {variant} {seed}")

    def sequences(size: int, first_id: int) -> Sequences:
        drawn = [draw(length, random) for _ in range(size)]
        return Sequences([pairs for pairs, _ in drawn], [target for _, target in drawn], first_id)

    facts = SequenceFacts(vocabulary=0, classes=1, features=2, task="value")
    scores = {"solved": partial(solved, 0.08 if variant == "fixed" else 0.04)}
    return sequence_data(
        sequences(examples, 0), sequences(test_examples, examples), facts, exchangeable=True, scores=scores
    )


def fingerprint(*, length: int, examples: int, test_examples: int, variant: Variant, seed: int) -> str:
    """The version of the generator."""
    checked(length, examples, test_examples, variant)
    return f"adding {VERSION}"


def checked(length: int, examples: int, test_examples: int, variant: Variant) -> Drawing:
    """The function that draws this variant. Raises ValueError for a set without examples, or too short a length."""
    if min(examples, test_examples) < 1:
        raise ValueError(f"examples = {examples} and test_examples = {test_examples}: each must be at least 1")
    least = 20 if variant == "original" else 2
    if length < least:
        why = "a step among the first ten and one in the first half" if variant == "original" else "a step in each half"
        raise ValueError(f"length = {length} is too short to mark {why}: it must be at least {least}")
    return original if variant == "original" else fixed


def original(length: int, random: Random) -> tuple[Tensor, float]:
    """Features (L, 2) and target of the original variant."""
    steps = random.randint(length, length + length // 10)
    numbers = [random.uniform(-1, 1) for _ in range(steps)]
    first = random.randrange(10)
    second = random.choice([step for step in range(length // 2) if step != first][: length // 2 - 1])
    markers = [-1.0, *[0.0] * (steps - 2), -1.0]
    for marked in (first, second):
        markers[marked] = 1.0
    if 0 in (first, second):
        numbers[0] = 0.0
    return torch.tensor([numbers, markers]).T, 0.5 + (numbers[first] + numbers[second]) / 4


def fixed(length: int, random: Random) -> tuple[Tensor, float]:
    """Features (L, 2) and target of the fixed variant."""
    numbers = [random.random() for _ in range(length)]
    first, second = random.randrange(length // 2), random.randrange(length // 2, length)
    markers = [float(step in (first, second)) for step in range(length)]
    return torch.tensor([numbers, markers]).T, numbers[first] + numbers[second]


def solved(most: float, predictions: Tensor, batch: SequenceBatch) -> Tensor:
    """From numbers (B, 1): 1 if the error is below `most`, else 0, shape (B,). In the original, this is the criterion
    of Hochreiter and Schmidhuber (1997, section 5.4)."""
    return ((predictions[:, 0] - batch.labels).abs() < most).float()
