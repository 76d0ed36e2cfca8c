"""The data files of this package."""

from __future__ import annotations

import gzip
import hashlib
from importlib.resources import files


def read_lines(name: str) -> list[str]:
    """The lines of a gzip file of this package."""
    return gzip.decompress(_bytes(name)).decode("utf-8").splitlines()


def hash_of(name: str) -> str:
    """The first 16 digits of the SHA-256 of a file of this package."""
    return hashlib.sha256(_bytes(name)).hexdigest()[:16]


def _bytes(name: str) -> bytes:
    return (files("harness_rnn.datasets") / "data" / name).read_bytes()
