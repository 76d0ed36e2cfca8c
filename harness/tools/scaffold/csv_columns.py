"""What the columns of a CSV file look like, and the dataset of rnn-harness-plugins that reads it: text or series."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from harness.errors import UserError

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
#: Up to this many different whole numbers are classes.
MOST_CLASSES = 20
#: A file with one long series becomes at least this many pieces, each of at most so many steps.
PIECES, WINDOW = 320, 100
#: The batches of the default work set, and the share of examples that may be held out (20 % of each class, rounded).
BATCHES, HELD_OUT = 8, 0.25
#: Names by which a column is recognised, in lower case.
TARGETS = ("target", "label", "class", "y", "labels", "sentiment", "category", "output")
TEXTS = ("text", "sentence", "review", "comment", "content", "message", "document")
SERIES = ("series", "series_id", "id", "sequence", "sequence_id", "case", "case_id", "subject", "unit", "group")
TIMES = ("time", "timestamp", "date", "datetime", "step", "t", "index", "")


@dataclass(frozen=True)
class CsvDataset:
    """The dataset that reads a file, its parameters without the path, what was chosen and why in sentences, and the
    number of examples."""

    name: str
    parameters: Mapping[str, Any]
    says: tuple[str, ...]
    examples: int

    @property
    def batch_size(self) -> int:
        """The largest usual size of a batch of which the training set has enough for the default work set."""
        most = (1 - HELD_OUT) * self.examples / BATCHES
        return next((size for size in (32, 16, 8, 4, 2) if size <= most), 1)


@dataclass(frozen=True)
class CsvColumn:
    """A column and its values."""

    name: str
    cells: tuple[str, ...]

    @property
    def is_number(self) -> bool:
        """Whether every cell that is not empty is a number."""
        return all(is_number(cell) for cell in self.cells if cell) and any(self.cells)

    @property
    def is_text(self) -> bool:
        """Whether most cells are no numbers and differ from each other."""
        return not self.is_number and 2 * len(set(self.cells)) > len(self.cells)

    @property
    def is_class(self) -> bool:
        """Whether its values are classes: few texts or whole numbers."""
        values = set(filter(None, self.cells))
        whole = all(is_number(value) and float(value).is_integer() for value in values)
        return len(values) <= MOST_CLASSES if whole else not self.is_number


def is_number(cell: str) -> bool:
    """Whether a cell can be read as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def csv_dataset(path: Path) -> CsvDataset:
    """The dataset for a file. Raises UserError for a file that cannot be read, or whose columns fit no dataset."""
    columns, rows, header = read_columns(path)
    by_name = {column.name: column for column in columns}
    text = named(columns, TEXTS, lambda column: column.is_text)
    target = named(columns, TARGETS, lambda column: column is not text)
    text = text or next((column for column in columns if column is not target and column.is_text), None)
    has_words = text is not None and any(" " in cell for cell in text.cells)
    if text is not None and (has_words or not any(one.is_number for one in columns if one is not target)):
        label = target or fewest_values([column for column in columns if column is not text])
        if label is None:
            raise no_dataset(path, "there is no column with a label beside the text")
        return text_dataset(text, label, columns, header)
    target = target or next((one for one in reversed(columns) if len(set(one.cells)) > 1), columns[-1])
    others = [column for column in columns if column is not target]
    series = named(others, SERIES, lambda column: is_repeated(column.cells))
    times = [column for column in others if column is not series and column.name.lower() in TIMES]
    channels = [one for one in others if one is not series and one not in times and one.is_number and all(one.cells)]
    channels = channels or [column for column in times if column.is_number]
    if not channels:
        raise no_dataset(path, "there is no column with text, and none with numbers beside the target")
    return series_dataset(target, series, channels, by_name, rows, header)


def text_dataset(text: CsvColumn, label: CsvColumn, columns: Sequence[CsvColumn], header: bool) -> CsvDataset:
    """The dataset for texts with a class."""
    at = {column.name: column.name if header else number for number, column in enumerate(columns)}
    parameters = {"text": at[text.name], "label": at[label.name], **({} if header else {"header": False})}
    classes = len(set(label.cells))
    says = (
        f"The column {text.name} has texts of several words, so the dataset is delimited.",
        f"The column {label.name} is the label, with {classes} different values.",
    )
    return CsvDataset("delimited", parameters, says, len(text.cells))


