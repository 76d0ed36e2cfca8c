"""Models.

A model is any torch.nn.Module with the methods `loss`, `predict` and `observe`. harness moves it to a device, and
leaves its weights, dtypes, hooks and buffers as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from everyday_models import H
from tried import EVERYTHING, LITTLE, OTHERS, SPEED, block_of, tried, works

from harness.measure.runtime.builder import TrialBuilder
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.testing import cases

TESTS = Path(__file__).parents[1]
DATASET = {"name": "lengths", "mean": 8, "examples": 64, "batch_size": 8}
SEGMENT = {"name": "segment", "overhead": 5}
HEALTH = {**LITTLE, "health": OTHERS["health"]}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """The installed plugins, and the models that people have."""
    loaded = load_plugins([TESTS / "everyday_models.py", TESTS / "compiled_models.py"])
    assert not loaded.problems
    return Catalog(loaded)


def base(model: Any, use: tuple[str, ...] = ("adam",), **dataset: Any) -> dict[str, Any]:
    return {"model": model, "dataset": {**DATASET, **dataset}, "use": [*use]}


def using(*names: Any) -> dict[str, Any]:
    """A level for each optimization."""
    return {name if isinstance(name, str) else name["name"]: {"use": [name]} for name in names}


@pytest.mark.parametrize("model", ["batch_norm", "sync_batch_norm", "layer_norm", "group_norm"])
def test_normalization(catalog, model):
    """Batch, layer and group normalization before the head work.

    Verification uses a batch of one example only if the run trains on one. Bucketing is compared on equal batches:
    which examples share the statistics of a batch is part of its effect.
    """
    works(catalog, base(model), using("pack", "bucket", "from_scratch"))


def test_batch_of_one(catalog):
    """A last batch of one example, which batch normalization refuses, is an error of `harness check`.

    The message says that another batch size avoids it.
    """
    measure = {"learning": {"seeds": 1, "steps": 9, "evaluations": 1}}
    (reason,) = {data["failed"] for data in tried(catalog, base("batch_norm", examples=65), None, measure).values()}
    assert reason.startswith("failed: verifying a single example: ValueError: Expected more than 1 value per channel")
    works(catalog, base("batch_norm", examples=65), None, {"learning": {"seeds": 1, "steps": 8, "evaluations": 1}})


def test_running_statistics(catalog):
    """Batch normalization without running statistics is evaluated in batches of the training size.

    The report says that its predictions depend on the other examples of a batch.
    """
    found = works(catalog, base("no_running_statistics"))
    assert found["base"]["learning"]["batch_dependent"]
    assert "batch_dependent" not in works(catalog, base("batch_norm"))["base"]["learning"]


def test_sparse_embedding(catalog):
    """nn.Embedding(sparse=True) works with optimizers that accept sparse gradients, and so does clipping.

    Adam does not accept them, and the trial fails with torch's message.
    """
    levels = using("pack", "bucket", "clip", "tbptt", SEGMENT)
    found = works(
        catalog, base("sparse", ("sgd",)), {"dense": {"model": {"sparse": False}}, **levels}, {**LITTLE, **OTHERS}
    )
    assert found["base"]["learning"]["gradient_norm"] == pytest.approx(found["dense"]["learning"]["gradient_norm"])
    reason = tried(catalog, base("sparse"))["base"]["failed"]
    assert "Adam does not support sparse gradients, please consider SparseAdam instead" in reason


@pytest.mark.parametrize("shape", [{}, {"bidirectional": True, "num_layers": 2}])
def test_projected_state(catalog, shape):
    """nn.LSTM with `proj_size` works with packing, segments, windows, initialisers and statistics of gates.

    There is no scratch module with a projection, so `from_scratch` refuses it.
    """
    levels = using("pack", SEGMENT, "forget_bias", "orthogonal", *([] if shape else ["tbptt"]))
    found = works(catalog, base({"name": "projected", **shape}), levels, HEALTH)
    assert 0 < found["base"]["health"]["probes"]["forget_gate_mean"][0] < 1
    reason = tried(catalog, base({"name": "projected", **shape}), using("from_scratch"))["from_scratch"]["failed"]
    assert "the scratch modules have biases and no projection" in reason


def test_orthogonal_gates_of_a_projected_state(catalog):
    """The initialiser `orthogonal` draws the matrix (H, P) of each gate of a projected nn.LSTM on its own."""
    block = block_of(catalog, base("projected"), using("orthogonal"), LITTLE)
    weight = TrialBuilder(catalog).build(block.trial("orthogonal")).model.encoder.rnn.weight_hh_l0.detach()
    for gate in weight.split(H):
        assert torch.allclose(gate.T @ gate, torch.eye(gate.shape[1]), atol=1e-5)


def test_no_biases(catalog):
    """nn.LSTM without biases works; an initialiser of biases, which would do nothing, is refused."""
    works(catalog, base("no_bias"), using("pack", SEGMENT, "orthogonal"), HEALTH)
    found = tried(catalog, base("no_bias"), using("forget_bias", "from_scratch"))
    assert "the model has no parameters bias_ih_l0" in found["forget_bias"]["failed"]
    assert "the scratch modules have biases" in found["from_scratch"]["failed"]


@pytest.mark.parametrize("model", ["scripted_inside", "scripted_whole", "scripted_head", "scripted_dropout", "traced"])
def test_script(catalog, model):
    """Modules of torch.jit.script and torch.jit.trace work, as a part of the model or as the whole model.

    Dropout in a scripted module is switched off for verification, as it is in other modules.
    """
    with torch.jit.optimized_execution(False):  # which would compile anew for each length
        # Each build compiles the whole model again.
        measure = {"learning": LITTLE["learning"]} if model in ("scripted_inside", "scripted_whole") else EVERYTHING
        works(catalog, base(model), None, measure)


def test_script_of_the_same_model(catalog):
    """A scripted model can be compared with the same model in Python: both compute the same."""
    with torch.jit.optimized_execution(False):
        works(catalog, base("unscripted"), {"scripted": {"model": "scripted_inside"}})


def test_changed_methods_of_a_scripted_model(catalog):
    """An optimization that replaces a method of a scripted model is refused.

    The other compiled methods would go on calling the compiled one, without the change.
    """
    found = tried(catalog, base("scripted_whole"), using("pack", "dropout"))
    assert "pack replaces model.core, but the model is scripted (torch.jit.script)" in found["pack"]["failed"]
    assert "dropout cannot be added to a scripted model" in found["dropout"]["failed"]


@pytest.mark.parametrize("model", ["compiled_head", "compiled_whole", "graph_module"])
def test_compiled_submodules(catalog, model):
    """Submodules compiled by torch.compile and graph modules of torch.fx work."""
    works(catalog, base(model), using("bucket"))


@pytest.mark.parametrize(
    "model",
    ["old_weight_norm", "new_weight_norm", "spectral", "old_spectral", "orthogonal_weight", "removed", "copied"],
)
def test_computed_weights(catalog, model):
    """Weight norm, spectral norm and parametrizations work, also if a parametrization was removed or deep-copied.

    The buffers of spectral norm are put back between the passes of a measurement.
    """
    works(catalog, base(model), using("bucket", "clip"))


def test_recurrent_weight_norm(catalog):
    """Weight norm of a recurrent matrix works with packing and segments.

    `orthogonal` and `from_scratch`, which need the matrix itself, are refused.
    """
    works(catalog, base("recurrent_weight_norm"), using("pack", SEGMENT, "tbptt"), HEALTH)
    found = tried(catalog, base("recurrent_weight_norm"), using("orthogonal", "from_scratch"))
    assert "the model has no parameters weight_hh_l0" in found["orthogonal"]["failed"]
    assert "this model computes some of them, as weight normalization does" in found["from_scratch"]["failed"]


def test_tied_weights(catalog):
    """An embedding that is tied with the weight of the head stays tied, and counts once."""
    found = works(catalog, base("tied"), using("pack"), {**LITTLE, "memory": OTHERS["memory"]})
    block = block_of(catalog, base("tied"), using("pack"), LITTLE)
    model = TrialBuilder(catalog).build(block.baseline).model
    assert model.classifier.weight is model.embedding.weight
    (counted,) = {data["memory"]["parameters"] for data in found.values()}
    assert counted == sum(parameter.numel() for parameter in model.parameters())


def test_lazy_modules(catalog):
    """A lazy module works if the model calls it once when it is built; otherwise its weights have no shape yet.

    The message names the weight and says what to do.
    """
    works(catalog, base("lazy_initialized"), using("pack"))
    reason = tried(catalog, base("lazy"))["base"]["failed"]
    assert "classifier.weight of model lazy gets its shape only in the first call of a lazy module; call this" in reason


@pytest.mark.parametrize("model", ["wrapped", "data_parallel"])
def test_wrappers(catalog, model):
    """Wrappers such as nn.DataParallel, which give all names a prefix, work inside a model."""
    works(catalog, base(model), using("bucket", "clip"))


@pytest.mark.parametrize("model", ["frozen", "unused"])
def test_parameters_without_gradient(catalog, model):
    """Frozen parameters, and parameters that the loss does not depend on, work."""
    works(catalog, base(model), using("pack", "clip"), HEALTH)


def test_parameter_lists_and_buffers(catalog):
    """ParameterList, ParameterDict, and buffers that are not saved work."""
    works(catalog, base("parameter_list"), using("bucket"))


def test_no_parameters(catalog):
    """A rule without parameters can be measured in inference, without an optimizer."""
    measure = {"speed": {**SPEED, "of": "inference"}, "memory": {"of": "inference"}}
    found = works(catalog, {"model": "no_parameters", "dataset": DATASET}, None, measure)
    assert found["base"]["memory"]["parameters"] == 0


def test_complex_parameters(catalog):
    """Complex parameters, as in linear recurrent units, stay complex."""
    found = works(catalog, base("complex_state"), using("bucket", "clip"), HEALTH)
    assert min(found["base"]["learning"]["gradient_norm"]) > 0


@pytest.mark.parametrize("model", ["stateful", "state_buffer"])
def test_state_between_batches(catalog, model):
    """A model that keeps its hidden state between batches works, and its predictions are marked as batch-dependent.

    Only a state in buffers is saved in checkpoints. Keep it there if a run is to continue bit for bit.
    """
    found = works(catalog, base(model), using("bucket"))
    assert found["base"]["learning"]["batch_dependent"]


@pytest.mark.parametrize("model", ["hooks", "checkpointed", "time_first"])
def test_hooks_and_checkpointing(catalog, model):
    """Forward and backward hooks, activation checkpointing and packing inside a model work."""
    works(catalog, base(model), using("bucket"), {**LITTLE, **OTHERS})


@pytest.mark.parametrize("model", ["projected", "no_bias"])
def test_promises_of_other_shapes(catalog, model):
    """`harness conform` tests models with a projected state, or without biases, as it tests every sequence model."""
    shapes = ("every-layer-and-direction", "ragged-as-alone", "padding-does-not-leak", "packed-as-padded")
    for case in cases(model, catalog=catalog, only=(*shapes, "carried-state")):
        case.check()
