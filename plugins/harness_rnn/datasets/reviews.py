"""Sentences of movie reviews, positive or negative by a mean human rating."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from harness import Data
from harness_rnn.contract import UNKNOWN, SequenceFacts, Sequences, sequence_data
from harness_rnn.datasets.vendored import hash_of, read_lines, split

FILE = "reviews.tsv.gz"
_WORD = re.compile(r"\w+(?:'\w+)?|[^\w\s]")


def reviews(*, unit: Literal["word", "character"] = "word", vocabulary: int = 5000, test_share: float = 0.1) -> Data:
    """10,568 sentences with a positive or negative mean rating (the 37 neutral ones are left out).

    `unit` is what a token is: a word or mark (median 21 a sentence, at most 64), or a character for longer sequences
    (median 108, at most 257). `vocabulary` counts the ids, padding and unknown included; it is built on the training
    set alone, by frequency. Labels: 1 positive, 0 negative. See the README beside the data for licence and citation.
    """
    if vocabulary < 3:
        raise ValueError(f"vocabulary = {vocabulary} leaves no id for a token beside padding and unknown")
    rows = [line.split("\t", 1) for line in read_lines(FILE)[1:]]
    rated = [(float(rating), tokenise(text, unit)) for rating, text in rows if float(rating) != 0]
    train, test = split(rated, test_share)
    ids = number_by_frequency([tokens for _, tokens in train], vocabulary)

    def sequences(part: Sequence[tuple[float, list[str]]], first_id: int) -> Sequences:
        numbered = [[ids.get(token, UNKNOWN) for token in tokens] for _, tokens in part]
        return Sequences(numbered, [int(rating > 0) for rating, _ in part], first_id)

    facts = SequenceFacts(vocabulary=len(ids) + 2, classes=2)
    return sequence_data(sequences(train, 0), sequences(test, len(train)), facts)


def fingerprint(*, unit: str, vocabulary: int, test_share: float) -> str:
    """The file's hash; how it is read is in the parameters."""
    return hash_of(FILE)


def tokenise(text: str, unit: str) -> list[str]:
    """Lower-case words and marks, or characters."""
    return _WORD.findall(text.lower()) if unit == "word" else list(text.lower())


def number_by_frequency(texts: Sequence[Sequence[str]], vocabulary: int) -> dict[str, int]:
    """Ids from 2 for the most frequent tokens, equal counts in alphabetical order."""
    counts = Counter(token for tokens in texts for token in tokens)
    ranked = sorted(counts, key=lambda token: (-counts[token], token))
    return {token: index + 2 for index, token in enumerate(ranked[: vocabulary - 2])}
