"""Random tokens in sequences with a chosen distribution of lengths, to measure how speed depends on it."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from random import Random
from typing import Literal

from harness import Data, FilePath
from harness_rnn.contract import SequenceFacts, Sequences, sequence_data
from harness_rnn.datasets.text import read_text

#: Increased whenever the same parameters draw other sequences.
VERSION = "1"

Distribution = Literal["fixed", "uniform", "lognormal", "zipf", "bimodal", "file"]


def lengths(
    *,
    distribution: Distribution = "lognormal",
    mean: float = 40.0,
    spread: float = 0.6,
    exponent: float = 1.5,
    short: int = 10,
    long: int = 200,
    long_share: float = 0.1,
    longest: int = 400,
    file: FilePath | None = None,
    examples: int = 4096,
    vocabulary: int = 1000,
    classes: int = 4,
    seed: int = 0,
) -> Data:
    """Sequences of random tokens. The class depends on the first token, which the model must remember to the end.

    `distribution` is that of the lengths, which are clipped to 1..`longest`: **fixed** at `mean`; **uniform** on
    1..2 `mean` - 1; **lognormal** with this `mean`, and the standard deviation `spread` of the logarithm; **zipf**,
    with a probability proportional to length to the power of -`exponent`; **bimodal**, `long` with probability
    `long_share`, else `short`; **file**, drawn from the whole numbers in the text file `file`. `vocabulary` is the
    number of token ids, with padding and unknown, and `classes` the number of classes. `examples` is the size of the
    training set; the test set is an eighth of it. `seed` draws both. Raises ValueError unless 2 <= `classes` <=
    `vocabulary` - 2, or if `file` has an invalid length.
    """
    if vocabulary < classes + 2 or classes < 2:
        raise ValueError(f"classes = {classes} must be at least 2 and vocabulary = {vocabulary} at least classes + 2")
    if (file is None) == (distribution == "file"):
        raise ValueError("distribution: file needs the parameter file, and only this distribution uses it")
    random = Random(f"lengths {VERSION} {seed}")
    if distribution == "zipf":
        drawn = random.choices(
            range(1, longest + 1), [size**-exponent for size in range(1, longest + 1)], k=2 * examples
        )
    known = read_lengths(Path(file)) if file is not None else []

    def draw(index: int) -> int:
        if distribution == "fixed":
            return round(mean)
        if distribution == "uniform":
            return random.randint(1, max(1, round(2 * mean) - 1))
        if distribution == "lognormal":
            return round(random.lognormvariate(math.log(mean) - spread**2 / 2, spread))
        if distribution == "bimodal":
            return long if random.random() < long_share else short
        return drawn[index] if distribution == "zipf" else random.choice(known)

    def sequences(size: int, first_id: int) -> Sequences:
        sizes = [min(max(draw(first_id + index), 1), longest) for index in range(size)]
        tokens = [random.choices(range(2, vocabulary), k=length) for length in sizes]
        return Sequences(tokens, [sequence[0] % classes for sequence in tokens], first_id)

    facts = SequenceFacts(vocabulary, classes)
    return sequence_data(sequences(examples, 0), sequences(max(1, examples // 8), examples), facts, exchangeable=True)


def read_lengths(path: Path) -> list[int]:
    """Whole numbers from 1, separated by white space. Raises ValueError for the first invalid one."""
    numbers = []
    for line_number, line in enumerate(read_text(path).splitlines(), 1):
        for word in line.split():
            if not word.isdecimal() or int(word) < 1:
                raise ValueError(f"{path}:{line_number}: {word!r} is not a length (a whole number of at least 1)")
            numbers.append(int(word))
    if not numbers:
        raise ValueError(f"{path} has no lengths")
    return numbers


def fingerprint(*, file: FilePath | None, **parameters: object) -> str:
    """The version of the generator, and the hash of the file if there is one."""
    if file is None:
        return f"lengths {VERSION}"
    read_lengths(Path(file))
    return f"lengths {VERSION} {hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]}"
