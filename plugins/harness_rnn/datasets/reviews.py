"""Sentences of movie reviews, positive or negative by a mean human rating."""

from __future__ import annotations

from typing import Literal

from harness import Data
from harness_rnn.datasets.text import check_vocabulary, split, text_data, tokenise
from harness_rnn.datasets.vendored import hash_of, read_lines

FILE = "reviews.tsv.gz"


def reviews(*, unit: Literal["word", "character"] = "word", vocabulary: int = 5000, test_share: float = 0.1) -> Data:
    """10,568 sentences with a positive or negative mean rating (the 37 neutral ones are left out).

    `unit` is what a token is: a word or mark (median 21 a sentence, at most 64), or a character for longer sequences
    (median 108, at most 257). `vocabulary` counts the ids, padding and unknown included; it is built on the training
    set alone, by frequency. Labels: 1 positive, 0 negative. See the README beside the data for licence and citation.
    """
    check_vocabulary(vocabulary)
    rows = [line.split("\t", 1) for line in read_lines(FILE)[1:]]
    rated = [(tokenise(text, unit), int(float(rating) > 0)) for rating, text in rows if float(rating) != 0]
    return text_data(*split(rated, test_share), vocabulary, 2, exchangeable=True)


def fingerprint(*, unit: str, vocabulary: int, test_share: float) -> str:
    """The file's hash; how it is read is in the parameters."""
    return hash_of(FILE)
