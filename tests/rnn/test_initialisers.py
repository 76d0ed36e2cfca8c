"""Initial weights in every layer and direction, for modules of torch and for scratch modules."""

from __future__ import annotations

import pytest
import torch
from harness_rnn.contract import SequenceFacts
from harness_rnn.models import scratch, torch_rnn
from harness_rnn.optimizations.clip import clip
from harness_rnn.optimizations.forget_bias import forget_bias
from harness_rnn.optimizations.initialisers import identity_rnn, orthogonal
from rnn_suite import base

from harness.errors import UserError
from harness.plugins.recipe import Recipe
from harness.testing import verify_level

H = 6
SHAPE = {"hidden_size": H, "embedding_size": 5, "num_layers": 2, "bidirectional": True}
SUFFIXES = ("l0", "l0_reverse", "l1", "l1_reverse")
FACTS = SequenceFacts(50, 3)


def started(build, part, seed=0, **more):
    """The weights before and after."""
    torch.manual_seed(seed)
    model = build(FACTS, **SHAPE, **more)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    part(Recipe()).seam("init", lambda model: None)(model)
    return before, model.state_dict()


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("family", [torch_rnn, scratch])
def test_each_gate_is_orthogonal_and_other_weights_stay(name, family):
    build = getattr(family, name if family is torch_rnn else f"scratch_{name}")
    before, after = started(build, lambda recipe: orthogonal(recipe, gain=0.5))
    again = started(build, lambda recipe: orthogonal(recipe, gain=0.5))[1]
    seen = []
    for key, tensor in after.items():
        assert torch.equal(tensor, again[key]), "the draws follow torch's seed"
        if "weight_hh" not in key:
            assert torch.equal(tensor, before[key]), key
            continue
        for gate in tensor.split(H):
            torch.testing.assert_close(gate @ gate.T, 0.25 * torch.eye(H), rtol=0, atol=1e-6)
            seen.append(gate)
    assert len(seen) == 4 * {"rnn": 1, "lstm": 4, "gru": 3}[name]
    assert min(float((a - b).abs().max()) for i, a in enumerate(seen) for b in seen[:i]) > 0.01


@pytest.mark.parametrize("build", [torch_rnn.rnn, scratch.scratch_rnn])
def test_identity_rnn_keeps_its_state(build):
    before, after = started(build, lambda recipe: identity_rnn(recipe, scale=0.5), nonlinearity="relu")
    for suffix in SUFFIXES:
        assert torch.equal(after[f"encoder.rnn.weight_hh_{suffix}"], 0.5 * torch.eye(H))
        assert torch.equal(after[f"encoder.rnn.weight_ih_{suffix}"], before[f"encoder.rnn.weight_ih_{suffix}"])
        assert not after[f"encoder.rnn.bias_ih_{suffix}"].any()
        assert not after[f"encoder.rnn.bias_hh_{suffix}"].any()
    model = build(FACTS, hidden_size=H, embedding_size=5, nonlinearity="relu")
    identity_rnn(Recipe()).seam("init", lambda model: None)(model)
    x = torch.zeros(1, 30, 5)
    x[0, 0] = torch.randn(5)
    outputs, final, _ = model.core(x, torch.tensor([30]))
    assert final.any()
    assert torch.equal(outputs[0], outputs[0, :1].expand(30, H))


def test_identity_requires_relu(catalog):
    with pytest.raises(UserError, match="identity_rnn needs nonlinearity, which gru does not offer"):
        verify_level(base("gru"), {"use": ["identity_rnn"]}, catalog=catalog)
    finding = verify_level(base("rnn"), {"use": ["identity_rnn"]}, catalog=catalog)
    assert finding["outcome"] == "failed"
    assert "identity_rnn needs a model with nonlinearity: relu, but this one is RNN_TANH" in finding["reason"]
    finding = verify_level(base("rnn", nonlinearity="relu"), {"use": ["identity_rnn"]}, catalog=catalog)
    assert (finding["outcome"], finding["changes"]) == ("ok", "model"), finding
    finding = verify_level(base("scratch_gru"), {"use": ["orthogonal"]}, catalog=catalog)
    assert (finding["outcome"], finding["changes"]) == ("ok", "model"), finding


@pytest.mark.parametrize("build", [torch_rnn.lstm, scratch.scratch_lstm])
def test_filling_the_forget_slice_of_both_biases_makes_twice_the_value(build):
    before, after = started(build, lambda recipe: forget_bias(recipe, value=1.5, fill=True))
    for key, tensor in after.items():
        expected = before[key].clone()
        if "bias_ih" in key or "bias_hh" in key:
            expected[H : 2 * H] = 1.5
        assert torch.equal(tensor, expected), key


def test_filling_and_chrono_exclude_each_other():
    with pytest.raises(ValueError, match="fill and longest cannot be combined"):
        forget_bias(Recipe(), longest=50, fill=True)


def test_clip_by_the_largest_element_keeps_the_direction():
    layer = torch.nn.Linear(4, 4, bias=False)
    gradient = torch.randn(4, 4) * 100
    layer.weight.grad = gradient.clone()
    clip(Recipe(), max_norm=0.5, norm_type="inf").seam("update", lambda model, optimizer: None)(layer, None)
    torch.testing.assert_close(layer.weight.grad, gradient * 0.5 / gradient.abs().max())
