"""The next character of any text."""

from __future__ import annotations

import ast
import math
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from harness import Data
from harness_rnn.contract import (
    NO_LABEL,
    UNKNOWN,
    SequenceBatch,
    SequenceFacts,
    Sequences,
    at_labels,
    sequence_data,
)
from harness_rnn.datasets.text import check_test_share, check_vocabulary, hash_of_text, number_by_frequency, read_text


def char_lm(*, path: str | None = None, length: int = 100, vocabulary: int = 256, test_share: float = 0.1) -> Data:
    """A text in stretches of `length` characters, each to the character that follows it (task "steps").

    `path` is a file in UTF-8. Without one it is what Python's own ``help()`` says of its topics (``pydoc_data``, half a
    million characters), which differs between versions of Python; the trial's fingerprint tells them apart. The last
    `test_share` of the text is the test set. What is left of either part after its last whole stretch is dropped.
    `vocabulary` counts the ids, padding and unknown included; they are the training part's characters, by frequency.
    A character without one is unknown where it is read and not asked for where it follows. Class k has the id k + 2.
    """
    parts = train_and_test(path, length, vocabulary, test_share)
    ids = number_by_frequency([parts[0]], vocabulary)

    def sequences(text: str, first_id: int) -> Sequences:
        numbers = torch.tensor([ids.get(character, UNKNOWN) for character in text])
        stretches = (len(text) - 1) // length
        inputs = numbers[: stretches * length].view(stretches, length)
        follows = numbers[1 : stretches * length + 1].view(stretches, length)
        labels = torch.where(follows == UNKNOWN, NO_LABEL, follows - 2)
        return Sequences(list(inputs), list(labels), first_id)

    train = sequences(parts[0], 0)
    facts = SequenceFacts(vocabulary=len(ids) + 2, classes=len(ids), task="steps")
    scores = {"bits_per_character": bits_per_character}
    # The test set is the text's end, and stretches that follow each other are alike: nothing to be drawn anew.
    return sequence_data(train, sequences(parts[1], len(train)), facts, scores=scores)


def fingerprint(*, path: str | None, length: int, vocabulary: int, test_share: float) -> str:
    """The text's hash."""
    return hash_of_text(train_and_test(path, length, vocabulary, test_share))


def train_and_test(path: str | None, length: int, vocabulary: int, test_share: float) -> tuple[str, str]:
    """The text's two parts; raises ValueError where one has no stretch of `length` characters and one to follow."""
    check_vocabulary(vocabulary)
    check_test_share(test_share)
    if length < 1:
        raise ValueError(f"length = {length} is less than one character")
    text = topics() if path is None else read_text(Path(path))
    cut = round(len(text) * (1 - test_share))
    for name, part in (("training", text[:cut]), ("test", text[cut:])):
        if len(part) <= length:
            what = f"the {name} part has {len(part):,} characters"
            raise ValueError(f"{path or 'pydoc_data'}: {what}, and length = {length} takes {length + 1} at least")
    return text[:cut], text[cut:]


def topics() -> str:
    """The texts in ``pydoc_data.topics``, read as a file: nothing of it is run."""
    package = find_spec("pydoc_data")
    file = Path((package.submodule_search_locations or [""])[0]) / "topics.py" if package else None
    if file is None or not file.is_file():
        raise ValueError("this Python comes without pydoc_data/topics.py, so set path to a text")
    strings = (
        ast.literal_eval(value)
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        for value in node.value.values
    )
    return "\n".join(strings)


def bits_per_character(predictions: Tensor, batch: SequenceBatch) -> Tensor:
    """Logits (B, T, C) to -log2 of the probability of each character that follows: (steps,)."""
    return F.cross_entropy(*at_labels(predictions, batch), reduction="none") / math.log(2)
