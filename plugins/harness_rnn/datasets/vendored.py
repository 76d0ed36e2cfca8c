"""The data files that come with this package."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from random import Random
from typing import TypeVar

Row = TypeVar("Row")


def read_lines(name: str) -> list[str]:
    """The lines of a vendored gzip file."""
    return gzip.decompress(_bytes(name)).decode("utf-8").splitlines()


def hash_of(name: str) -> str:
    """The first digits of the SHA-256 of a vendored file."""
    return hashlib.sha256(_bytes(name)).hexdigest()[:16]


def split(rows: Sequence[Row], test_share: float) -> tuple[list[Row], list[Row]]:
    """Rows in a fixed random order, cut into train and test: the same split for every seed, so that runs compare."""
    if not 0 < test_share < 1:
        raise ValueError(f"test_share = {test_share} is not between 0 and 1")
    shuffled = Random("train/test split").sample(rows, len(rows))
    cut = round(len(rows) * (1 - test_share))
    return shuffled[:cut], shuffled[cut:]


def _bytes(name: str) -> bytes:
    return (files("harness_rnn.datasets") / "data" / name).read_bytes()
