"""Verification does not call a correct level invalid because of rounding, and still finds small mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.measure.runtime.rounding import RandomRounding
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.testing import verify_level

TESTS = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def odd() -> Catalog:
    return Catalog(load_plugins([TESTS / "toy.py", TESTS / "odd_models.py"]))


def found(odd: Catalog, model: str, level: dict, seed: int = 0, use: str = "descent") -> dict:
    base = {"model": model, "dataset": {"name": "points", "batch_size": 8}, "use": [use], "seed": seed}
    return verify_level(base, level, catalog=odd)


@pytest.mark.parametrize("seed", range(5))
def test_a_badly_conditioned_sum_in_another_order_is_valid(odd, seed):
    """Both errors are far above the offset of the limit."""
    finding = found(odd, "cancelling", {"model": {"reverse": True}}, seed)
    assert finding["changes"] == "rounding"
    assert finding["outcome"] == "ok", finding["reason"]


@pytest.mark.parametrize("seed", range(5))
def test_gradients_that_are_noise_do_not_make_a_step_of_adam_invalid(odd, seed):
    finding = found(odd, "idle", {"model": {"reverse": True}}, seed, use="adaptive")
    assert finding["changes"] == "rounding"
    assert finding["outcome"] == "ok", finding["reason"]


@pytest.mark.parametrize("patch", [{"mistake": 0.003}, {"half": True}, {"half": True, "reverse": True}])
@pytest.mark.parametrize("seed", range(3))
def test_a_mistake_is_found_in_a_badly_conditioned_sum(odd, patch, seed):
    finding = found(odd, "cancelling", {"model": patch}, seed)
    assert finding["outcome"] == "invalid"
    assert "in float64 it is off by" in finding["reason"]


def test_a_step_that_leaves_something_out_is_found_among_gradients_that_are_noise(odd):
    finding = found(odd, "idle", {"model": {"reverse": True}, "use": ["lazy"]}, use="adaptive")
    assert "a whole step moves the weights differently" in finding["reason"]


def test_a_baseline_that_cannot_compute_in_float64_is_its_own_reference(odd):
    assert found(odd, "single", {})["outcome"] == "ok"
    finding = found(odd, "single", {"use": ["doubled"]})
    assert "gradient of layers.0.weight is off by 1.0e+00" in finding["reason"]


def test_random_rounding_spreads_results_as_another_order_does():
    torch.manual_seed(0)
    values = torch.randn(1000, dtype=torch.float64)
    exact = float(values.sum())
    errors, spread = [], []
    for _ in range(50):
        total = torch.zeros(())
        for value in values[torch.randperm(1000)].float():
            total = total + value
        errors.append(float(total) - exact)
    for seed in range(50):
        with RandomRounding(torch.float32, seed):
            total = torch.zeros((), dtype=torch.float64)
            for value in values:
                total = total + value
        spread.append(float(total) - exact)
    ratio = torch.tensor(spread).square().mean().sqrt() / torch.tensor(errors).square().mean().sqrt()
    assert 1 / 4 < ratio < 4


def test_random_rounding_leaves_choices_and_weights_as_they_are():
    layer, ones = torch.nn.Linear(4, 4), torch.ones(8)
    before = layer.weight.detach().clone()
    with RandomRounding(torch.float32, 0):
        value, index = ones.max(0)
        result = layer(torch.ones(2, 4))
        result.sum().backward()
        layer.weight.data.view(-1)[:2].add_(0.0)
    assert (float(value), int(index)) == (1.0, int(ones.max(0)[1]))
    assert torch.equal(layer.weight, before)
    assert not torch.equal(result, layer(torch.ones(2, 4)))
