"""Spelling of English words to their number of syllables: quick, order-dependent, clearly licensed."""

from __future__ import annotations

from collections.abc import Sequence

from harness import Data
from harness_rnn.contract import SequenceFacts, Sequences, sequence_data
from harness_rnn.datasets.text import split
from harness_rnn.datasets.vendored import hash_of, read_lines

FILE = "syllables.tsv.gz"


def syllables(*, most: int = 6, test_share: float = 0.1) -> Data:
    """117,485 words as letters (1 to 34, median 7). Class k is k + 1 syllables, the last one "`most` or more".

    From the Carnegie Mellon Pronouncing Dictionary; see the README beside the data for its notice.
    """
    if most < 2:
        raise ValueError(f"most = {most} leaves one class")
    rows = [line.split("\t") for line in read_lines(FILE)]
    train, test = split(rows, test_share)

    def sequences(part: Sequence[Sequence[str]], first_id: int) -> Sequences:
        letters = [[ord(letter) - ord("a") + 2 for letter in word] for word, _ in part]
        return Sequences(letters, [min(int(count), most) - 1 for _, count in part], first_id)

    return sequence_data(sequences(train, 0), sequences(test, len(train)), SequenceFacts(28, most), exchangeable=True)


def fingerprint(*, most: int, test_share: float) -> str:
    """The file's hash; how it is read is in the parameters."""
    return hash_of(FILE)
