"""The user's own numeric series, with a class or a number for each series or each step."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from harness import Data, FilePath
from harness_rnn.contract import SequenceFacts, Sequences, sequence_data
from harness_rnn.datasets.series_files import Columns, Numbers, Series, is_number, read_series
from harness_rnn.datasets.text import check_test_share, hint, split, split_classes
from harness_rnn.tasks import NO_LABEL, NO_NUMBER, class_scores, number_scores

Per = Literal["series", "step"]
#: The ends of the names of the two files of an archive of aeon or sktime.
TRAIN, TEST = "_TRAIN.ts", "_TEST.ts"


@dataclass(frozen=True)
class Files:
    """Where the series are, and how they are split: the parameters of `class_series` except `standardise`."""

    path: str
    target: str
    per: Per
    series: str
    channels: list[str] | None
    header: bool
    targets: str | None
    test_path: str | None
    test_targets: str | None
    test_share: float
    window: int | None

    @property
    def exchangeable(self) -> bool:
        """Whether the split is random, so that each seed may split again. Pieces of one series belong together."""
        return not self.has_test and self.window is None

    @property
    def has_test(self) -> bool:
        """Whether the test set has files of its own."""
        return self.test_path is not None or bool(pair_in(Path(self.path)))

    def read(self) -> tuple[list[Series], list[Series]]:
        """The training and the test series, checked and cut into pieces. The second list is empty if the test set has
        no files of its own."""
        check_test_share(self.test_share)
        if self.window is not None and self.window < 1:
            raise ValueError(f"window = {self.window}: it must be at least 1")
        columns = Columns(self.target, self.series, self.channels, self.header, self.window is not None)
        pair = pair_in(Path(self.path))
        if pair and self.test_path is not None:
            raise ValueError(f"{self.path} has {pair[1].name}, so test_path cannot name another test set")
        train = read_series(pair[0] if pair else Path(self.path), optional(self.targets), columns)
        test = []
        if pair or self.test_path is not None:
            test = read_series(pair[1] if pair else Path(self.test_path or ""), optional(self.test_targets), columns)
        if not train:
            raise ValueError(f"{self.path} has no series")
        for one in (*train, *test):
            check(one, train[0], self.per)
        return train, test


def optional(path: str | None) -> Path | None:
    """A path, or None."""
    return None if path is None else Path(path)


def pair_in(folder: Path) -> tuple[Path, Path] | None:
    """The two .ts files of a folder, as archives of aeon and sktime have them: of several, those with the name of the
    folder. None if there are none. Raises ValueError if none of several has the name."""
    found = sorted(folder.glob(f"*{TRAIN}")) if folder.is_dir() else []
    if len(found) > 1 and (own := folder / f"{folder.resolve().name}{TRAIN}") in found:
        found = [own]
    if len(found) > 1:
        raise ValueError(f"{folder} has {len(found)} files *{TRAIN}; set path and test_path to the files")
    return (found[0], found[0].with_name(found[0].name.removesuffix(TRAIN) + TEST)) if found else None


def check(one: Series, first: Series, per: Per) -> None:
    """Raise ValueError for a series that has no steps, other channels than the first, a value that is not finite, or
    another number of targets than there must be."""
    steps, width = one.values.shape
    if not steps:
        raise ValueError(f"{one.where} has no steps")
    if width != first.values.shape[1]:
        raise ValueError(f"{one.where} has {width} channels, and {first.where} has {first.values.shape[1]}")
    if not np.isfinite(one.values).all():
        step, channel = np.argwhere(~np.isfinite(one.values))[0]
        what = f"the value of step {step}, channel {channel} is {one.values[step, channel]}"
        raise ValueError(f"{one.where}: {what}; fill missing values before, or leave the series out")
    if per == "step" and len(one.targets) != steps:
        raise ValueError(
            f"{one.where}: {len(one.targets)} targets for {steps} steps; set per: series, or give one each"
        )
    different = dict.fromkeys(map(str, one.targets))
    if per == "series" and len(different) != 1:
        some = " and ".join(list(different)[:2])
        raise ValueError(f"{one.where}: its rows have the targets {some}; set per: step if each step has its own")


def is_missing(target: Any) -> bool:
    """Whether a step has no target."""
    return target is None or str(target).strip().lower() in ("", "nan", "none")


def class_of(target: Any, where: str) -> str:
    """A class as text. Raises ValueError for a missing one."""
    if is_missing(target):
        raise ValueError(f"{where}: the target is empty")
    return str(int(target)) if isinstance(target, float) and target.is_integer() else str(target).strip()


def number_of(target: Any, where: str) -> float:
    """A number. Raises ValueError for a missing one, or for another value."""
    if is_missing(target) or not is_number(target) or not np.isfinite(float(target)):
        raise ValueError(f"{where}: the target is {target!r}; expected a finite number (class_series reads classes)")
    return float(target)


Parsed = list[Any]
"""The targets of a series: one, or one for each step, which is None where it is missing."""


def parsed(one: Series, per: Per, parse: Callable[[Any, str], Any]) -> Parsed:
    """The targets of a series as classes or numbers."""
    if per == "series":
        return [parse(one.targets[0], one.where)]
    found = [None if is_missing(target) else parse(target, one.where) for target in one.targets]
    if all(target is None for target in found):
        raise ValueError(f"{one.where}: no step has a target; leave the series out")
    return found


Row = tuple[Numbers, Parsed, str]
"""The values, the targets and the place of a series or a piece of one."""


def rows_of(files: Files, parse: Callable[[Any, str], Any]) -> tuple[list[Row], list[Row]]:
    """The training and the test set, split if the test set has no files of its own."""
    train, test = ([(one.values, parsed(one, files.per, parse), one.where) for one in part] for part in files.read())
    if files.has_test:
        return pieces(train, files), pieces(test, files)
    if len(train) == 1:  # one long series: the end of it is the test set
        whole = pieces(train, files)
        held_out = max(1, round(len(whole) * files.test_share))
        if len(whole) < 2:
            raise ValueError(
                f"{files.path} has one series of {len(train[0][0])} steps; set a smaller window, or test_path"
            )
        return whole[:-held_out], whole[-held_out:]
    labels = [targets[0] for _, targets, _ in train]
    if files.per == "series" and isinstance(labels[0], str):
        for label, (_, _, where) in zip(labels, train, strict=True):
            if labels.count(label) == 1:
                raise ValueError(
                    f"{where}: the only series of class {label!r}; a class needs two, to train and to test"
                )
        halves = split_classes(train, labels, files.test_share)
    else:
        halves = split(train, files.test_share)
        if not all(halves):
            raise ValueError(
                f"{files.path} has {len(train)} series; test_share = {files.test_share} leaves none in a set"
            )
    return pieces(halves[0], files), pieces(halves[1], files)


def pieces(rows: Sequence[Row], files: Files) -> list[Row]:
    """The rows cut into pieces of at most `window` steps. Pieces without a target are left out."""
    if files.window is None:
        return list(rows)
    found = []
    for values, targets, where in rows:
        for begin in range(0, len(values), files.window):
            steps = slice(begin, begin + files.window)
            own = targets if files.per == "series" else targets[steps]
            if any(target is not None for target in own):
                found.append((values[steps], own, where))
    return found


def scale_of(values: Numbers) -> tuple[Any, Any]:
    """The mean and the standard deviation of each column; 1 for a column of equal values."""
    deviation = values.std(axis=0)
    return values.mean(axis=0), np.where(deviation > 0, deviation, 1.0)


def sequences(rows: Sequence[Row], labels: Sequence[Any], scale: tuple[Any, Any], first_id: int) -> Sequences:
    """Rows as sequences with features (L, F) float32."""
    mean, deviation = scale
    values = [torch.tensor((values - mean) / deviation, dtype=torch.float32) for values, _, _ in rows]
    return Sequences(values, labels, first_id)


def data_of(
    files: Files,
    standardise: bool,
    parse: Callable[[Any, str], Any],
    coded: Callable[[Sequence[Row], Sequence[Row]], tuple[int, Callable[[Any], Any], dict[str, Any]]],
    task: Any,
) -> Data:
    """A dataset. `coded` returns the number of classes, the function from a target to a label, and the scores."""
    train, test = rows_of(files, parse)
    classes, code, scores = coded(train, test)

    def label(targets: Parsed) -> Any:
        if files.per == "series":
            return code(targets[0])
        return torch.tensor([code(target) for target in targets])

    width = train[0][0].shape[1]
    scale = scale_of(np.concatenate([values for values, _, _ in train])) if standardise else (0.0, 1.0)
    parts = [
        sequences(rows, [label(targets) for _, targets, _ in rows], scale, first_id)
        for rows, first_id in ((train, 0), (test, len(train)))
    ]
    facts = SequenceFacts(vocabulary=0, classes=classes, features=width, task=task)
    return sequence_data(parts[0], parts[1], facts, exchangeable=files.exchangeable, scores=scores)


def class_series(
    *,
    path: FilePath,
    target: str = "target",
    per: Literal["series", "step"] = "series",
    series: str = "series",
    channels: list[str] | None = None,
    header: bool = True,
    targets: FilePath | None = None,
    test_path: FilePath | None = None,
    test_targets: FilePath | None = None,
    test_share: float = 0.2,
    window: int | None = None,
    standardise: bool = True,
) -> Data:
    """Your own numeric series of any lengths, features (L, F), with a class for each series or each step.

    `path` is one of these. A **CSV** or TSV file, or a **Parquet** file, has a row for each step, and the column
    `series` names the series of each row. A Parquet file may also have a row for each series, with a list of steps for
    each channel. A **folder** of CSV files has a file for each series. A **.npz** file has the arrays `values` and
    `targets`: `values` are (n, T, F), or the steps of all series one after another (steps, F) with an array `lengths`
    (n,). Arrays of objects are refused, since reading them could run code. A **.npy** file has `values`. A **.ts**
    file, or a folder with NAME_TRAIN.ts and NAME_TEST.ts, is as aeon and sktime write it.

    `target` is the column with the class: the same in all rows of a series, or that of the step with `per: step`, where
    a step without one may be empty. `channels` are the columns with values, by default all others. A file without
    `header` has columns with the names 0, 1, 2. `targets` is a file with the targets of a .npy file (.npy), or of a
    folder (CSV with the columns file and `target`). Any text is a class. A random `test_share` of the series (of each
    class) is the test set, unless `test_path`, with `test_targets`, names another one of the same form. `window` cuts
    series into pieces of at most so many steps, which stay in one set; the test set of a single series is its end.

    With `standardise`, each channel has mean 0 and standard deviation 1 over all steps of the training set; the test
    set is shifted and scaled by the same numbers. They stay the same if a seed splits again. Raises ValueError with the
    place for an invalid file or series.
    """
    files = Files(path, target, per, series, channels, header, targets, test_path, test_targets, test_share, window)
    return data_of(files, standardise, class_of, coded_classes, "steps" if per == "step" else "class")


def coded_classes(train: Sequence[Row], test: Sequence[Row]) -> tuple[int, Callable[[Any], Any], dict[str, Any]]:
    """The number of classes, numbered in alphabetical order, their codes and their scores. Raises ValueError for a
    class that is not in the training set."""
    known = sorted({target for _, targets, _ in train for target in targets if target is not None})
    if len(known) < 2:
        raise ValueError(f"{train[0][2]}: the training set has only the class {known[0]!r}; expected at least two")
    for _, targets, where in test:
        for target in targets:
            if target is not None and target not in known:
                raise ValueError(f"{where}: the class {target!r} is not in the training set {hint(target, known)}")
    numbers: dict[Any, int] = {None: NO_LABEL, **{name: number for number, name in enumerate(known)}}
    return len(known), numbers.__getitem__, class_scores(len(known))


def number_series(
    *,
    path: FilePath,
    target: str = "target",
    per: Literal["series", "step"] = "series",
    series: str = "series",
    channels: list[str] | None = None,
    header: bool = True,
    targets: FilePath | None = None,
    test_path: FilePath | None = None,
    test_targets: FilePath | None = None,
    test_share: float = 0.2,
    window: int | None = None,
    standardise: bool = True,
) -> Data:
    """Your own numeric series of any lengths, features (L, F), with a number for each series or each step.

    `path`, `series`, `channels`, `header`, `targets`, `test_path`, `test_targets`, `test_share` and `window` are those
    of `class_series`, and so are the formats. `target` is the column with the number: the same in all rows of a series,
    or that of the step with `per: step`, where a step without one may be empty.

    With `standardise`, each channel, and the target, has mean 0 and standard deviation 1 over the training set; the
    test set is shifted and scaled by the same numbers. They stay the same if a seed splits again. The loss is the mean
    squared error of standardised numbers. The scores rmse and mae are in the unit of the target. Raises ValueError with
    the place for an invalid file or series.
    """
    files = Files(path, target, per, series, channels, header, targets, test_path, test_targets, test_share, window)
    coded = partial(coded_numbers, standardise)
    return data_of(files, standardise, number_of, coded, "step_values" if per == "step" else "value")


def coded_numbers(
    standardise: bool, train: Sequence[Row], test: Sequence[Row]
) -> tuple[int, Callable[[Any], Any], dict[str, Any]]:
    """One class, the function from a number to a label, and the scores in the unit of the numbers. Raises ValueError if
    all numbers of a set are equal, since nothing of their variance could be explained."""
    for rows, name in ((train, "training"), (test, "test")):
        found = {target for _, targets, _ in rows for target in targets if target is not None}
        if len(found) < 2:
            raise ValueError(f"{rows[0][2]}: all targets of the {name} set are equal ({found.pop()})")
    known = np.array([target for _, targets, _ in train for target in targets if target is not None])
    mean, deviation = map(float, scale_of(known)) if standardise else (0.0, 1.0)

    def code(target: float | None) -> float:
        return NO_NUMBER if target is None else (target - mean) / deviation

    return 1, code, number_scores(deviation)


def class_series_fingerprint(*, standardise: bool, **parameters: Any) -> str:
    """A hash of all values and targets in order. Raises ValueError for a mistake in them."""
    return fingerprint_of(Files(**parameters), class_of, coded_classes)


def number_series_fingerprint(*, standardise: bool, **parameters: Any) -> str:
    """A hash of all values and targets in order. Raises ValueError for a mistake in them."""
    return fingerprint_of(Files(**parameters), number_of, partial(coded_numbers, standardise))


def fingerprint_of(files: Files, parse: Callable[[Any, str], Any], coded: Callable[..., Any]) -> str:
    """A hash of all values and targets in order."""
    coded(*rows_of(files, parse))
    whole = hashlib.sha256()
    for part in files.read():
        whole.update(f"{len(part)} series".encode())
        for one in part:
            whole.update(repr(one.values.shape).encode() + one.values.tobytes() + repr(list(one.targets)).encode())
    return whole.hexdigest()[:16]
