"""Files with the suffix .ts, as aeon and sktime write them: one series on each line after @data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from harness_rnn.datasets.text import read_text


def read_ts(path: Path) -> Iterator[tuple[list[list[float]], str, str]]:
    """The channels (F lists of L numbers), the label and the ``path:line`` of each line after @data. A line has its
    channels separated by colons, the values of each separated by commas, and the label last. Raises ValueError for the
    first line that is not like this, and for a file without series or without labels."""
    header: dict[str, list[str]] = {}
    data = found = False
    for number, line in enumerate(read_text(path).splitlines(), 1):
        where, text = f"{path}:{number}", line.strip()
        if not text or text.startswith("#"):
            continue
        if not data:
            words = text.lower().split()
            data = words[0] == "@data"
            header[words[0]] = words[1:]
            check_header(words, where)
            continue
        *columns, label = text.split(":")
        if not columns:
            raise ValueError(f"{where}: no colon, so there is no label after the values")
        channels = [channel(column, where) for column in columns]
        if len({len(values) for values in channels}) > 1:
            raise ValueError(f"{where}: the channels have different numbers of steps")
        yield channels, label.strip(), where
        found = True
    if not found:
        raise ValueError(f"{path} has no line after @data")


def check_header(words: list[str], where: str) -> None:
    """Raise ValueError for a file of a kind that cannot be used."""
    if words[:2] == ["@timestamps", "true"]:
        raise ValueError(f"{where}: series with time stamps cannot be read; write the values at equal distances")
    if words[:2] in (["@classlabel", "false"], ["@targetlabel", "false"]):
        raise ValueError(f"{where}: the file says that its series have no labels")


def channel(text: str, where: str) -> list[float]:
    """The values of one channel."""
    try:
        values = [float(value) for value in text.split(",")]
    except ValueError as error:
        missing = "; fill missing values (?) before" if "?" in text else ""
        raise ValueError(f"{where}: {error}{missing}") from error
    if not all(map(math.isfinite, values)):
        raise ValueError(f"{where}: a value is not finite")
    return values
