"""The example of every part can be planned, unless it needs a file of the user; then it says so."""

from __future__ import annotations

import pytest

from harness.cli.describe import describe_entry
from harness.plan.examples import complaint
from harness.plugins.catalog import KINDS, Catalog
from harness.plugins.kinds import MeasureKind
from harness.plugins.manager import load_plugins
from harness.plugins.parts import Dataset, Model, Optimization

CATALOG = Catalog(load_plugins())
PARTS = [(kind, name) for kind in KINDS for name in CATALOG.entries(kind)]


@pytest.mark.parametrize(("kind", "name"), PARTS, ids=[f"{kind.kind}-{name}" for kind, name in PARTS])
def test_example_plans(kind, name):
    row = describe_entry(CATALOG, CATALOG.entries(kind)[name])
    example = row["example"]
    if "forward" in CATALOG.entries(kind)[name].part.needs:  # only training scripts offer it, which are no parts
        assert "needs forward" in example["note"]
        return
    if kind not in (Model, Dataset, Optimization, MeasureKind) and example["kind"] == "command":
        assert name in example["text"] or "--as csv" in example["text"]
    elif example["plans"]:
        assert complaint(CATALOG, example["text"]) == ""
        assert name in example["text"]
    else:
        assert "path" in [parameter["name"] for parameter in row["parameters"]], example["note"]
        assert "path" in example["text"].splitlines()[0], "it says that a file is missing"


def test_describe_names_the_parts_that_offer_a_needed_feature():
    row = describe_entry(CATALOG, CATALOG.entries(Optimization)["pack"])
    assert row["offered_by"] == {"packable": {"model": ["rnn", "lstm", "gru"]}}


def test_the_example_uses_a_model_that_the_part_can_be_combined_with():
    row = describe_entry(CATALOG, CATALOG.entries(Optimization)["identity_rnn"])
    assert "  model: {name: rnn, nonlinearity: relu}" in row["example"]["text"]
