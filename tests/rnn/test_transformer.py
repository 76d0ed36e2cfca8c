"""The Transformer against single rows and against its equations, in float64."""

from __future__ import annotations

import pytest
import torch
from harness_rnn.contract import NO_LABEL, SequenceExample, SequenceFacts, collate, probes
from harness_rnn.datasets.lengths import lengths
from harness_rnn.models.transformer import positions, transformer

from harness.errors import UserError
from harness.testing import assert_promises, verify_level

SMALL = {"hidden_size": 12, "heads": 2, "feedforward": 20, "dropout": 0.0}
CLASSES = SequenceFacts(50, 3)
STEPS = SequenceFacts(0, 3, features=2, task="steps")
pytestmark = pytest.mark.usefixtures("double")


def batch_of(facts):
    if facts.task == "class":
        return collate(probes(lengths(vocabulary=50, classes=3, examples=64).train, 0)[0])
    sizes = [5, 1, 9, 30, 9]
    return collate([SequenceExample(i, torch.randn(n, 2), torch.randint(3, (n,))) for i, n in enumerate(sizes)])


def close(ours, theirs, bound=1e-12):
    ours, theirs = ours.detach(), theirs.detach()
    return bool((ours - theirs).abs().max() <= bound * max(1.0, float(theirs.abs().max())))


@pytest.mark.parametrize("facts", [CLASSES, STEPS])
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("pooling", ["mean", "max", "last", "first"])
def test_padded_rows_equal_single_rows(facts, norm_first, pooling):
    """Outputs, predictions and gradients; torch's inference path gives the same results as training."""
    model = transformer(facts, norm_first=norm_first, pooling=pooling, **SMALL)
    batch = batch_of(facts)
    valid = torch.arange(batch.tokens.shape[1]) < batch.lengths[:, None]
    outputs, final, predicted = model.run(batch)
    total = predicted[valid] if facts.task == "steps" else predicted
    (final.sin().sum() + total.cos().sum()).backward()
    padded = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    for row, length in enumerate(batch.lengths.tolist()):
        alone = batch._replace(tokens=batch.tokens[row : row + 1, :length], lengths=batch.lengths[row : row + 1])
        theirs, theirs_final, answer = model.run(alone)
        assert close(outputs[row, :length], theirs[0])
        assert close(predicted[row, :length] if facts.task == "steps" else predicted[row], answer[0])
        (theirs_final.sin().sum() + answer.cos().sum()).backward()
    assert all(close(padded[name], p.grad, 1e-11) for name, p in model.named_parameters())
    model.eval()
    with torch.inference_mode():
        fast, _, answer = model.run(batch)
        assert close(fast[valid], outputs.detach()[valid])
        assert close(answer[valid] if facts.task == "steps" else answer, total.detach())


@pytest.mark.parametrize("causal", [None, True, False])
@pytest.mark.parametrize("facts", [CLASSES, STEPS])
def test_step_outputs_are_causal(facts, causal):
    model = transformer(facts, causal=causal, **SMALL)
    x = torch.randn(2, 7, facts.features or 12, requires_grad=True)
    for ends in (torch.tensor([7, 5]), torch.tensor([7, 7])):  # with and without a padding mask
        outputs, _, _ = model.core(x, ends)
        (seen,) = torch.autograd.grad(outputs[:, 3].sin().sum(), x)
        assert seen[:, :4].abs().amin((0, 2)).min() > 0
        assert bool(seen[:, 4:].any()) is not (facts.task == "steps" if causal is None else causal)


def test_positions_agree_with_the_paper():
    found = positions(600, torch.zeros(1, 1, 5))
    assert found.shape == (600, 5)
    for step, feature in ((0, 0), (3, 1), (599, 2), (599, 3), (17, 4)):
        angle = torch.tensor(step / 10_000 ** (feature // 2 * 2 / 5))
        assert close(found[step, feature], (angle.sin(), angle.cos())[feature % 2])


def test_layers_have_different_initial_weights():
    first, second = transformer(CLASSES, **SMALL).encoder.layers.layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)
    assert not second.self_attn.out_proj.bias.any()
    for ours, theirs in zip(first.parameters(), second.parameters(), strict=True):
        assert float(ours.detach().std()) == pytest.approx(float(theirs.detach().std()), rel=0.4)


def test_unlabelled_padding_does_not_change_the_loss():
    model = transformer(STEPS, **SMALL)
    batch = batch_of(STEPS)
    labels = torch.nn.functional.pad(batch.labels, (0, 4), value=NO_LABEL)
    more = batch._replace(tokens=torch.nn.functional.pad(batch.tokens, (0, 0, 0, 4), value=9.0), labels=labels)
    assert close(model.loss(more), model.loss(batch))


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="hidden_size = 10 is not a multiple of heads = 4"):
        transformer(CLASSES, hidden_size=10)


BASE = {
    "model": {"name": "transformer", **SMALL, "dropout": 0.1},
    "dataset": {"name": "lengths", "examples": 64, "batch_size": 8, "vocabulary": 50},
    "use": ["adam"],
}


@pytest.mark.parametrize("use", [[{"name": "pad_to", "length": 45}], ["bucket"]])
def test_padding_and_order_do_not_change_the_result(use, catalog):
    torch.set_default_dtype(torch.float32)
    assert_promises(BASE, {"use": use}, catalog=catalog)


def test_transformer_rejects_packing_and_is_a_different_model(catalog):
    torch.set_default_dtype(torch.float32)
    with pytest.raises(UserError, match="pack needs packable, which transformer does not offer"):
        verify_level(BASE, {"use": ["pack"]}, catalog=catalog)
    base = {**BASE, "model": {"name": "lstm", "hidden_size": 12}}
    finding = verify_level(base, {"model": {"name": "transformer", "heads": 2}}, catalog=catalog)
    assert (finding["outcome"], finding["changes"]) == ("ok", "model"), finding