def series_dataset(
    target: CsvColumn,
    series: CsvColumn | None,
    channels: Sequence[CsvColumn],
    by_name: Mapping[str, CsvColumn],
    rows: int,
    header: bool,
) -> CsvDataset:
    """The dataset for numeric series with a class or a number."""
    name = "class_series" if target.is_class else "number_series"
    per_step = series is None or not is_constant(target.cells, series.cells)
    given: dict[str, Any] = {"target": target.name, "per": "step" if per_step else "series"}
    names = [column.name for column in channels]
    says = [f"The columns {', '.join(names)} have numbers, so the dataset is {name}: they are the channels."]
    if series is not None:
        given["series"] = series.name
        examples = len(set(series.cells))
        says.append(f"The column {series.name} names the series of each row; there are {examples} in {rows:,} rows.")
    else:
        window = given["window"] = max(2, min(WINDOW, rows // PIECES))
        examples = rows // window
        says.append(f"No column names the series of each row, so pieces of {window} rows are the series.")
    kind = f"classes ({len(set(filter(None, target.cells)))})" if target.is_class else "numbers"
    each = "step" if per_step else "series"
    says.append(f"The column {target.name} is the target: it has {kind}, one for each {each}.")
    used = {target.name, *names, *([series.name] if series else [])}
    if left_out := [column for column in by_name if column not in used]:
        given["channels"] = names
        says.append(f"Not used: {', '.join(map(repr, left_out))}.")
    return CsvDataset(name, {**given, **({} if header else {"header": False})}, tuple(says), examples)


def read_columns(path: Path) -> tuple[list[CsvColumn], int, bool]:
    """The columns of a file, the number of rows, and whether it has a header. Columns without a header have the names
    0, 1, 2."""
    delimiter = DELIMITERS.get(path.suffix.lower())
    if delimiter is None:
        known = ", ".join(DELIMITERS)
        raise UserError(f"expected a file with the suffix {known}.", where=f"--csv {path}")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(filled(csv.reader(file, delimiter=delimiter)))
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}.", where=f"--csv {path}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"this is not a CSV file in UTF-8: {error}.", where=f"--csv {path}") from error
    header = bool(rows) and not any(is_number(cell) for cell in rows[0])
    body = rows[1:] if header else rows
    if len(body) < 2:
        raise UserError("the file has fewer than two rows.", where=f"--csv {path}")
    names = rows[0] if header else [str(number) for number in range(len(rows[0]))]
    if any(len(row) != len(names) for row in body):
        row = next(row for row in body if len(row) != len(names))
        raise UserError(f"a row has {len(row)} columns, and the first has {len(names)}.", where=f"--csv {path}")
    columns = [CsvColumn(name, cells) for name, cells in zip(names, zip(*body, strict=True), strict=True)]
    return columns, len(body), header


def filled(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    """The rows that are not blank, without spaces around cells."""
    for row in rows:
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield cells


def named(columns: Sequence[CsvColumn], names: Sequence[str], fits: Any) -> CsvColumn | None:
    """The first column that has one of these names, in their order, and that fits."""
    for name in names:
        for column in columns:
            if column.name.lower() == name and fits(column):
                return column
    return None


def fewest_values(columns: Sequence[CsvColumn]) -> CsvColumn | None:
    """The column with the fewest different values, which are at least two; None if there is none."""
    several = [column for column in columns if len(set(column.cells)) > 1]
    return min(several, key=lambda column: len(set(column.cells)), default=None)


def is_repeated(cells: Sequence[str]) -> bool:
    """Whether the rows of each value follow one another, and some value has several."""
    runs = sum(1 for _ in groupby(cells))
    return runs == len(set(cells)) < len(cells)


def is_constant(targets: Sequence[str], series: Sequence[str]) -> bool:
    """Whether all rows of a series have the same target."""
    return len(set(zip(series, targets, strict=True))) == len(set(series))


def no_dataset(path: Path, why: str) -> UserError:
    """The error for a file that no dataset reads."""
    fix = "Write the suite with --dataset, and set the columns in it; docs/suites.md describes the datasets."
    return UserError(f"no dataset fits its columns: {why}.", where=f"--csv {path}", fix=fix)
