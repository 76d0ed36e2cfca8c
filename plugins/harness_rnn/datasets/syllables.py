"""The number of syllables of English words, from their spelling."""

from __future__ import annotations

from collections.abc import Sequence

from harness import Data
from harness_rnn.contract import SequenceFacts, Sequences, sequence_data
from harness_rnn.datasets.text import split
from harness_rnn.datasets.vendored import hash_of, read_lines

FILE = "syllables.tsv.gz"


def syllables(*, most: int = 6, test_share: float = 0.1) -> Data:
    """117,485 words as letters (1 to 34, median 7). Class k means k + 1 syllables; the last class means `most` or more.

    `test_share` of the words are the test set. The words are from the Carnegie Mellon Pronouncing Dictionary; see the
    README of the data for its notice. Raises ValueError if `most` is below 2 or `test_share` is not in (0, 1).
    """
    if most < 2:
        raise ValueError(f"most = {most}: it must be at least 2, to give two classes")
    rows = [line.split("\t") for line in read_lines(FILE)]
    train, test = split(rows, test_share)

    def sequences(part: Sequence[Sequence[str]], first_id: int) -> Sequences:
        letters = [[ord(letter) - ord("a") + 2 for letter in word] for word, _ in part]
        return Sequences(letters, [min(int(count), most) - 1 for _, count in part], first_id)

    return sequence_data(sequences(train, 0), sequences(test, len(train)), SequenceFacts(28, most), exchangeable=True)


def fingerprint(*, most: int, test_share: float) -> str:
    """The hash of the file."""
    return hash_of(FILE)
