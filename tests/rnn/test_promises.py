"""The promises of sequence models, each broken by a model made to break it; and all that we bring keeps its own."""

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


@pytest.fixture(scope="module")
def catalog():
    return Catalog(load_plugins([FILE]))


@pytest.mark.parametrize("promise", sequence_faults.FAULTS)
def test_each_fault_is_caught(catalog, promise):
    model, words = sequence_faults.FAULTS[promise]
    (case,) = cases(model, catalog=catalog, only=[promise], using=["lengths"])
    seen = case.look()
    assert seen.outcome == "broken", seen
    assert words in seen.what


def test_every_promise_of_ours_has_its_fault(catalog):
    ours = {name for name, entry in catalog.entries(Promise).items() if entry.plugin == "rnn-harness-plugins"}
    assert ours == sequence_faults.FAULTS.keys()


#: What parts need that have nothing to go with by themselves.
USING = {"identity_rnn": [{"name": "rnn", "nonlinearity": "relu"}]}
#: Promises that take a process of their own, or that a model of every size is held to: once for each kind of part here.
DEAR = {"same-everywhere", "rebuilds"}
OURS = [
    (kind.kind, name)
    for kind in KINDS
    if kind is not Promise
    for name, entry in Catalog(load_plugins()).entries(kind).items()
    if entry.plugin == "rnn-harness-plugins"
]


@pytest.mark.parametrize(("kind", "name"), OURS, ids=[name for _, name in OURS])
def test_ours_keep_theirs(kind, name):
    if name == "compile" and "isolate_recompiles" not in signature(torch.compile).parameters:
        pytest.skip("this torch keeps eight programs for all instances of a process together, and the kit builds more")
    found = cases(name, using=USING.get(name, ["lengths"] if kind != "dataset" else []))
    seen = {case.promise.name: case.look() for case in found if case.promise.name not in DEAR}
    assert not {promise: one.what for promise, one in seen.items() if one.outcome == "broken"}
    told = [one for one in seen.values() if one.outcome == "kept"]
    assert len(told) == len(seen) or "its data are not here" in str(seen)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), OURS, ids=[name for _, name in OURS])
def test_ours_keep_the_dear_ones(kind, name):
    for case in cases(name, only=DEAR, using=USING.get(name, [])):
        assert case.look().outcome != "broken", case.look().what
