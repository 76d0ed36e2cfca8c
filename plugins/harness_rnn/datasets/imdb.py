"""The movie reviews of Maas et al. (2011), from a local copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

from harness import Data, FilePath
from harness_rnn.datasets.text import (
    check_longest,
    check_vocabulary,
    hash_of_text,
    read_text,
    text_data,
    tokenise,
)

#: The folders of the classes 0 and 1.
CLASSES = ("neg", "pos")


def imdb(
    *,
    path: FilePath,
    vocabulary: int = 20_000,
    longest: int | None = None,
    train_share: float = 1.0,
    test_share: float = 1.0,
) -> Data:
    """50,000 reviews as words and punctuation marks, in the official split. Labels: 1 positive, 0 negative.

    `path` is the folder `aclImdb` of the unpacked distribution: ``{train,test}/{pos,neg}/*.txt``. `longest` is the
    number of tokens after which a review is cut. `train_share` and `test_share` select a fixed part of each class, for
    small machines. `vocabulary` is the number of ids, with padding and unknown. Raises ValueError for missing or empty
    files and for invalid parameters.
    """
    check_longest(longest)
    parts = {"train": train_share, "test": test_share}
    train, test = (
        [(tokenise(text, "word")[:longest], label) for _, text, label in read_part(Path(path), part, share)]
        for part, share in parts.items()
    )
    train = Random("imdb order").sample(train, len(train))  # the files are sorted by class
    return text_data(train, test, vocabulary, 2, exchangeable=False)


def fingerprint(*, path: FilePath, vocabulary: int, longest: int | None, train_share: float, test_share: float) -> str:
    """A hash of the names and contents of the selected files."""
    check_vocabulary(vocabulary)
    check_longest(longest)
    parts = {"train": train_share, "test": test_share}
    return hash_of_text(
        piece
        for part, share in parts.items()
        for file, text, _ in read_part(Path(path), part, share)
        for piece in (f"{part}/{file.parent.name}/{file.name}", text)
    )


def read_part(root: Path, part: str, share: float) -> Iterator[tuple[Path, str, int]]:
    """File, text and class of a fixed random `share` of each class. Raises ValueError for missing or empty files."""
    if not 0 < share <= 1:
        raise ValueError(f"{part}_share = {share}: it must be above 0 and at most 1")
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder; path must be the unpacked aclImdb")
    for label, name in enumerate(CLASSES):
        folder = root / part / name
        if not folder.is_dir():
            inner = root / "aclImdb"
            fix = f"did you mean {inner}?" if inner.is_dir() else "expected {train,test}/{pos,neg}/*.txt"
            raise ValueError(f"{root} has no folder {part}/{name} ({fix})")
        files = sorted(folder.glob("*.txt"))
        if not files:
            raise ValueError(f"{folder} has no *.txt files")
        for file in sorted(Random(f"imdb {part} {name}").sample(files, max(1, round(len(files) * share)))):
            text = read_text(file).replace("<br />", " ")
            if not text.strip():
                raise ValueError(f"{file} is empty")
            yield file, text, label
