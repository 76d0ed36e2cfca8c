"""Mistakes against the contract of sequences: each is one sentence, with what was found and what was expected."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from harness_rnn.contract import SequenceExample, SequenceFacts, Sequences, collate, sequence_data

from harness.errors import UserError, UserErrors
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.suite.loader import load_suite
from harness.testing import cases

FLOATS = [torch.full((length, 3), float(length)) for length in (4, 2, 5, 3)]
NUMBERS = SequenceFacts(vocabulary=0, classes=1, features=3, task="value")


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"task": "number"}, r"task = 'number'; expected one of 'class', 'value', 'steps', 'step_values'"),
        (
            {"classes": 2, "task": "value"},
            "classes = 2, task = 'value'; expected classes = 1, since labels are numbers",
        ),
        ({"classes": 0}, "classes = 0, task = 'class'; expected at least one class"),
        ({"classes": 2.0}, "classes = 2.0 of type float; expected an int"),
        ({"vocabulary": 0}, r"vocabulary = 0 and features = 0; features \(L, F\) need features = F"),
    ],
)
def test_facts_that_contradict_each_other_are_refused(facts, says):
    with pytest.raises(UserError, match=f"^SequenceFacts has {says}"):
        SequenceFacts(**{"vocabulary": 9, "classes": 1, **facts})


def data(train, facts=NUMBERS):
    return sequence_data(train, list(train)[:1], facts)


@pytest.mark.parametrize(
    ("tokens", "label", "facts", "says"),
    [
        (FLOATS[0].double(), 1.0, NUMBERS, r"features \(4, 3\) float64; expected \(steps, 3\) float32; convert them with"),
        (FLOATS[0], 1.0, SequenceFacts(9, 1, task="value"), r"tokens \(4, 3\) float32; expected \(steps,\) int64; for feat"),
        (FLOATS[0], 1, NUMBERS, "the label 1 of type int; expected a float"),
        (FLOATS[0], 0.5, SequenceFacts(0, 2, 3), "the label 0.5 of type float; expected a class as int, since task='class'"),
        (FLOATS[0], torch.tensor(1), SequenceFacts(0, 2, 3), r"expected a class as int: write 1, as .item\(\) returns it"),
        (FLOATS[0], torch.zeros(4), NUMBERS, "expected a float, since task='value'; for a label of each step, set task="),
        (
            FLOATS[0], torch.zeros(4).double(), SequenceFacts(0, 1, 3, "step_values"),
            r"labels \(4,\) float64; expected a tensor \(4,\) float32 with a number for each step",
        ),
        (FLOATS[0], torch.zeros(3), SequenceFacts(0, 1, 3, "step_values"), "3 labels for 4 steps"),
        (
            FLOATS[0], torch.tensor([1.0, torch.nan, 0, 0]), SequenceFacts(0, 1, 3, "step_values"),
            "the label nan, which is not finite; write NO_NUMBER for none",
        ),
    ],
)  # fmt: skip
def test_an_example_of_another_form_is_named_with_what_was_found(tokens, label, facts, says):
    with pytest.raises(UserError, match=f"^train example 0 .*{says}"):
        data([SequenceExample(0, tokens, label)], facts)


def test_arrays_of_numpy_become_tensors_of_the_contract():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        arrays = [one.double().numpy() for one in FLOATS]
        for one in arrays:
            one.flags.writeable = False  # pandas gives such arrays
        batch = collate(list(data(Sequences(arrays, np.array([0.5, 1.5, 2.5, 3.5]))).train))
        assert (batch.tokens.dtype, batch.labels.dtype) == (torch.float32, torch.float32)
        assert torch.equal(batch.tokens[0, :4], FLOATS[0])
        assert batch.labels.tolist() == [0.5, 1.5, 2.5, 3.5]
        sums = [np.float64(one.sum()) for one in FLOATS]
        assert collate(list(data(Sequences(FLOATS, sums)).train)).labels.dtype == torch.float32
        ids = Sequences([np.array([2, 3], dtype=np.int32)], np.array([1]))
        batch = collate(list(data(ids, SequenceFacts(9, 2)).train))
        assert (batch.tokens.dtype, batch.labels.dtype) == (torch.int64, torch.int64)
        steps = Sequences(arrays, [np.arange(len(one)) / 7 for one in arrays])
        assert collate(list(data(steps, SequenceFacts(0, 1, 3, "step_values")).train)).labels.dtype == torch.float32


PLUGIN = """
import torch, harness
from harness_rnn.contract import SequenceExample, SequenceFacts, Sequences, sequence_data

