"""Optimizers and clipping.

An optimizer is what the seam `optimizer` of an optimization returns: one object with the methods `step`, `zero_grad`,
`state_dict` and `load_state_dict`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from everyday_optimizers import OF_TORCH
from tried import LITTLE, OTHERS, tried, works

from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins

TESTS = Path(__file__).parents[1]
HEALTH = {**LITTLE, **OTHERS}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """The installed plugins, and the models and optimizers that people have."""
    loaded = load_plugins([TESTS / "everyday_models.py", TESTS / "everyday_optimizers.py"])
    assert not loaded.problems
    return Catalog(loaded)


def base(*use: Any, model: Any = "plain") -> dict[str, Any]:
    return {"model": model, "dataset": {"name": "lengths", "mean": 8, "examples": 64, "batch_size": 8}, "use": [*use]}


def using(*names: Any) -> dict[str, Any]:
    """A level for each optimization."""
    return {name if isinstance(name, str) else name["name"]: {"use": [name]} for name in names}


@pytest.mark.parametrize("name", OF_TORCH)
def test_optimizers_of_torch(catalog, name):
    """Optimizers of torch.optim that need no closure work.

    Tried are Adagrad, RMSprop, NAdam, RAdam, AdamW, Adadelta, Adamax, ASGD, Rprop, and SGD with `foreach`.
    """
    works(catalog, base(name), using("pack"))


@pytest.mark.parametrize("name", ["lion", "groups"])
def test_optimizers_of_ones_own(catalog, name):
    """An optimizer of your own, such as Lion, works, and so do groups of parameters with settings of their own."""
    works(catalog, base(name), using("pack", "schedule", "clip"), HEALTH)


def test_two_optimizers(catalog):
    """One model can have two optimizers, as one object that steps both, and one of them may be SparseAdam.

    `schedule` needs an optimizer of torch, and refuses such an object.
    """
    works(catalog, base("both"), using("pack", "clip"), HEALTH)
    works(catalog, base({"name": "both", "sparse": True}, model="sparse"), using("pack"), HEALTH)
    reason = tried(catalog, base("both"), using("schedule"))["schedule"]["failed"]
    assert "schedule needs a torch.optim.Optimizer, but the optimizer is a Both" in reason


def test_a_list_of_optimizers(catalog):
    """A list of optimizers is refused, with the methods that one object must have."""
    reason = tried(catalog, base("listed"))["base"]["failed"]
    assert "the optimizer is a list, which has no method step; return one object that has the methods step," in reason


def test_closures(catalog):
    """LBFGS, whose step computes the loss again in a closure, is refused before anything trains."""
    reason = tried(catalog, base("lbfgs"))["base"]["failed"]
    assert "a training step calls the step of LBFGS once a batch, without a closure" in reason


def test_sparse_gradients(catalog):
    """SparseAdam, Adagrad and SGD with momentum train an embedding with sparse gradients.

    Verification gives them sparse gradients, too.
    """
    works(catalog, base("sparse_adam", model="only_sparse"), using("pack", "clip"), HEALTH)
    works(catalog, base("adagrad", model="sparse"), using("pack", "clip"))
    works(catalog, base({"name": "sgd", "momentum": 0.9}, model="sparse"), using("pack"))


@pytest.mark.parametrize(
    ("clip", "power"),
    [({"norm_type": 1}, 1), ({"norm_type": 2}, 2), ({"norm_type": "inf"}, None), ({"max_value": 0.001}, None)],
)
@pytest.mark.parametrize("model", ["plain", "sparse"])
def test_clipping(catalog, clip, power, model):
    """Gradients, also sparse ones, are clipped by their L1, L2 or largest norm, or by value.

    The report shows the L2 norm of the gradient before and after clipping.
    """
    bound = {} if "max_value" in clip else {"max_norm": 0.01}
    found = works(catalog, base("sgd", model=model), {"clip": {"use": [{"name": "clip", **clip, **bound}]}}, HEALTH)
    before, after = (found["clip"]["health"][name] for name in ("before", "after"))
    assert before[0] == found["base"]["health"]["after"][0] > 0.02
    if power == 2:
        assert after == pytest.approx([0.01] * 3, rel=1e-3)
    elif power == 1:
        assert max(after) < 0.01, "an L2 norm is less than the L1 norm"
    else:
        assert max(after) < min(before)


def test_clipping_without_gradients(catalog):
    """Clipping works where some parameters have no gradient."""
    works(catalog, base("sgd", model="unused"), using({"name": "clip", "max_norm": 0.1, "max_value": 0.1}))


def test_changed_updates(catalog):
    """Accumulated gradients, a moving average of the weights and hooks of an optimizer work as optimizations."""
    works(catalog, base("adam"), using("accumulated", "averaged", "normalised"), HEALTH)
    works(catalog, base("adam", "accumulated", "averaged", "normalised"), using("pack"))
