"""From text to sequences: files, tokens, their ids, and fixed splits."""

from __future__ import annotations

import codecs
import hashlib
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import TypeVar

import regex

from harness import Data
from harness.errors import did_you_mean
from harness_rnn.contract import UNKNOWN, SequenceFacts, Sequences, sequence_data

Row = TypeVar("Row")
Labelled = Sequence[tuple[Sequence[str], int]]
"""The tokens and the class of each text."""
#: A word, or one visible character that is in no word (an extended grapheme cluster, such as an emoji). Letters, the
#: marks combined with them, and joiners form words by Unicode's rules, which `re` does not know. All numbers belong to
#: words, and the separators \x1c to \x1f are white space, as they are for `re`.
_WORD = regex.compile(r"[\w\p{N}]+(?:'[\w\p{N}]+)?|(?![\s\x1c-\x1f])\X")


def tokenise(text: str, unit: str) -> list[str]:
    """Lower-case words and punctuation marks, or characters (Unicode code points). A text that is not blank has at
    least one. Composed and decomposed letters make the same word. Scripts without spaces between words, such as Chinese
    and Thai, are split only at punctuation marks and spaces."""
    if unit == "character":
        return list(text.lower())
    return _WORD.findall(unicodedata.normalize("NFC", text.lower()))


def number_by_frequency(texts: Iterable[Iterable[str]], vocabulary: int) -> dict[str, int]:
    """Ids from 2 for the most frequent tokens; tokens with equal counts in alphabetical order."""
    counts = Counter(token for tokens in texts for token in tokens)
    ranked = sorted(counts, key=lambda token: (-counts[token], token))
    return {token: index + 2 for index, token in enumerate(ranked[: vocabulary - 2])}


def text_data(train: Labelled, test: Labelled, vocabulary: int, classes: int, *, exchangeable: bool) -> Data:
    """A dataset for text classification. The vocabulary is the most frequent tokens of the training set."""
    check_vocabulary(vocabulary)
    ids = number_by_frequency((tokens for tokens, _ in train), vocabulary)

    def sequences(part: Labelled, first_id: int) -> Sequences:
        numbered = [[ids.get(token, UNKNOWN) for token in tokens] for tokens, _ in part]
        return Sequences(numbered, [label for _, label in part], first_id)

    facts = SequenceFacts(vocabulary=len(ids) + 2, classes=classes)
    return sequence_data(sequences(train, 0), sequences(test, len(train)), facts, exchangeable=exchangeable)


def check_vocabulary(vocabulary: int) -> None:
    """Raise ValueError if there is no id for any token."""
    if vocabulary < 3:
        raise ValueError(f"vocabulary = {vocabulary}: it must be at least 3, to have an id besides padding and unknown")


def check_longest(longest: int | None) -> None:
    """Raise ValueError if no token of a text would be left."""
    if longest is not None and longest < 1:
        raise ValueError(f"longest = {longest}: it must be at least 1")


def check_test_share(test_share: float) -> None:
    """Raise ValueError if one of the two sets would be empty."""
    if not 0 < test_share < 1:
        raise ValueError(f"test_share = {test_share}: it must be between 0 and 1")


def split(rows: Sequence[Row], test_share: float) -> tuple[list[Row], list[Row]]:
    """Train and test rows in a fixed random order. The split does not depend on a seed, so that runs are comparable."""
    check_test_share(test_share)
    shuffled = Random("train/test split").sample(rows, len(rows))
    cut = round(len(rows) * (1 - test_share))
    return shuffled[:cut], shuffled[cut:]


def split_classes(rows: Sequence[Row], labels: Sequence[str], test_share: float) -> tuple[list[Row], list[Row]]:
    """Like `split`, with about the same share, and at least one row, of each class in both parts. Each class needs at
    least two rows."""
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
    """The text of a UTF-8 file with its line ends. Raises ValueError if it is missing or not UTF-8."""
    if not path.is_file():
        raise ValueError(f"{path} {'is a folder; expected a file' if path.is_dir() else 'does not exist'}")
    return decode(path.read_bytes(), str(path))


def decode(content: bytes, name: str) -> str:
    """UTF-8 bytes as text, without a byte order mark. Raises ValueError with the first line that is not UTF-8, or that
    has a NUL byte."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError(f"{name}:1: this is UTF-16; convert it: iconv -f UTF-16 -t UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, byte = content[: error.start].count(b"\n") + 1, f"0x{content[error.start]:02x}"
        fix = "if it is Latin-1, convert it: iconv -f ISO-8859-1 -t UTF-8"
        raise ValueError(f"{name}:{line}: invalid UTF-8 (byte {byte}); {fix}") from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ValueError(f"{name}:{line}: a NUL byte; expected text in UTF-8 (is it UTF-16, or damaged?)")
    return text


def hash_of_text(parts: Iterable[str]) -> str:
    """The first 16 digits of the SHA-256 of some texts and their lengths."""
    whole = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8")
        whole.update(len(content).to_bytes(8, "big") + content)
    return whole.hexdigest()[:16]


def hint(word: str, known: Iterable[str]) -> str:
    """The sentence of `did_you_mean` in brackets, for the end of a message."""
    sentence = did_you_mean(word, known)
    return f"({sentence[0].lower()}{sentence[1:].rstrip('.')})"
