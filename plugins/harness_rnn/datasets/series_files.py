"""Numeric series from files: NumPy, Parquet, CSV, a folder of CSV files, and .ts as aeon and sktime write it."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness_rnn.datasets.series_ts import read_ts
from harness_rnn.datasets.text import hint, read_text

Numbers = NDArray[np.float64]
CSV = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
PARQUET = (".parquet", ".pq")
#: How to write series of unequal lengths with NumPy, so that no pickle is needed to read them.
SAFE_LAYOUT = (
    "np.savez(path, values=np.concatenate(series), lengths=[len(one) for one in series], targets=targets), where each "
    "series is (steps, channels)"
)


class Series(NamedTuple):
    """One series: values (L, F), its targets as they were read (one, or one for each step), and where it was read."""

    values: Numbers
    targets: Sequence[Any]
    where: str


class Columns(NamedTuple):
    """Which columns of a table have the target, the name of the series, and the channels (None: all others)."""

    target: str
    series: str
    channels: Sequence[str] | None
    header: bool
    #: Whether all rows of a file are one series, if it has no column with the name of the series.
    one_series: bool


def read_series(path: Path, targets: Path | None, columns: Columns) -> list[Series]:
    """All series of a file or a folder. `targets` is a file with the targets, if they are not with the values. Raises
    ValueError, which names the place, for what cannot be read."""
    kind = path.suffix.lower()
    if not path.exists():
        raise ValueError(f"{path} does not exist")
    if path.is_dir():
        return list(folder_series(path, targets, columns))
    if kind == ".npy":
        return list(array_series(npy_arrays(path, targets), path))
    if targets is not None:
        raise ValueError(f"targets = {targets}: only a .npy file or a folder of CSV files has its targets elsewhere")
    if kind == ".npz":
        return list(array_series(npz_arrays(path), path))
    if kind == ".ts":
        return [Series(np.array(channels).T, [label], where) for channels, label, where in read_ts(path)]
    if kind in PARQUET:
        return list(table_series(parquet_columns(path), path, columns))
    if kind in CSV:
        return list(table_series(csv_columns(path, columns.header), path, columns))
    known = ", ".join([".npz", ".npy", ".ts", *PARQUET, *CSV])
    raise ValueError(f"{path}: the suffix {kind!r} is not known; expected {known}, or a folder of CSV files")


def npz_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a .npz file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: plain(path, name, lambda name=name: file[name]) for name in file.files}
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        if str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path} cannot be read as a .npz file: {error}") from error


def npy_arrays(path: Path, targets: Path | None) -> dict[str, NDArray[Any]]:
    """The arrays of two .npy files."""
    if targets is None:
        raise ValueError(f"{path} has no targets: set targets to the .npy file that has them, or use one .npz file")
    files = {"values": path, "targets": targets}
    if missing := [file for file in files.values() if not file.is_file()]:
        raise ValueError(f"{missing[0]} does not exist")
    return {
        name: plain(file, name, lambda file=file: np.load(file, allow_pickle=False)) for name, file in files.items()
    }


def plain(path: Path, name: str, read: Any) -> NDArray[Any]:
    """An array without Python objects. Those would need pickle, which can run any code of a file."""
    try:
        found: NDArray[Any] = read()
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise ValueError(f"{path}: the array {name} cannot be read: {error}") from error
        what = f"{path}: the array {name} holds Python objects, which would need pickle, and that is unsafe"
        raise ValueError(f"{what}; store numbers instead: {SAFE_LAYOUT}") from error
    return found


def array_series(arrays: Mapping[str, NDArray[Any]], path: Path) -> Iterator[Series]:
    """The series of arrays: `values` (n, T, F) or (n, T), of which the first `lengths` steps of each count; or the
    steps of all series one after another, (steps, F) or (steps,), with `lengths`. `targets` are (n,), or as the steps
    of `values`."""
    for name in ("values", "targets"):
        if name not in arrays:
            raise ValueError(f"{path} has no array {name!r} {hint(name, arrays)}; expected values, targets and lengths")
    values, targets, lengths = arrays["values"], arrays["targets"], arrays.get("lengths")
    for name in ("values", "lengths"):
        if name in arrays and arrays[name].dtype.kind not in "iufb":
            raise ValueError(f"{path}: the array {name} is of type {arrays[name].dtype}; expected numbers")
    if lengths is not None and (lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 1).any()):
        raise ValueError(f"{path}: lengths is {lengths.shape} {lengths.dtype}; expected (n,) whole numbers from 1")
    flat = lengths is not None and values.ndim in (1, 2) and int(lengths.sum()) == len(values)
    count = len(lengths) if flat and lengths is not None else len(values)
    if not flat and values.ndim not in (2, 3):
        shapes = "(n, T, F) or (n, T), or (steps, F) with lengths that sum to the number of steps"
        raise ValueError(f"{path}: values is {values.shape}; expected {shapes}")
    if not flat and lengths is not None and (len(lengths) != count or int(lengths.max()) > values.shape[1]):
        found = f"values is {values.shape}, and there are {len(lengths)} lengths up to {lengths.max()}"
        raise ValueError(f"{path}: {found}; expected a length up to T for each of n series (n, T, F)")
    own = values.shape[:1] if flat else values.shape[:2]
    if targets.shape not in ((count,), own):
        raise ValueError(f"{path}: targets is {targets.shape}; expected ({count},), or {own} for a target of each step")
    sizes = lengths if lengths is not None else np.full(count, values.shape[1])
    ends = np.cumsum(sizes)
    for row, size in enumerate(sizes.tolist()):
        steps = slice(ends[row] - size, ends[row]) if flat else (row, slice(size))
        found = values[steps].astype(np.float64).reshape(size, -1)
        own_targets = targets[row : row + 1] if targets.shape == (count,) else targets[steps]
        yield Series(found, own_targets.tolist(), f"{path}: series {row}")


def csv_columns(path: Path, header: bool) -> dict[str, list[str]]:
    """The columns of a CSV or TSV file by name, as text; by number from "0" without a header. Blank lines are left
    out. Raises ValueError with ``path:line`` for a row of another width."""
    lines = list(io.StringIO(read_text(path), newline=""))
    reader = csv.reader(lines, delimiter=CSV[path.suffix.lower()], strict=True)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise ValueError(f"{path}:{reader.line_num}: {error}") from error
    if len(rows) < 1 + header:
        raise ValueError(f"{path} has no rows")
    width = len(rows[0][1])
    names = rows.pop(0)[1] if header else [str(index) for index in range(width)]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{path}:1: two columns have the name {twice[0]!r}")
    for line, row in rows:
        if len(row) != width:
            raise ValueError(f"{path}:{line}: {len(row)} columns, but the first row has {width}")
    return {name: [row[index] for _, row in rows] for index, name in enumerate(names)}


def parquet_columns(path: Path) -> dict[str, list[Any]]:
    """The columns of a Parquet file by name. A column of lists has one series, or channel of it, in each row."""
    if find_spec("pyarrow") is None:
        raise ValueError(f'{path}: Parquet files need pyarrow; install it: pip install "rnn-harness-plugins[parquet]"')
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise ValueError(f"{path} cannot be read as a Parquet file: {error}") from error
    return {name: table.column(name).to_pylist() for name in table.column_names}


def table_series(table: Mapping[str, Sequence[Any]], path: Path, columns: Columns) -> Iterator[Series]:
    """The series of a table: consecutive steps are rows with the same value in the column `columns.series`. If the
    channels are lists, each row is a series."""
    if columns.target not in table:
        raise ValueError(f"{path}: there is no column {columns.target!r} with the target {hint(columns.target, table)}")
    names = channel_names(table, path, columns)
    targets = table[columns.target]
    if any(isinstance(table[name][0], list) for name in names):
        for row, target in enumerate(targets):
            where = f"{path}: row {row}"
            cells = {name: table[name][row] for name in names}
            if wrong := [name for name, cell in cells.items() if not isinstance(cell, list)]:
                raise ValueError(f"{where}: column {wrong[0]!r} is not a list, and others are; list the channels")
            if len({len(cell) for cell in cells.values()}) > 1:
                raise ValueError(f"{where}: the channels have different numbers of steps")
            yield Series(numbers(cells, where), target if isinstance(target, list) else [target], where)
        return
    values = numbers({name: table[name] for name in names}, str(path), rows_are_lines=path.suffix.lower() in CSV)
    if columns.series not in table:
        if not columns.one_series:
            what = f"{path}: there is no column {columns.series!r} with the name of the series of each row"
            fix = "set series to a column, or window to cut the rows of the file into pieces of as many steps"
            raise ValueError(f"{what} {hint(columns.series, table)}; {fix}")
        yield Series(values, list(targets), str(path))
        return
    rows: dict[Any, list[int]] = {}
    for row, name in enumerate(table[columns.series]):
        rows.setdefault(name, []).append(row)
    for name, own in rows.items():
        yield Series(values[own], [targets[row] for row in own], f"{path}: series {name}")


def channel_names(table: Mapping[str, Sequence[Any]], path: Path, columns: Columns) -> list[str]:
    """The names of the channels: those that were asked for, or all columns but the target and the series."""
    if columns.channels is None:
        names = [name for name in table if name not in (columns.target, columns.series)]
    else:
        names = list(columns.channels)
    if missing := [name for name in names if name not in table]:
        raise ValueError(f"{path}: there is no column {missing[0]!r} {hint(missing[0], table)}")
    if not names:
        raise ValueError(f"{path} has no columns with channels beside the target")
    return names


def numbers(cells: Mapping[str, Sequence[Any]], where: str, *, rows_are_lines: bool = False) -> Numbers:
    """Cells by channel as numbers (L, F). Raises ValueError for a cell that is no number."""
    found = []
    for name, column in cells.items():
        try:
            found.append(np.array(column, dtype=np.float64))
        except (TypeError, ValueError):
            row, cell = next((row, cell) for row, cell in enumerate(column) if not is_number(cell))
            place = f"row {row + 1} after the header" if rows_are_lines else f"step {row}"
            others = [other for other in cells if other != name]
            fix = f"; leave it out with channels: [{', '.join(others)}]" if others else ""
            raise ValueError(f"{where}: column {name!r} has {cell!r} in {place}; expected a number{fix}") from None
    return np.stack(found, axis=1)


def is_number(cell: Any) -> bool:
    """Whether a cell can be read as a number."""
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True


def folder_series(folder: Path, targets: Path | None, columns: Columns) -> Iterator[Series]:
    """One series for each CSV file of a folder in the order of names. Its target is in the column `columns.target`, or
    in the file `targets`, a CSV file with the columns `file` and `columns.target`."""
    own_file = targets.resolve() if targets is not None else None
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in CSV and path.resolve() != own_file)
    if not files:
        raise ValueError(f"{folder} has no CSV files")
    known = targets_by_file(targets, columns.target) if targets is not None else {}
    for path in files:
        table: dict[str, Sequence[Any]] = dict(csv_columns(path, columns.header))
        own: Sequence[Any]
        if targets is None:
            if columns.target not in table:
                fix = "set target to a column, or targets to a CSV file with the columns file and target"
                raise ValueError(f"{path}: there is no column {columns.target!r} {hint(columns.target, table)}; {fix}")
            own = table[columns.target]
        elif path.name not in known:
            raise ValueError(f"{targets} has no row for the file {path.name} {hint(path.name, known)}")
        else:
            own = [known[path.name]]
        names = channel_names(table, path, columns)
        yield Series(numbers({name: table[name] for name in names}, str(path), rows_are_lines=True), own, str(path))


def targets_by_file(path: Path, target: str) -> dict[str, str]:
    """The target of each file of a folder."""
    table = csv_columns(path, header=True)
    for name in ("file", target):
        if name not in table:
            raise ValueError(f"{path}:1: there is no column {name!r} {hint(name, table)}; expected file and {target}")
    return dict(zip(table["file"], table[target], strict=True))
