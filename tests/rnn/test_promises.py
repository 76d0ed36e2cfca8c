"""Promises of sequence models: a faulty model breaks each promise, and all parts of this package keep them."""

from __future__ import annotations

import sys
from inspect import signature
from pathlib import Path

import pytest
import torch

from harness.plugins.catalog import KINDS, Catalog
from harness.plugins.manager import load_plugins
from harness.plugins.parts import Promise
from harness.testing import cases

FILE = Path(__file__).parents[1] / "sequence_faults.py"
sys.path.insert(0, str(FILE.parent))

import sequence_faults  # noqa: E402

#: One for all tests, because results from fresh processes are cached by catalog.
CATALOG = Catalog(load_plugins())
#: A small dataset for the other parts, and whatever else some parts need.
LENGTHS = {"name": "lengths", "mean": 15, "examples": 256}
USING = {"identity_rnn": [LENGTHS, {"name": "rnn", "nonlinearity": "relu"}]}
#: Promises that need a fresh process for each part. They are tested in the slow test.
SLOW = {"same-in-every-process", "rebuilds"}
OURS = [
    (kind.kind, name)
    for kind in KINDS
    if kind is not Promise
    for name, entry in CATALOG.entries(kind).items()
    if entry.plugin == "rnn-harness-plugins"
]
EACH_PART = pytest.mark.parametrize(("kind", "name"), OURS, ids=[name for _, name in OURS])


@pytest.fixture(scope="module")
def catalog():
    return Catalog(load_plugins([FILE]))


@pytest.mark.parametrize("promise", sequence_faults.FAULTS)
def test_each_fault_is_found(catalog, promise):
    model, words = sequence_faults.FAULTS[promise]
    (case,) = cases(model, catalog=catalog, only=[promise], using=[LENGTHS])
    result = case.run()
    assert result.outcome == "failed", result
    assert words in result.found


def test_every_promise_of_ours_has_its_fault(catalog):
    ours = {name for name, entry in catalog.entries(Promise).items() if entry.plugin == "rnn-harness-plugins"}
    assert ours == sequence_faults.FAULTS.keys()


@EACH_PART
def test_our_parts_keep_their_promises(kind, name):
    if name == "compile" and "isolate_recompiles" not in signature(torch.compile).parameters:
        pytest.skip("in this torch, all instances in a process share eight programs, and the kit builds more")
    found = cases(name, using=USING.get(name, [LENGTHS] if kind != "dataset" else []), catalog=CATALOG)
    results = {case.promise.name: case.run() for case in found if case.promise.name not in SLOW}
    assert not {promise: one.found for promise, one in results.items() if one.outcome == "failed"}
    passed = [one for one in results.values() if one.outcome == "passed"]
    only_for_scripts = name == "compile_model" and "needs forward" in str(results)
    assert len(passed) == len(results) or "names no file" in str(results) or only_for_scripts


@pytest.mark.slow
@EACH_PART
def test_our_parts_keep_the_slow_promises(kind, name):
    for case in cases(name, only=SLOW, using=USING.get(name, []), catalog=CATALOG):
        result = case.run()
        assert result.outcome != "failed", result.found
