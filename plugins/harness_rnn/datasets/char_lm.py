"""Character language modelling on any text."""

from __future__ import annotations

import ast
import math
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from harness import Data, FilePath
from harness_rnn.contract import (
    UNKNOWN,
    SequenceBatch,
    SequenceFacts,
    Sequences,
    sequence_data,
)
from harness_rnn.datasets.text import check_test_share, check_vocabulary, hash_of_text, number_by_frequency, read_text
from harness_rnn.tasks import NO_LABEL, at_labels


def char_lm(*, path: FilePath | None = None, length: int = 100, vocabulary: int = 256, test_share: float = 0.1) -> Data:
    """A text in pieces of `length` characters. The label of each step is the next character (task "steps").

    `path` is a UTF-8 file. Without it, the text is the topics of Python's ``help()`` (``pydoc_data``, half a million
    characters). It differs between versions of Python, and so does the fingerprint of the trial. The last `test_share`
    of the text is the test set. An incomplete piece at the end of either part is dropped, and so is a piece without any
    label. `vocabulary` is the number of ids, with padding and unknown; the others are the most frequent characters of
    the training part. Other characters are unknown as input and have no label. Class k has the id k + 2. Raises
    ValueError for an invalid parameter, or if one of the two parts has less than `length` + 1 characters.
    """
    parts = train_and_test(path, length, vocabulary, test_share)
    ids = number_by_frequency([parts[0]], vocabulary)

    def sequences(text: str, first_id: int) -> Sequences:
        numbers = torch.tensor([ids.get(character, UNKNOWN) for character in text])
        pieces = (len(text) - 1) // length
        inputs = numbers[: pieces * length].view(pieces, length)
        follows = numbers[1 : pieces * length + 1].view(pieces, length)
        labels = torch.where(follows == UNKNOWN, NO_LABEL, follows - 2)
        labelled = (labels != NO_LABEL).any(1)
        return Sequences(list(inputs[labelled]), list(labels[labelled]), first_id)

    train = sequences(parts[0], 0)
    facts = SequenceFacts(vocabulary=len(ids) + 2, classes=len(ids), task="steps")
    scores = {"bits_per_character": bits_per_character}
    # Not exchangeable: the test set is the end of the text, and neighbouring pieces are similar.
    return sequence_data(train, sequences(parts[1], len(train)), facts, scores=scores)


def fingerprint(*, path: FilePath | None, length: int, vocabulary: int, test_share: float) -> str:
    """A hash of the text."""
    return hash_of_text(train_and_test(path, length, vocabulary, test_share))


def train_and_test(path: str | None, length: int, vocabulary: int, test_share: float) -> tuple[str, str]:
    """The two parts of the text. Raises ValueError if one of them has less than `length` + 1 characters."""
    check_vocabulary(vocabulary)
    check_test_share(test_share)
    if length < 1:
        raise ValueError(f"length = {length}: it must be at least 1")
    text = topics() if path is None else read_text(Path(path))
    cut = round(len(text) * (1 - test_share))
    for name, part in (("training", text[:cut]), ("test", text[cut:])):
        if len(part) <= length:
            found = f"the {name} part has {len(part):,} characters"
            raise ValueError(f"{path or 'pydoc_data'}: {found}; length = {length} needs at least {length + 1}")
    return text[:cut], text[cut:]


def topics() -> str:
    """The texts in ``pydoc_data.topics``. The file is parsed, not executed."""
    package = find_spec("pydoc_data")
    file = Path((package.submodule_search_locations or [""])[0]) / "topics.py" if package else None
    if file is None or not file.is_file():
        raise ValueError("this Python has no pydoc_data/topics.py; set path to a text file")
    strings = (
        ast.literal_eval(value)
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        for value in node.value.values
    )
    return "\n".join(strings)


def bits_per_character(predictions: Tensor, batch: SequenceBatch) -> Tensor:
    """From logits (B, T, C): -log2 of the probability of each next character, shape (steps,)."""
    return F.cross_entropy(*at_labels(predictions, batch), reduction="none") / math.log(2)
