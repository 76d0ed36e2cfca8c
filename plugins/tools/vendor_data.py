"""Make the vendored data files from their sources, reproducibly.

    python plugins/tools/vendor_data.py reviews MOVIE_REVIEWS_TSV
    python plugins/tools/vendor_data.py syllables CMUDICT_DICT

MOVIE_REVIEWS_TSV is "rating<TAB>text" a line, from the ground truth files in the source distribution of
vaderSentiment 3.3.2; CMUDICT_DICT is data/cmudict.dict of the package cmudict. See the README beside the data.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

DATA = Path(__file__).parent.parent / "harness_rnn" / "datasets" / "data"


def write(name: str, text: str) -> None:
    """Write gzip without a timestamp, so that the same content gives the same bytes."""
    path = DATA / name
    path.write_bytes(gzip.compress(text.encode("utf-8"), compresslevel=9, mtime=0))
    print(path, path.stat().st_size, "bytes")


def reviews(source: Path) -> None:
    """The sentences and ratings as they are."""
    write("reviews.tsv.gz", source.read_text(encoding="utf-8"))


def syllables(source: Path) -> None:
    """One line a word of letters: spelling and number of syllables of its first pronunciation (vowels carry a digit
    for their stress)."""
    lines = []
    for line in source.read_text(encoding="utf-8").splitlines():
        word, *phones = line.split("#")[0].split()
        count = sum(phone[-1].isdigit() for phone in phones)
        if word.isascii() and word.isalpha() and count:
            lines.append(f"{word}\t{count}")
    write("syllables.tsv.gz", "\n".join(lines) + "\n")


if __name__ == "__main__":
    {"reviews": reviews, "syllables": syllables}[sys.argv[1]](Path(sys.argv[2]))