def mine(*, form: str = "fine", path: harness.FilePath = "here.txt") -> harness.Data:
    "Numbers that grow."
    lengths = [3, 5, 2, 4] * 6
    values = [torch.arange(3.0 * length).view(length, 3) / 9 for length in lengths]
    labels = [0.1 * length for length in lengths]
    train, test = Sequences(values, labels), Sequences(values[:8], labels[:8], len(values))
    if form == "float64":
        train = [SequenceExample(n, one.double(), label) for n, (one, label) in enumerate(zip(values, labels))]
    score = (lambda predictions, batch: predictions - batch.labels) if form == "table" else (
        lambda predictions, batch: (predictions[:, 0] - batch.labels).abs())
    facts = SequenceFacts(0, 1, features=3, task="value")
    return sequence_data(train, test, facts, scores={"off": score})

def fingerprint(*, form, path):
    return form

@harness.hookimpl
def provide_datasets():
    scores = {"off": harness.Score("lower", "ratio")}
    yield harness.Dataset("mine_of_numbers", mine, "numbers", fingerprint=fingerprint, scores=scores)
"""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    file = tmp_path_factory.mktemp("mistakes") / "numbers_plugin.py"
    file.write_text(PLUGIN)
    return Catalog(load_plugins([file]))


def results(catalog, **parameters):
    found = cases({"name": "mine_of_numbers", **parameters}, catalog=catalog)
    return {case.promise.name: case.run() for case in found}


def test_one_float64_breaks_one_promise(catalog, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("here.txt").touch()
    assert {one.outcome for one in results(catalog).values()} == {"passed", "untested"}
    found = results(catalog, form="float64")
    failed = [one.found for one in found.values() if one.outcome == "failed"]
    assert len(failed) == 1
    assert "train example 0 has features (3, 3) float64; expected (steps, 3) float32" in failed[0]
    others = [one.found for name, one in found.items() if one.outcome == "untested" and name != "torch-free-plugin"]
    assert len(others) > 3
    assert set(others) == {"it cannot be planned or built; the first promise that failed says why"}


def test_data_that_are_not_here_are_told_from_wrong_data(catalog, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = results(catalog, form="float64")
    assert "here.txt, which the parameter path names, is not here." in found["batches"].found
    assert "float64" in found["batches"].found, "the reason is given, too"
    Path("here.txt").touch()
    assert "is not here" not in str(results(catalog, form="float64"))


def test_a_score_of_another_shape_is_named_with_its_shape(catalog, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("here.txt").touch()
    found = results(catalog, form="table")["scores"]
    assert found.found == (
        "score off is (8, 8) float32 from predictions (8, 1): expected a tensor (n,) of floating-point values"
    )


def test_a_missing_file_is_the_only_mistake_of_a_suite_with_claims(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text(
        "question: q?\n"
        "base: {model: lstm, dataset: {name: class_series, path: nowhere.npz}, use: [adam]}\n"
        "axes: {model: {lstm: {}, gru: {model: gru}}}\n"
        "compare: {axis: model, baseline: lstm}\n"
        "measure: {learning: {metric: accuracy, seeds: 5, steps: 5}}\n"
        "claims: [{says: better, level: gru, metric: accuracy, expect: better}]\n"
    )
    catalog = Catalog(load_plugins())
    with pytest.raises(UserErrors) as caught:
        make_plan(load_suite(Path("own.yaml"), catalog), catalog)
    assert [str(error) for error in caught.value.errors] == [
        "own.yaml:2:37: dataset class_series (plugin rnn-harness-plugins): nowhere.npz does not exist."
    ]
