"""Random tokens in sequences of a chosen distribution of lengths: what speed depends on, and nothing else."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from random import Random
from typing import Literal

from harness import Data
from harness_rnn.contract import SequenceFacts, Sequences, sequence_data

#: Raised when the same parameters would draw other sequences.
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
    file: str | None = None,
    examples: int = 4096,
    vocabulary: int = 1000,
    classes: int = 4,
    seed: int = 0,
) -> Data:
    """Sequences whose class is decided by their first token, which the net must carry to the end.

    `distribution` of lengths, all cut to 1..`longest`: **fixed** at `mean`; **uniform** on 1..2 `mean` - 1;
    **lognormal** with that `mean` and standard deviation `spread` of the logarithm; **zipf**, with probability
    proportional to length to the power -`exponent`; **bimodal**, `long` with probability `long_share`, else `short`;
    **file**, drawn from the whole numbers in the text file `file`. `examples` is the size of the training set; the
    test set is an eighth of it. `seed` draws both.
    """
    if vocabulary < classes + 2 or classes < 2:
        raise ValueError(f"{classes} classes need a vocabulary of at least {classes + 2}, and two classes at least")
    if (file is None) == (distribution == "file"):
        raise ValueError("distribution file and the parameter file go together")
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
    """Whole numbers from 1 on, separated by white space. Raises ValueError naming the first that is none."""
    numbers = []
    for line_number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        for word in line.split():
            if not word.isdigit() or int(word) < 1:
                raise ValueError(f"{path}:{line_number}: {word!r} is not a length (a whole number from 1 on)")
            numbers.append(int(word))
    if not numbers:
        raise ValueError(f"{path} holds no lengths")
    return numbers


def fingerprint(*, file: str | None, **parameters: object) -> str:
    """The version of the drawing, and the file's hash if there is one."""
    if file is None:
        return f"lengths {VERSION}"
    read_lengths(Path(file))
    return f"lengths {VERSION} {hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]}"
