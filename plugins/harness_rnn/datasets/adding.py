"""The adding problem: two marked numbers, far apart, whose sum is asked for at the end."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Literal

import torch
from torch import Tensor

from harness import Data
from harness_rnn.contract import SequenceBatch, SequenceFacts, Sequences, sequence_data

#: Raised when the same parameters would draw other sequences.
VERSION = "1"

Variant = Literal["original", "fixed"]
Drawing = Callable[[int, Random], tuple[Tensor, float]]


def adding(
    *, length: int = 100, examples: int = 4096, test_examples: int = 512, variant: Variant = "original", seed: int = 0
) -> Data:
    """Sequences of pairs, a number and a marker (features (L, 2)), to a number made of the two marked ones.

    **original** is experiment 4 of Hochreiter and Schmidhuber (1997, section 5.4): L is uniform on `length` to
    `length` + `length` / 10, numbers are uniform on -1..1. Marked with 1 are one of the first ten steps and one of the
    first `length` / 2 - 1 that are then unmarked; the first and the last step have -1, all others 0. The target is
    0.5 + (x1 + x2) / 4, and where the first step is marked its number is zero. Always answering 0.5 has a mean squared
    error of about 0.04.

    **fixed** is what is common since, as Arjovsky, Shah and Bengio (2016, section 4.2) have it, nearly as Le, Jaitly
    and Hinton (2015): all L equal `length`, numbers are uniform on 0..1, one marker 1 in each half, all others 0, and
    the target is the sum. Always answering 1 has an error of 0.167.

    A sum is `solved` where it is off by less than 0.04 of the range of targets, which is 1 in the original and 2 in the
    other. `seed` draws both sets.
    """
    draw = checked(length, examples, test_examples, variant)
    random = Random(f"adding {VERSION} {variant} {seed}")

    def sequences(size: int, first_id: int) -> Sequences:
        drawn = [draw(length, random) for _ in range(size)]
        return Sequences([pairs for pairs, _ in drawn], [target for _, target in drawn], first_id)

    facts = SequenceFacts(vocabulary=0, classes=1, features=2, task="value")
    scores = {"solved": solved_fixed} if variant == "fixed" else {}
    return sequence_data(
        sequences(examples, 0), sequences(test_examples, examples), facts, exchangeable=True, scores=scores
    )


def fingerprint(*, length: int, examples: int, test_examples: int, variant: Variant, seed: int) -> str:
    """The version of the drawing."""
    checked(length, examples, test_examples, variant)
    return f"adding {VERSION}"


def checked(length: int, examples: int, test_examples: int, variant: Variant) -> Drawing:
    """What draws this variant; raises ValueError where there is nothing to draw or to draw from."""
    if min(examples, test_examples) < 1:
        raise ValueError(f"examples = {examples} and test_examples = {test_examples}: each set holds one at least")
    least = 20 if variant == "original" else 2
    if length < least:
        why = "a step among the first ten and one in the first half" if variant == "original" else "a step in each half"
        raise ValueError(f"length = {length} is too short to mark {why}: {least} is the least")
    return original if variant == "original" else fixed


def original(length: int, random: Random) -> tuple[Tensor, float]:
    """Pairs (L, 2) and target as in 1997."""
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
    """Pairs (L, 2) and target as since 2015."""
    numbers = [random.random() for _ in range(length)]
    first, second = random.randrange(length // 2), random.randrange(length // 2, length)
    markers = [float(step in (first, second)) for step in range(length)]
    return torch.tensor([numbers, markers]).T, numbers[first] + numbers[second]


def solved_fixed(predictions: Tensor, batch: SequenceBatch) -> Tensor:
    """Numbers (B, 1) to 1 where the error is below 0.08, else 0: (B,)."""
    return ((predictions[:, 0] - batch.labels).abs() < 0.08).float()
