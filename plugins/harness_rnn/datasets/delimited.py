"""Text classification from the user's own CSV, TSV or JSON Lines file."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from harness import Data, FilePath
from harness_rnn.datasets.text import (
    check_vocabulary,
    hash_of_text,
    hint,
    read_text,
    split_classes,
    text_data,
    tokenise,
)

#: The delimiter for each suffix of a file.
DELIMITERS: Mapping[str, str] = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
JSON_LINES = (".jsonl", ".ndjson")

Column = str | int
Quoting = Literal["lines", "multiline", "none"]


class Example(NamedTuple):
    """A text, its label, and the ``path:line`` of its first line."""

    text: str
    label: str
    where: str


class Table(NamedTuple):
    """How to read a file: see `delimited`."""

    text: Column
    label: Column
    delimiter: str | None
    header: bool
    quoting: Quoting


def delimited(
    *,
    path: FilePath,
    text: str | int = "text",
    label: str | int = "label",
    delimiter: str | None = None,
    header: bool = True,
    quoting: Literal["lines", "multiline", "none"] = "lines",
    unit: Literal["word", "character"] = "word",
    vocabulary: int = 5000,
    test_share: float = 0.1,
    test_path: FilePath | None = None,
) -> Data:
    """Text classification with the UTF-8 file `path`, which has one example per line (or per quoted record).

    `text` and `label` are names of columns, or their numbers from 0. A file without `header` needs numbers. Without
    `delimiter`, the suffix decides: .csv, .tsv or .tab. Files with .jsonl or .ndjson have a JSON object per line.
    `quoting` says what a double quote at the start of a field means. **lines**: it opens a quoted field; it is an error
    if the lines up to the closing quote look like rows of their own, because a stray quote would hide them.
    **multiline**: a quoted field may have any lines. **none**: a quote is a character like any other. Any text is a
    label; classes are numbered in alphabetical order. A random `test_share` of each class is the test set, unless
    `test_path` names another file of the same form. `unit` is the kind of token. `vocabulary` is the number of ids,
    with padding and unknown. Blank lines and rows of blank fields are left out; a row whose text or label is blank is
    an error. Raises ValueError with ``path:line`` for an invalid file or example.
    """
    train, test = examples(Table(text, label, delimiter, header, quoting), path, test_path, test_share)
    classes = {name: index for index, name in enumerate(sorted({example.label for example in train}))}
    rows = [[(tokenise(one.text, unit), classes[one.label]) for one in part] for part in (train, test)]
    return text_data(rows[0], rows[1], vocabulary, len(classes), exchangeable=test_path is None)


def fingerprint(
    *,
    path: FilePath,
    text: Column,
    label: Column,
    delimiter: str | None,
    header: bool,
    quoting: Quoting,
    unit: str,
    vocabulary: int,
    test_share: float,
    test_path: FilePath | None,
) -> str:
    """A hash of all texts and labels in order."""
    check_vocabulary(vocabulary)
    parts = examples(Table(text, label, delimiter, header, quoting), path, test_path, test_share)
    return hash_of_text(field for part in parts for example in part for field in (example.text, example.label))


def examples(
    table: Table, path: str, test_path: str | None, test_share: float
) -> tuple[Sequence[Example], Sequence[Example]]:
    """The two sets. Raises ValueError with ``path:line`` for an invalid example, or a class with too few examples."""
    known = read(Path(path), table)
    counts = Counter(example.label for example in known)
    if len(counts) < 2:
        raise ValueError(f"{path} has only the label {known[0].label!r}; expected at least two labels")
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
            found = f"this is the only example of {example.label!r}"
            raise ValueError(f"{example.where}: {found}; a class needs at least two, to train and to test")
    return split_classes(known, [example.label for example in known], test_share)


def read(path: Path, table: Table) -> list[Example]:
    """All examples of a file. Raises ValueError for the first invalid one, or if there is none."""
    content = read_text(path)
    records = json_records if path.suffix.lower() in JSON_LINES else table_records
    found = []
    for text, label, where in records(content, path, table):
        for part, value in (("text", text), ("label", label)):
            if not value.strip():
                raise ValueError(f"{where}: the {part} is empty; remove this row")
        found.append(Example(text, unicodedata.normalize("NFC", label.strip()), where))
    if not found:
        raise ValueError(f"{path} has no examples")
    return found


def table_records(content: str, path: Path, table: Table) -> Iterator[Example]:
    """The records of a delimited file without blank lines."""
    delimiter = table.delimiter or DELIMITERS.get(path.suffix.lower())
    if delimiter is None or len(delimiter) != 1:
        if delimiter:
            raise ValueError(f"delimiter = {delimiter!r} is not one character")
        raise ValueError(
            f"{path}: set delimiter, because the suffix is none of {', '.join([*DELIMITERS, *JSON_LINES])}"
        )
    names: list[str] | None = None
    at: dict[str, int] = {}
    columns = 0
    for record, where, lines in records_of(content, path, delimiter, table.quoting):
        if not any(field.strip() for field in record):
            continue
        columns = columns or len(record)
        rows = sum(line.count(delimiter) == columns - 1 for line in lines)
        if table.quoting == "lines" and len(lines) > 1 and rows > 1:
            raise ValueError(
                f"{where}: a quoted field goes on for {len(lines)} lines, of which {rows} look like rows of their own; "
                "set quoting: none if quotes are ordinary characters, or quoting: multiline if it is one row"
            )
        if not at:
            names = [name.strip() for name in record] if table.header else None
            wanted = {"text": table.text, "label": table.label}
            at = {part: position(column, names, columns, where) for part, column in wanted.items()}
            if table.header:
                continue
        for part, column in at.items():
            if column >= len(record):
                raise ValueError(f"{where}: column {column} with the {part} is missing (the first column is 0)")
        if any(field.strip() for field in record[columns:]):
            raise ValueError(
                f"{where}: {len(record)} columns, but the first row has {columns}; a field that contains the delimiter "
                f"{delimiter!r} needs quotes"
            )
        yield Example(record[at["text"]], record[at["label"]], where)


def records_of(
    content: str, path: Path, delimiter: str, quoting: Quoting
) -> Iterator[tuple[list[str], str, Sequence[str]]]:
    """The fields of each record, the ``path:line`` of its first line, and its lines. Raises ValueError for a record
    with invalid quotes."""
    lines = list(io.StringIO(content, newline=""))
    rule = csv.QUOTE_NONE if quoting == "none" else csv.QUOTE_MINIMAL
    reader = csv.reader(lines, delimiter=delimiter, quoting=rule, strict=True)
    begins = 0
    while True:
        where = f"{path}:{begins + 1}"
        limit = csv.field_size_limit(len(content) + 1)  # 131,072 characters, for the whole process
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            never = ": the quote never closes" if "end of data" in str(error) else ""
            raise ValueError(f"{where}: {error}{never}; set quoting: none if quotes are ordinary characters") from error
        finally:
            csv.field_size_limit(limit)
        yield record, where, lines[begins : reader.line_num]
        begins = reader.line_num


def position(column: Column, names: Sequence[str] | None, columns: int, where: str) -> int:
    """The number of a column. Raises ValueError if there is no column of this name or number."""
    if isinstance(column, str):
        if names is None:
            raise ValueError(f"{where}: without a header, give the number of column {column!r}, counted from 0")
        if column not in names:
            raise ValueError(f"{where}: there is no column {column!r} {hint(column, names)}")
        if names.count(column) > 1:
            raise ValueError(f"{where}: {names.count(column)} columns have the name {column!r}; give a number from 0")
        return names.index(column)
    if not 0 <= column < columns:
        raise ValueError(f"{where}: there is no column {column}; there are {columns}, counted from 0")
    return column


def json_records(content: str, path: Path, table: Table) -> Iterator[Example]:
    """The JSON objects of a file with one per line, without blank lines."""
    for number, line in enumerate(content.split("\n"), 1):
        where = f"{path}:{number}"
        if not line.strip():
            continue
        try:
            record = json.loads(line, object_pairs_hook=partial(unique, where))
        except json.JSONDecodeError as error:
            raise ValueError(f"{where}: invalid JSON: {error.msg} (column {error.colno})") from error
        if not isinstance(record, dict):
            raise ValueError(f"{where}: expected a JSON object")
        text, label = (member(record, name, where) for name in (table.text, table.label))
        if not isinstance(text, str):
            raise ValueError(f"{where}: {table.text!r} is {json.dumps(text)[:40]}; expected a text")
        if not isinstance(label, str | int):
            raise ValueError(f"{where}: {table.label!r} is {json.dumps(label)[:40]}; expected a text or a whole number")
        if not is_unicode(text) or not is_unicode(str(label)):
            raise ValueError(f"{where}: half of a surrogate pair, as \\ud800 is; expected text")
        yield Example(text, str(label), where)


def unique(where: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError if a name occurs twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{where}: the name {twice!r} occurs twice")
    return found


def is_unicode(text: str) -> bool:
    """Whether a text can be encoded: it has no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def member(record: Mapping[str, Any], name: Column, where: str) -> Any:
    """The value of a name in a JSON object. Raises ValueError if it is missing."""
    if not isinstance(name, str):
        raise ValueError(f"{where}: a JSON object has names, not column numbers; got {name}")
    if name not in record:
        raise ValueError(f"{where}: there is no {name!r} {hint(name, record)}")
    return record[name]
