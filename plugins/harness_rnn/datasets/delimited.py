"""Text and label from a table of one's own: CSV, TSV or JSON Lines."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from harness import Data
from harness_rnn.datasets.text import (
    check_vocabulary,
    hash_of_text,
    hint,
    read_text,
    split_classes,
    text_data,
    tokenise,
)

#: What stands between columns, by a file's ending.
DELIMITERS: Mapping[str, str] = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
JSON_LINES = (".jsonl", ".ndjson")

Column = str | int


class Example(NamedTuple):
    """A text, its label, and the ``path:line`` where it begins."""

    text: str
    label: str
    where: str


class Table(NamedTuple):
    """How a file is to be read; see `delimited`."""

    text: Column
    label: Column
    delimiter: str | None
    header: bool


def delimited(
    *,
    path: str,
    text: str | int = "text",
    label: str | int = "label",
    delimiter: str | None = None,
    header: bool = True,
    unit: Literal["word", "character"] = "word",
    vocabulary: int = 5000,
    test_share: float = 0.1,
    test_path: str | None = None,
) -> Data:
    """Texts to classify, out of the file `path` in UTF-8 with a line each (or a record, where quotes span lines).

    `text` and `label` are names of columns, or their numbers counted from 0, which a file without `header` needs. The
    `delimiter` is told by the ending (.csv, .tsv, .tab) if it is not given; .jsonl and .ndjson have a JSON object in
    each line. Any text is a label; classes are numbered in its alphabetical order. The same `test_share` of each class
    is the test set, unless `test_path` names a file of the same form. `unit` is what a token is, `vocabulary` counts
    the ids, padding and unknown included.
    """
    train, test = examples(Table(text, label, delimiter, header), path, test_path, test_share)
    classes = {name: index for index, name in enumerate(sorted({example.label for example in train}))}
    rows = [[(tokenise(one.text, unit), classes[one.label]) for one in part] for part in (train, test)]
    return text_data(rows[0], rows[1], vocabulary, len(classes), exchangeable=test_path is None)


def fingerprint(
    *,
    path: str,
    text: Column,
    label: Column,
    delimiter: str | None,
    header: bool,
    unit: str,
    vocabulary: int,
    test_share: float,
    test_path: str | None,
) -> str:
    """A hash of every text and label, in their order."""
    check_vocabulary(vocabulary)
    parts = examples(Table(text, label, delimiter, header), path, test_path, test_share)
    return hash_of_text(field for part in parts for example in part for field in (example.text, example.label))


def examples(
    table: Table, path: str, test_path: str | None, test_share: float
) -> tuple[Sequence[Example], Sequence[Example]]:
    """The two sets. Raises ValueError with ``path:line`` for what is no example, or too few of a class."""
    known = read(Path(path), table)
    counts = Counter(example.label for example in known)
    if len(counts) < 2:
        raise ValueError(f"{path} has the one label {known[0].label!r}, and there is nothing to tell it from")
    if test_path is not None:
        test = read(Path(test_path), table)
        for example in test:
            if example.label not in counts:
                raise ValueError(
                    f"{example.where}: label {example.label!r} does not occur in {path} {hint(example.label, counts)}"
                )
        return known, test
    for example in known:
        if counts[example.label] == 1:
            what = f"this is the one example of {example.label!r}"
            raise ValueError(f"{example.where}: {what}, and a class needs one to train on and one to test on")
    return split_classes(known, [example.label for example in known], test_share)


def read(path: Path, table: Table) -> list[Example]:
    """Every example of a file; raises ValueError for the first thing that is none, or where there is none."""
    content = read_text(path)
    records = json_records if path.suffix.lower() in JSON_LINES else table_records
    found = []
    for text, label, where in records(content, path, table):
        if not text.strip():
            raise ValueError(f"{where}: its text is empty, which would be a sequence of length zero")
        if not label.strip():
            raise ValueError(f"{where}: its label is empty")
        found.append(Example(text, label.strip(), where))
    if not found:
        raise ValueError(f"{path} has no examples")
    return found


def table_records(content: str, path: Path, table: Table) -> Iterator[Example]:
    """Records of a delimited file, as they stand there; blank lines are passed over."""
    delimiter = table.delimiter or DELIMITERS.get(path.suffix.lower())
    if delimiter is None or len(delimiter) != 1:
        which = f"delimiter = {delimiter!r} is not one character" if delimiter else "no ending that tells its delimiter"
        known = ", ".join([*DELIMITERS, *JSON_LINES])
        raise ValueError(which if delimiter else f"{path} has {which} ({known}), so set it")
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    names: list[str] | None = None
    at: dict[str, int] = {}
    begins = 1
    try:
        for record in reader:
            where, begins = f"{path}:{begins}", reader.line_num + 1
            if not record:
                continue
            if not at:
                names = record if table.header else None
                asked = {"text": table.text, "label": table.label}
                at = {part: position(column, names, len(record), where) for part, column in asked.items()}
                if table.header:
                    continue
            for part, column in at.items():
                if column >= len(record):
                    raise ValueError(
                        f"{where}: there is no column {column}, where the {part} would be (the first is 0)"
                    )
            yield Example(record[at["text"]], record[at["label"]], where)
    except csv.Error as error:
        raise ValueError(f"{path}:{begins}: {error}") from error


def position(column: Column, names: Sequence[str] | None, columns: int, where: str) -> int:
    """A column's number; raises ValueError where there is none of that name or number."""
    if isinstance(column, str):
        if names is None:
            raise ValueError(f"{where}: without a header, column {column!r} is to be given by its number, from 0 on")
        if column not in names:
            raise ValueError(f"{where}: there is no column {column!r} {hint(column, names)}")
        return names.index(column)
    if not 0 <= column < columns:
        raise ValueError(f"{where}: there is no column {column}: there are {columns}, counted from 0")
    return column


def json_records(content: str, path: Path, table: Table) -> Iterator[Example]:
    """Objects of a file with one in each line, as they stand there; blank lines are passed over."""
    for number, line in enumerate(content.split("\n"), 1):
        where = f"{path}:{number}"
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{where}: this is not JSON: {error.msg} (column {error.colno})") from error
        if not isinstance(record, dict):
            raise ValueError(f"{where}: this is not a JSON object")
        text, label = (member(record, name, where) for name in (table.text, table.label))
        if not isinstance(text, str):
            raise ValueError(f"{where}: {table.text!r} is {json.dumps(text)[:40]}, and not a text")
        if not isinstance(label, str | int):
            raise ValueError(f"{where}: {table.label!r} is {json.dumps(label)[:40]}, and not a label")
        yield Example(text, str(label), where)


def member(record: Mapping[str, Any], name: Column, where: str) -> Any:
    """What a JSON object has under a name; raises ValueError where it has nothing."""
    if not isinstance(name, str):
        raise ValueError(f"{where}: a JSON object has names, and no column {name}")
    if name not in record:
        raise ValueError(f"{where}: there is no {name!r} {hint(name, record)}")
    return record[name]
