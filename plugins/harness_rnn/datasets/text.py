"""Text to sequences: files with the place in every complaint, tokens, their ids, and splits that stay as they are."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import TypeVar

from harness import Data
from harness.errors import did_you_mean
from harness_rnn.contract import UNKNOWN, SequenceFacts, Sequences, sequence_data

Row = TypeVar("Row")
Labelled = Sequence[tuple[Sequence[str], int]]
"""Tokens and the class of each text."""
_WORD = re.compile(r"\w+(?:'\w+)?|[^\w\s]")


def tokenise(text: str, unit: str) -> list[str]:
    """Lower-case words and marks, or characters. A text with anything but white space has at least one."""
    return _WORD.findall(text.lower()) if unit == "word" else list(text.lower())


def number_by_frequency(texts: Iterable[Iterable[str]], vocabulary: int) -> dict[str, int]:
    """Ids from 2 for the most frequent tokens, equal counts in alphabetical order."""
    counts = Counter(token for tokens in texts for token in tokens)
    ranked = sorted(counts, key=lambda token: (-counts[token], token))
    return {token: index + 2 for index, token in enumerate(ranked[: vocabulary - 2])}


def text_data(train: Labelled, test: Labelled, vocabulary: int, classes: int, *, exchangeable: bool) -> Data:
    """Texts to classify. The ids are those of the training set's most frequent tokens."""
    check_vocabulary(vocabulary)
    ids = number_by_frequency((tokens for tokens, _ in train), vocabulary)

    def sequences(part: Labelled, first_id: int) -> Sequences:
        numbered = [[ids.get(token, UNKNOWN) for token in tokens] for tokens, _ in part]
        return Sequences(numbered, [label for _, label in part], first_id)

    facts = SequenceFacts(vocabulary=len(ids) + 2, classes=classes)
    return sequence_data(sequences(train, 0), sequences(test, len(train)), facts, exchangeable=exchangeable)


def check_vocabulary(vocabulary: int) -> None:
    """Raise ValueError where there is no id for any token."""
    if vocabulary < 3:
        raise ValueError(f"vocabulary = {vocabulary} leaves no id for a token beside padding and unknown")


def check_longest(longest: int | None) -> None:
    """Raise ValueError where nothing of a text would be left."""
    if longest is not None and longest < 1:
        raise ValueError(f"longest = {longest} leaves no token of a text")


def check_test_share(test_share: float) -> None:
    """Raise ValueError where one of the two sets would be empty."""
    if not 0 < test_share < 1:
        raise ValueError(f"test_share = {test_share} is not between 0 and 1")


def split(rows: Sequence[Row], test_share: float) -> tuple[list[Row], list[Row]]:
    """Rows in a fixed random order, cut into train and test: the same split for every seed, so that runs compare."""
    check_test_share(test_share)
    shuffled = Random("train/test split").sample(rows, len(rows))
    cut = round(len(rows) * (1 - test_share))
    return shuffled[:cut], shuffled[cut:]


def split_classes(rows: Sequence[Row], labels: Sequence[str], test_share: float) -> tuple[list[Row], list[Row]]:
    """Like `split`, with about the same share of each class, and at least one row of it, on either side. Each class has
    two rows or more."""
    check_test_share(test_share)
    random = Random("train/test split")
    by_class: dict[str, list[Row]] = defaultdict(list)
    for row, label in zip(rows, labels, strict=True):
        by_class[label].append(row)
    train, test = [], []
    for label in sorted(by_class):
        shuffled = random.sample(by_class[label], len(by_class[label]))
        cut = min(max(round(len(shuffled) * test_share), 1), len(shuffled) - 1)
        test += shuffled[:cut]
        train += shuffled[cut:]
    return random.sample(train, len(train)), random.sample(test, len(test))


def read_text(path: Path) -> str:
    """A file in UTF-8, with its line ends as they are; see `decode`."""
    if not path.is_file():
        raise ValueError(f"{path} is {'a folder, and a file is wanted' if path.is_dir() else 'not there'}")
    return decode(path.read_bytes(), str(path))


def decode(content: bytes, name: str) -> str:
    """Bytes in UTF-8, with a byte order mark or without. Raises ValueError naming the first line that is not."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{name}:{line}: this is not UTF-8 (byte 0x{content[error.start]:02x})") from error


def hash_of_text(parts: Iterable[str]) -> str:
    """The first digits of the SHA-256 of some texts, which counts where one ends."""
    whole = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8")
        whole.update(len(content).to_bytes(8, "big") + content)
    return whole.hexdigest()[:16]


def hint(word: str, known: Iterable[str]) -> str:
    """What `did_you_mean` says, to stand in brackets at the end of a complaint."""
    sentence = did_you_mean(word, known)
    return f"({sentence[0].lower()}{sentence[1:].rstrip('.')})"
