"""Levels.

A level is measured as its author built it, and its seed sets all of its random numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tried import block_of, tried

from harness.measure.kinds.learning import built_under
from harness.measure.runtime.builder import TrialBuilder
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins

TESTS = Path(__file__).parent.parent
CATALOG = Catalog(load_plugins([TESTS / "toy.py", TESTS / "paired_parts.py", TESTS / "odd_models.py"]))
BASE = {"model": "linear", "dataset": {"name": "cloud", "batch_size": 8}, "use": ["descent"]}
LEARNING = {"learning": {"seeds": 1, "steps": 3, "evaluations": 1}}
SPEED = {"speed": {"warm_up": "1 ms", "seconds": "2 ms", "batches": 2}}


def found(model: Any, measure: dict = LEARNING) -> dict[str, Any]:
    """The data of a level with this model."""
    return tried(CATALOG, BASE, {"level": {"model": model}}, measure)["level"]


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_a_model_keeps_its_precision(dtype):
    """A model in bfloat16 or float64 is measured in it.

    The inputs are cast to the same dtype. The labels of held-out scores are not, so that no score is rounded.
    """
    data = found({"name": "typed", "dtype": dtype}, {"memory": {"of": "train"}, **SPEED, **LEARNING})
    assert "failed" not in data
    parameters, size = data["memory"]["parameters"], getattr(torch, dtype).itemsize
    assert data["memory"]["parameter_bytes"] == parameters * size


def test_a_model_may_mix_precisions():
    """A model may mix precisions, with its own conversions.

    Its inputs stay as the dataset gives them, unless it has an attribute `dtype`.
    """
    assert [found(model).get("failed") for model in ("mixed", "says")] == [None, None]


def test_complex_parameters_stay_complex():
    """Complex parameters stay complex, and are verified in complex128."""
    data = found("complex_linear")
    assert "failed" not in data
    assert data["learning"]["gradient_norm"][0] > 0


@pytest.mark.parametrize("model", [{"bias": 50.0}, {"scale": 4.0}, {"spread": 5.0}, {"tied": True}])
def test_values_of_a_constructor_are_kept(model):
    """Weights, biases, embeddings, buffers and ties that a constructor sets are kept.

    The baseline's weights are copied only into a level that promises the same function of the same weights.
    """
    data = tried(CATALOG, {**BASE, "model": "table"}, {"level": {"model": model}}, LEARNING)
    assert data["level"]["learning"]["shared"]
    assert data["level"]["learning"]["scores"] != data["base"]["learning"]["scores"]


@pytest.mark.parametrize("by", ["numpy", "python"])
def test_every_shared_generator_has_the_seed_of_the_run(by):
    """Weights and noise may come from NumPy's or Python's generator.

    Each seed draws other numbers, and the same numbers in every run. A checkpoint stores the states of the generators.
    """
    first, second = (found({"name": "drawn", "by": by})["learning"]["scores"] for _ in range(2))
    assert first == second


@pytest.mark.parametrize("by", ["own", "system"])
def test_a_generator_without_a_seed_is_refused(by):
    """A model that draws from a generator without a seed is refused before it trains.

    The message names the weights. Step times do not depend on them, so a suite that measures only speed accepts it.
    """
    assert (
        "two builds under one seed have different values of layers.0.weight"
        in found({"name": "drawn", "by": by})["failed"]
    )
    assert "failed" not in found({"name": "drawn", "by": by}, SPEED)


@pytest.mark.parametrize("by", ["seeds_numpy", "seeds_torch"])
def test_a_model_that_sets_a_seed_is_refused(by):
    """A model that calls `torch.manual_seed` or `numpy.random.seed` is refused in a run over seeds.

    All its runs would begin with the same weights.
    """
    assert "building it sets the seed of" in found({"name": "drawn", "by": by})["failed"]


def test_extra_state_may_be_anything():
    """The extra state of a module may hold arrays and numbers."""
    data = found("counting", {**SPEED, **LEARNING})
    assert "failed" not in data


def test_a_model_that_does_not_train_is_refused():
    """A model whose parameters get no gradient is refused if a suite trains it.

    Layers that are quantized to int8 are an example. Their predictions can be timed.
    """
    assert "so it does not train" in found("detached")["failed"]
    assert "failed" not in found("detached", {"speed": {**SPEED["speed"], "of": "inference"}})


def test_a_model_may_compute_only_in_float32():
    """A model that can compute only in float32 is verified in float32."""
    assert "failed" not in tried(CATALOG, {**BASE, "model": "single"}, {"level": {"use": ["reverse"]}})["level"]


def test_each_seed_has_its_own_weights():
    """Runs under different seeds begin with different weights, whoever draws them."""
    builder = TrialBuilder(CATALOG)
    block = block_of(builder.catalog, BASE, {"level": {"model": {"name": "drawn", "by": "numpy"}}}, LEARNING)
    one, other = (built_under(block, "level", seed, builder).model.layers[0].weight for seed in (0, 1))
    assert not torch.equal(one, other)
