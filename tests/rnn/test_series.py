"""The user's own numeric series: formats, targets, splits, scores and mistakes."""

from __future__ import annotations

import math
import sys
from importlib.util import find_spec
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from harness_rnn.contract import NO_LABEL, NO_NUMBER, collate
from harness_rnn.datasets.series import class_series, class_series_fingerprint, number_series, number_series_fingerprint

from harness.errors import UserError
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.plugins.parts import Dataset
from harness.testing import assert_promises

LENGTHS = (5, 1, 9, 3, 7, 2, 4, 6, 8, 5)
HAS_PYARROW = pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is large and no dependency of the tests")
DEFAULTS = {
    "target": "target", "per": "series", "series": "series", "channels": None, "header": True, "targets": None,
    "test_path": None, "test_targets": None, "test_share": 0.2, "window": None, "standardise": True,
}  # fmt: skip


def series(number: int) -> np.ndarray:
    """Two channels, which differ in scale."""
    random = Random(number)
    return np.array([[random.gauss(0, 1), random.gauss(100 * (number % 2), 10)] for _ in range(LENGTHS[number])])


ALL = [series(number) for number in range(10)]
CLASSES = [("up", "down")[number % 2] for number in range(10)]


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The same ten series in every format, with a class and a number."""
    monkeypatch.chdir(tmp_path)
    flat = {"values": np.concatenate(ALL), "lengths": [len(one) for one in ALL]}
    padded = np.zeros((10, 9, 2))
    for row, one in enumerate(ALL):
        padded[row, : len(one)] = one
    np.savez("flat.npz", targets=CLASSES, **flat)
    np.savez("numbers.npz", targets=[one[:, 0].sum() for one in ALL], **flat)
    np.savez("padded.npz", values=padded, lengths=flat["lengths"], targets=CLASSES)
    Path("one").mkdir()
    rows, steps = ["series,a,b,target,sum,odd"], 0
    for number, one in enumerate(ALL):
        lines = [f"{a!r},{b!r}" for a, b in one.tolist()]
        Path("one", f"{number}.csv").write_text("\n".join(["a,b,target", *(f"{x},{CLASSES[number]}" for x in lines)]))
        for step, line in enumerate(lines):
            odd = "" if step == 0 and len(one) > 1 else steps % 2
            rows.append(f"s{number},{line},{CLASSES[number]},{float(one[:, 0].sum())!r},{odd}")
            steps += 1
    Path("long.csv").write_text("\n".join(rows) + "\n")
    Path("bare").mkdir()
    for number, one in enumerate(ALL):
        Path("bare", f"{number}.csv").write_text("\n".join(f"{a!r},{b!r}" for a, b in one.tolist()))
    targets = [f"{number}.csv,{name}" for number, name in enumerate(CLASSES)]
    Path("targets.csv").write_text("\n".join(["file,target", *targets]))
    ts = [":".join(",".join(map(repr, channel)) for channel in one.T.tolist()) for one in ALL]
    Path("all.ts").write_text(
        "\n".join(["#a", "@problemName x", "@classLabel true down up", "@data"])
        + "\n"
        + "".join(f"{line}:{name}\n" for line, name in zip(ts, CLASSES, strict=True))
    )
    return tmp_path


FORMATS = {
    "npz": {"path": "flat.npz"},
    "padded": {"path": "padded.npz"},
    "folder": {"path": "one"},
    "folder and targets": {"path": "bare", "targets": "targets.csv", "header": False},
    "csv": {"path": "long.csv", "channels": ["a", "b"]},
    "ts": {"path": "all.ts"},
}


@pytest.mark.parametrize("options", FORMATS.values(), ids=FORMATS)
def test_every_format_gives_the_same_series(here, options):
    data = class_series(**options, standardise=False)
    assert (data.facts.features, data.facts.classes, data.facts.task) == (2, 2, "class")
    assert (len(data.train), len(data.test)) == (8, 2)
    known = {tuple(torch.tensor(one, dtype=torch.float32)[0].tolist()): number for number, one in enumerate(ALL)}
    for example in (*data.train, *data.test):
        number = known.pop(tuple(example.tokens[0].tolist()))
        assert torch.equal(example.tokens, torch.tensor(ALL[number], dtype=torch.float32))
        assert ("down", "up")[example.label] == CLASSES[number]
    assert not known
    assert {example.label for example in data.test} == {0, 1}, "each class is in both sets"


@HAS_PYARROW
def test_parquet_has_a_row_for_each_step_or_each_series(here):
    import pyarrow
    import pyarrow.parquet

    names = [f"s{number}" for number, one in enumerate(ALL) for _ in one]
    steps = np.concatenate(ALL)
    classes = [name for name, one in zip(CLASSES, ALL, strict=True) for _ in one]
    table = {"series": names, "a": steps[:, 0], "b": steps[:, 1], "target": classes}
    pyarrow.parquet.write_table(pyarrow.table(table), "long.parquet")
    nested = {"a": [one[:, 0].tolist() for one in ALL], "b": [one[:, 1].tolist() for one in ALL], "target": CLASSES}
    pyarrow.parquet.write_table(pyarrow.table(nested), "nested.parquet")
    expected = [example.tokens for example in class_series(path="flat.npz").train]
    for path in ("long.parquet", "nested.parquet"):
        assert all(map(torch.equal, expected, [example.tokens for example in class_series(path=path).train]))


def test_parquet_without_pyarrow_says_what_to_install(here, monkeypatch):
    Path("some.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr("harness_rnn.datasets.series_files.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"some.parquet: Parquet files need pyarrow; install it: pip install"):
        class_series(path="some.parquet")


def test_arrays_of_objects_are_refused_with_the_safe_layout(here):
    ragged = np.empty(10, dtype=object)
    ragged[:] = ALL
    np.savez("objects.npz", values=ragged, targets=CLASSES)
    with pytest.raises(ValueError, match=r"objects.npz: the array values holds Python objects.*np.savez\(path, values"):
        class_series(path="objects.npz")
    np.save("objects.npy", ragged)
    np.save("targets.npy", CLASSES)
    with pytest.raises(ValueError, match=r"objects.npy: the array values holds Python objects"):
        class_series(path="objects.npy", targets="targets.npy")
    np.save("equal.npy", np.zeros((10, 4)))
    assert class_series(path="equal.npy", targets="targets.npy").train[0].tokens.shape == (4, 1)


def test_channels_and_numbers_are_standardised_by_the_training_set(here):
    data = number_series(path="numbers.npz")
    steps = torch.cat([example.tokens for example in data.train]).double()
    assert torch.allclose(steps.mean(0), torch.zeros(2).double(), atol=1e-6)
    assert torch.allclose(steps.std(0, correction=0), torch.ones(2).double(), atol=1e-6)
    labels = torch.tensor([example.label for example in data.train])
    assert abs(float(labels.mean())) < 1e-6
    plain = number_series(path="numbers.npz", standardise=False)
    numbers = torch.tensor([example.label for example in plain.train])
    batches = [collate(list(one.test)) for one in (data, plain)]
    off = batches[1].labels + 2.0  # every prediction is too large by 2, in the unit of the file
    scaled = (off - numbers.mean()) / numbers.std(correction=0)
    assert data.scores["mae"](scaled[:, None], batches[0]).tolist() == pytest.approx([2.0, 2.0], rel=1e-5)
    rmse, r2 = data.scores["rmse"], data.scores["r2"]
    assert rmse.score(*rmse.values(scaled[:, None], batches[0])) == pytest.approx(2.0, rel=1e-5)
    exact = r2.values(batches[0].labels[:, None], batches[0])
    assert r2.score(*exact) == 1.0
    mean = torch.full_like(batches[0].labels, float(batches[0].labels.mean()))
    assert r2.score(*r2.values(mean[:, None], batches[0])) == pytest.approx(0.0, abs=1e-6)
    assert math.isnan(r2.score(torch.ones(3), torch.ones(3)))


def test_each_step_may_have_a_class_or_a_number_and_some_may_have_none(here):
    options = {"path": "long.csv", "target": "odd", "per": "step", "channels": ["a", "b"]}
    data = class_series(**options)
    batch = collate(list(data.train))
    assert (data.facts.task, batch.labels.dtype, batch.labels.shape) == ("steps", torch.int64, batch.tokens.shape[:2])
    assert all(row[0] == NO_LABEL for row, length in zip(batch.labels, batch.lengths, strict=True) if length > 1)
    valid = torch.arange(batch.labels.shape[1]) < batch.lengths[:, None]
    assert bool((batch.labels[~valid] == NO_LABEL).all())
    right = torch.nn.functional.one_hot(batch.labels.clamp(0), 2).float()
    assert data.scores["accuracy"](right, batch).min() == 1
    assert data.criterion(right * 100, batch).max() < 1e-3
    data = number_series(**options)
    batch = collate(list(data.train))
    assert (data.facts.task, batch.labels.dtype) == ("step_values", torch.float32)
    assert bool((batch.labels[~valid] == NO_NUMBER).all())
    assert data.scores["mae"](batch.labels[..., None], batch).max() == 0
    answer = data.constant(data.train)(batch)
    assert answer.shape == (*batch.labels.shape, 1)
    assert abs(float(answer[0, 0, 0])) < 1e-6, "the mean of standardised numbers"


def test_a_long_series_is_cut_into_windows_and_tested_at_its_end(here):
    rows = "\n".join(f"{step},{step % 3},{step}" for step in range(100))
    Path("one_long.csv").write_text("time,a,target\n" + rows)
    data = number_series(path="one_long.csv", per="step", window=8, channels=["a", "time"], standardise=False)
    assert [len(example.tokens) for example in (*data.train, *data.test)] == [8] * 12 + [4]
    assert (len(data.train), not data.exchangeable) == (10, True)
    assert data.test[-1].label.tolist() == [96, 97, 98, 99]
    with pytest.raises(ValueError, match="no column 'series' with the name of the series of each row"):
        number_series(path="one_long.csv", per="step")


def test_the_pair_of_an_archive_is_its_own_split(here):
    text = Path("all.ts").read_text()
    Path("X").mkdir()
    Path("X", "X_TRAIN.ts").write_text(text)
    Path("X", "X_TEST.ts").write_text(text)
    data = class_series(path="X")
    assert (len(data.train), len(data.test), data.exchangeable) == (10, 10, False)
    Path("X", "X_eq_TRAIN.ts").write_text("@data\n1:up\n")
    assert len(class_series(path="X").train) == 10, "the pair with the name of the folder"
    Path("X").rename("Y")
    with pytest.raises(ValueError, match=r"Y has 2 files \*_TRAIN.ts; set path and test_path to the files"):
        class_series(path="Y")
    Path("reg.ts").write_text("@targetlabel true\n@data\n1,2,3:0.5\n4,5:1.5\n6:2.5\n7:3.5\n")
    data = number_series(path="reg.ts", test_share=0.5, standardise=False)
    assert sorted(example.label for example in (*data.train, *data.test)) == [0.5, 1.5, 2.5, 3.5]


MISTAKES = [
    ({"path": "nowhere"}, "nowhere does not exist"),
    ({"path": "targets.txt"}, "the suffix '.txt' is not known; expected .npz"),
    (
        {"path": "long.csv"},
        "long.csv: column 'odd' has '' in row 1 after the header; expected a number; leave it out with",
    ),
    ({"path": "long.csv", "target": "labels"}, "there is no column 'labels' with the target"),
    ({"path": "long.csv", "target": "odd", "channels": ["a"]}, "long.csv: series s0: its rows have the targets"),
    ({"path": "long.csv", "channels": ["c"]}, "there is no column 'c'"),
    ({"path": "bare", "header": False}, "set target to a column, or targets to a CSV file"),
    ({"path": "one", "targets": "few.csv"}, "few.csv has no row for the file 1.csv"),
    ({"path": "flat.npz", "targets": "few.csv"}, "only a .npy file or a folder of CSV files has its targets elsewhere"),
    ({"path": "flat.npz", "per": "step"}, "flat.npz: series 0: 1 targets for 5 steps; set per: series"),
    ({"path": "nan.npz"}, "nan.npz: series 1: the value of step 0, channel 0 is nan; fill missing values before"),
    ({"path": "shape.npz"}, r"shape.npz: targets is \(4,\); expected \(3,\), or \(3, 2\) for a target of each step"),
    ({"path": "names.npz"}, r"names.npz has no array 'values' \(did you mean value\?\)"),
    ({"path": "text.ts"}, "text.ts:2: could not convert string to float: '\\?'; fill missing values"),
    ({"path": "stamped.ts"}, "stamped.ts:1: series with time stamps cannot be read"),
    ({"path": "flat.npz", "window": 0}, "window = 0: it must be at least 1"),
    ({"path": "flat.npz", "test_share": 1.0}, "test_share = 1.0: it must be between 0 and 1"),
    (
        {"path": "flat.npz", "test_path": "other.npz"},
        "other.npz: series 0: the class 'side' is not in the training set",
    ),
    ({"path": "wide.csv"}, "wide.csv:3: 3 columns, but the first row has 2"),
]


@pytest.mark.parametrize(("options", "says"), MISTAKES)
def test_a_mistake_is_named_with_its_place(here, options, says):
    Path("targets.txt").write_text("1")
    Path("few.csv").write_text("file,target\n0.csv,up\n")
    Path("wide.csv").write_text("a,target\n1,up\n1,2,up\n")
    Path("text.ts").write_text("@data\n?,1:up\n")
    Path("stamped.ts").write_text("@timestamps true\n@data\n")
    np.savez("nan.npz", values=[[1.0], [np.nan]], targets=["up", "down"])
    np.savez("shape.npz", values=np.zeros((3, 2)), targets=["up"] * 4)
    np.savez("names.npz", value=np.zeros((3, 2)), targets=["up"] * 3)
    np.savez("other.npz", values=np.zeros((2, 2, 2)), targets=["side", "up"])
    with pytest.raises(ValueError, match=says):
        class_series(**options)


def test_text_is_no_number_and_equal_numbers_cannot_be_explained(here):
    with pytest.raises(ValueError, match="the target is 'up'; expected a finite number"):
        number_series(path="flat.npz")
    np.savez("equal.npz", values=np.zeros((9, 2)), targets=np.ones(9))
    with pytest.raises(ValueError, match=r"all targets of the training set are equal \(1.0\)"):
        number_series(path="equal.npz")


@pytest.mark.parametrize(("name", "target"), [("class_series", "target"), ("number_series", "sum")])
@pytest.mark.parametrize("per", ["series", "step"])
def test_a_net_can_be_trained_and_the_fingerprint_follows_the_content(here, name, target, per):
    catalog = Catalog(load_plugins())
    options = {"path": "long.csv", "channels": ["a", "b"], "target": target, "per": per}
    base = {"model": {"name": "lstm", "hidden_size": 8}, "dataset": {"name": name, "batch_size": 4, **options}}
    assert_promises({**base, "use": ["adam"]}, {"model": "scratch_lstm"}, catalog=catalog)
    build, fingerprint = {
        "class_series": (class_series, class_series_fingerprint),
        "number_series": (number_series, number_series_fingerprint),
    }[name]
    before = fingerprint(**{**DEFAULTS, **options})
    assert fingerprint(**{**DEFAULTS, **options}) == before
    text = Path("long.csv").read_text()
    Path("long.csv").write_text(text.replace(".1", ".2"))
    assert fingerprint(**{**DEFAULTS, **options}) != before
    declared = catalog.find(Dataset, name).part.scores
    required = {score for score, one in declared.items() if not one.optional}
    assert required <= set(build(**options).scores) <= set(declared) | {"step_accuracy"}


def test_the_two_datasets_take_the_same_parameters():
    from inspect import signature

    assert signature(class_series).parameters == signature(number_series).parameters
    assert {name: one.default for name, one in signature(class_series).parameters.items() if name != "path"} == DEFAULTS


def test_a_mistake_is_a_sentence_of_the_plan(here):
    base = {"model": "lstm", "dataset": {"name": "class_series", "path": "nowhere.csv"}}
    with pytest.raises(UserError, match=r"class_series.*nowhere.csv does not exist"):
        assert_promises({**base, "use": ["adam"]}, {"model": "gru"}, catalog=Catalog(load_plugins()))
