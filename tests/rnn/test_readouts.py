"""Readouts of padded batches equal those of single rows: padding has no influence."""

from __future__ import annotations

import pytest
import torch
from harness_rnn.contract import SequenceFacts, collate, probes
from harness_rnn.datasets.lengths import lengths
from harness_rnn.models.torch_rnn import gru, lstm
from harness_rnn.optimizations.last_naive import last_naive, last_step
from harness_rnn.optimizations.pool import pool
from rnn_suite import base

from harness.plugins.recipe import Recipe
from harness.testing import verify_level

H = 6
ALONE = {
    "mean": lambda outputs, final: outputs.mean(0),
    "max": lambda outputs, final: outputs.amax(0),
    "first": lambda outputs, final: outputs[0],
    "last": lambda outputs, final: final,
}


@pytest.fixture
def batch():
    return collate(probes(lengths(vocabulary=50, classes=3, examples=64).train, 0)[0])


def made(bidirectional: bool):
    torch.manual_seed(0)
    return gru(SequenceFacts(50, 3), hidden_size=H, embedding_size=5, bidirectional=bidirectional).double()


@pytest.mark.parametrize("how", ALONE)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_pooled_rows_and_gradients_equal_single_rows(how, bidirectional, batch):
    model = made(bidirectional)
    readout = pool(Recipe(), how=how).seam("model.readout", type(model).readout)
    outputs, final, _ = model.run(batch)
    features = readout(model, outputs, final, batch.lengths)
    features.sin().sum().backward()
    padded = [p.grad.clone() for p in model.encoder.parameters()]
    model.zero_grad()
    for row, length in enumerate(batch.lengths.tolist()):
        theirs = model.encoder.rnn(model.embed(batch.tokens[row : row + 1, :length]))[0][0]
        ends = torch.cat([theirs[-1, :H], theirs[0, H:]])
        alone = ALONE[how](theirs, ends)
        torch.testing.assert_close(features[row], alone, rtol=0, atol=1e-12)
        alone.sin().sum().backward()
    for ours, parameter in zip(padded, model.encoder.parameters(), strict=True):
        torch.testing.assert_close(ours, parameter.grad, rtol=0, atol=1e-11)


def test_the_last_step_of_two_directions_has_read_one_token_backwards(batch):
    model = made(bidirectional=True)
    outputs, final, _ = model.run(batch)
    readout = last_step(Recipe()).seam("model.readout", type(model).readout)
    features = readout(model, outputs, final, batch.lengths)
    torch.testing.assert_close(features[:, :H], final[:, :H], rtol=0, atol=0)
    last = torch.stack([batch.tokens[row, length - 1] for row, length in enumerate(batch.lengths.tolist())])
    one_token = batch._replace(tokens=last[:, None], lengths=torch.ones_like(batch.lengths))
    torch.testing.assert_close(features[:, H:], model.run(one_token)[1][:, H:], rtol=0, atol=1e-12)
    longer = batch.lengths > 1
    assert (features - final)[longer, H:].abs().amax(1).min() > 1e-3


def test_of_one_direction_the_last_step_is_the_last(catalog):
    for use in (["last_step"], [{"name": "pool", "how": "last"}], [{"name": "pool", "how": "max"}]):
        finding = verify_level(base("lstm"), {"use": use}, catalog=catalog)
        assert (finding["outcome"], finding["changes"]) == ("ok", "model"), finding
    model = made(bidirectional=False)
    outputs, final, ends = torch.randn(2, 4, H), torch.randn(2, H), torch.tensor([4, 2])
    outputs[0, 3], outputs[1, 1] = final
    readout = last_step(Recipe()).seam("model.readout", type(model).readout)
    assert torch.equal(readout(model, outputs, final, ends), final)


@pytest.mark.parametrize("part", [pool, last_step, last_naive])
def test_readouts_need_one_label_per_sequence(part):
    model = lstm(SequenceFacts(50, 3, task="steps"), hidden_size=H)
    with pytest.raises(ValueError, match="this dataset has a label per step"):
        part(Recipe().as_used_by(part.__name__)).seam("init", lambda model: None)(model)
