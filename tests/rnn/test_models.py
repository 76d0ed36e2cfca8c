"""Scratch cells against modules of torch, and padded batches against single rows, in float64."""

from __future__ import annotations

import itertools

import pytest
import torch
from harness_rnn.contract import SequenceFacts, collate, probes
from harness_rnn.datasets.lengths import lengths
from harness_rnn.models import scratch, torch_rnn
from harness_rnn.models.scratch import ScratchGRU, ScratchLSTM, ScratchRNN
from torch import nn

PAIRS = {"rnn": (nn.RNN, ScratchRNN), "lstm": (nn.LSTM, ScratchLSTM), "gru": (nn.GRU, ScratchGRU)}
SHAPES = list(itertools.product([1, 3], [False, True]))
FACTS = SequenceFacts(50, 3)
pytestmark = pytest.mark.usefixtures("double")


def flat(state):
    return torch.cat([s.flatten() for s in state]) if isinstance(state, tuple) else state.flatten()


def assert_equal(ours, theirs, bound=1e-12):
    assert (ours - theirs).abs().max() <= bound * max(1.0, theirs.abs().max())


@pytest.mark.parametrize("cell", PAIRS)
@pytest.mark.parametrize(("num_layers", "bidirectional"), SHAPES)
@pytest.mark.parametrize("hoist", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
def test_scratch_equals_torch(cell, num_layers, bidirectional, hoist, with_state):
    kind, scratch_kind = PAIRS[cell]
    settings = {"num_layers": num_layers, "bidirectional": bidirectional, "batch_first": True}
    theirs, ours = kind(5, 7, **settings), scratch_kind(5, 7, hoist=hoist, **settings)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(4, 11, 5)
    state = None
    if with_state:
        h = torch.randn(num_layers * (1 + bidirectional), 4, 7)
        state = (h, torch.randn_like(h)) if cell == "lstm" else h
    results = []
    for module in (theirs, ours):
        source = x.clone().requires_grad_()
        outputs, end = module(source, state)
        (outputs.sin().sum() + flat(end).cos().sum()).backward()
        gradients = torch.cat([p.grad.flatten() for p in module.parameters()])
        results.append((outputs, flat(end), source.grad, gradients))
    for mine, reference in zip(results[1], results[0], strict=True):
        assert_equal(mine, reference)


def test_relu_rnn_equals_torch():
    theirs = nn.RNN(5, 7, nonlinearity="relu", batch_first=True)
    ours = ScratchRNN(5, 7, nonlinearity="relu")
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(4, 11, 5)
    assert_equal(ours(x)[0], theirs(x)[0])


@pytest.mark.parametrize("cell", PAIRS)
def test_scratch_is_initialised_like_torch(cell):
    """Uniform between -1/sqrt(H) and 1/sqrt(H), up to the bounds."""
    for module in (kind(20, 25) for kind in PAIRS[cell]):
        values = torch.cat([p.flatten() for p in module.parameters()])
        assert values.abs().max() <= 0.2
        assert values.abs().max() > 0.195
        assert abs(values.std() - 0.2 / 3**0.5) < 0.01


@pytest.mark.parametrize("cell", PAIRS)
@pytest.mark.parametrize("family", [torch_rnn, scratch])
@pytest.mark.parametrize(("num_layers", "bidirectional"), SHAPES)
def test_padded_rows_equal_single_rows(cell, family, num_layers, bidirectional):
    """Outputs, final state and gradients of a padded batch equal the sum over its single rows."""
    name = cell if family is torch_rnn else f"scratch_{cell}"
    model = getattr(family, name)(
        FACTS, hidden_size=6, embedding_size=5, num_layers=num_layers, bidirectional=bidirectional
    )
    batch = collate(probes(lengths(vocabulary=50, classes=3, examples=64).train, 0)[0])
    assert len(set(batch.lengths.tolist())) < len(batch.lengths)  # ties
    outputs, final, logits = model.run(batch)
    (final.sin().sum() + logits.cos().sum()).backward()
    padded = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    for row in range(len(batch.ids)):
        length = int(batch.lengths[row])
        alone = model.embed(batch.tokens[row : row + 1, :length])
        theirs, _ = model.encoder.rnn(alone)
        assert_equal(outputs[row, :length], theirs[0])
        last = theirs[0, -1, :6], theirs[0, 0, 6:]
        final_alone = torch.cat(last)[None]
        assert_equal(final[row], final_alone[0])
        (final_alone.sin().sum() + model.head(final_alone).cos().sum()).backward()
    for name, parameter in model.named_parameters():
        assert_equal(padded[name], parameter.grad)


@pytest.mark.parametrize("cell", PAIRS)
def test_dropout_is_between_layers_only(cell):
    """With p = 1, everything between layers is dropped, so torch and scratch modules agree."""
    kind, scratch_kind = PAIRS[cell]
    settings = {"num_layers": 2, "dropout": 1.0, "batch_first": True}
    theirs, ours = kind(5, 7, **settings), scratch_kind(5, 7, **settings)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(4, 9, 5)
    assert_equal(ours(x)[0], theirs(x)[0])
    assert (theirs(x)[0] - theirs.eval()(x)[0]).abs().max() > 1e-3
    assert_equal(ours.eval()(x)[0], theirs(x)[0])


def test_dropout_needs_two_layers():
    with pytest.raises(ValueError, match="num_layers of at least 2"):
        torch_rnn.lstm(FACTS, dropout=0.5)
