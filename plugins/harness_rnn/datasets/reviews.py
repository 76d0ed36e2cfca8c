"""Sentences of movie reviews with human ratings."""

from __future__ import annotations

from typing import Literal

from harness import Data
from harness_rnn.datasets.text import check_vocabulary, split, text_data, tokenise
from harness_rnn.datasets.vendored import hash_of, read_lines

FILE = "reviews.tsv.gz"


def reviews(*, unit: Literal["word", "character"] = "word", vocabulary: int = 5000, test_share: float = 0.1) -> Data:
    """10,568 sentences of movie reviews. Labels: 1 for a positive mean rating, 0 for a negative one; 37 neutral
    sentences are left out.

    `unit` is the kind of token: a word or punctuation mark (median length 21, at most 64), or a character for longer
    sequences (median 108, at most 257). `vocabulary` is the number of ids, with padding and unknown; the others are the
    most frequent tokens of the training set. `test_share` of the sentences are the test set. See the README of the data
    for licence and citation. Raises ValueError if `vocabulary` is below 3 or `test_share` is not in (0, 1).
    """
    check_vocabulary(vocabulary)
    rows = [line.split("\t", 1) for line in read_lines(FILE)[1:]]
    rated = [(tokenise(text, unit), int(float(rating) > 0)) for rating, text in rows if float(rating) != 0]
    return text_data(*split(rated, test_share), vocabulary, 2, exchangeable=True)


def fingerprint(*, unit: str, vocabulary: int, test_share: float) -> str:
    """The hash of the file."""
    return hash_of(FILE)
