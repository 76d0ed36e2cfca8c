"""Experiments from a LightningModule and from a Trainer of transformers. Nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins

FILE = Path(__file__).with_name("trainer_scripts.py")
MEASURE = {
    "speed": {"of": ["train", "inference"], "warm_up": "1 ms", "seconds": "1 ms", "batches": 2},
    "memory": {"of": "train"},
}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog(load_plugins())


def worked(catalog: Catalog, name: str, level: dict[str, Any], metric: str) -> dict[str, Any]:
    from tried import works

    base = {"experiment": f"{FILE}:{name}"}
    measure = {**MEASURE, "learning": {"seeds": 2, "steps": 6, "evaluations": 2, "metric": metric}}
    return works(catalog, base, {"wide": {"experiment": level}, "same": {"use": ["deterministic"]}}, measure)


def test_lightning(catalog):
    pytest.importorskip("pytorch_lightning", reason="needs pytorch-lightning, as the extra lightning installs it")
    found = worked(catalog, "lightning", {"hidden": 32}, "val_acc")
    learned = found["base"]["learning"]
    assert learned["train"] == 64
    assert 0 <= learned["scores"]["val_acc"][-1] <= 1
    assert learned["learning_rate"][1] == pytest.approx(0.009)
    assert learned == {**found["same"]["learning"], "elapsed": learned["elapsed"]}


def test_scheduler_of_epochs(catalog):
    pytest.importorskip("pytorch_lightning", reason="needs pytorch-lightning, as the extra lightning installs it")
    from tried import works

    measure = {"learning": {"seeds": 1, "steps": 10, "evaluations": 1}}
    found = works(catalog, {"experiment": {"from": f"{FILE}:lightning", "schedule": "epoch"}}, None, measure)
    assert found["base"]["learning"]["learning_rate"] == pytest.approx([0.01] * 8 + [0.009] * 2)


def test_trainer(catalog):
    pytest.importorskip("transformers", reason="needs transformers, as the extra transformers installs it")
    pytest.importorskip("datasets", reason="needs datasets, as the extra transformers installs it")
    found = worked(catalog, "trainer", {"smoothing": 0.1}, "accuracy")
    learned = found["base"]["learning"]
    assert learned["train"] == 64
    assert 0 <= learned["scores"]["accuracy"][-1] <= 1
    assert learned["learning_rate"] == pytest.approx([1e-3 * (6 - step) / 6 for step in range(6)])
    assert found["wide"]["learning"]["own_objective"]
