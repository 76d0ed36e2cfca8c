"""Memory and operations of recurrent layers, against computed numbers."""

from __future__ import annotations

import pytest
import torch
from harness_rnn.models.encoder import RecurrentEncoder
from tasks import task
from torch import nn
from toy_suite import read

from harness.measure.kinds.cost import OperatorObserver, operations
from harness.measure.kinds.memory import SavedTensors
from harness.measure.runtime.builder import TrialBuilder
from harness.plan.planner import make_plan

E, H, B = 12, 16, 8
SUITE = f"""
question: What does it take?
base:
  model: {{name: lstm, hidden_size: {H}, embedding_size: {E}}}
  dataset: {{name: lengths, examples: 64, batch_size: {B}, mean: 12, vocabulary: 50}}
  use: [sgd]
axes:
  how: {{lstm: {{}}, scratch: {{model: scratch_lstm}}, packed: {{use: [pack]}}, segmented: {{use: [segment]}}}}
compare: {{axis: how, baseline: lstm}}
measure: {{cost: {{}}}}
"""


@pytest.fixture(scope="module", params=["lognormal", "fixed"])
def members(request, catalog):
    """The four variants, on uneven and on equal lengths, built again for each mode."""
    (block,) = make_plan(read(SUITE, f"base.dataset.distribution={request.param}"), catalog).blocks
    builder = TrialBuilder(catalog)
    return lambda mode: {t.level: task(block, t.level, builder, mode).member() for t in block.trials}


@pytest.mark.parametrize("mode", ["train", "inference"])
def test_the_fused_lstm_and_the_loop_have_the_same_operations(members, mode):
    """Per row and step: four gates of products with E inputs and H states; then the classifier."""
    classifier = 2 * B * H * 4
    for batch in (0, 5):
        forward = {}
        for level, member in members(mode).items():
            watch = OperatorObserver()
            found = operations(member, batch, watch)
            assert not watch.uncounted
            counts = {name: amounts[batch] for name, amounts in member.counts().items()}
            rows = counts["slots"]
            forward[level] = found["forward"]
            assert found["forward"] == 2 * rows * 4 * H * (E + H) + classifier, level
            if mode == "train":
                # twice the forward pass, minus what a loop saves for its first state
                assert 1.7 * found["forward"] < found["backward"] <= 2 * found["forward"], level
        assert forward["lstm"] == forward["scratch"]
        assert forward["packed"] <= forward["segmented"] <= forward["lstm"]


@pytest.mark.parametrize(("cell", "megabytes"), [(nn.LSTM, (18.2, 22.6)), (nn.GRU, (8.2,)), (nn.RNN, (2.1,))])
def test_memory_of_a_layer_of_width_256_per_1000_tokens(cell, megabytes):
    """The fused LSTM allocates a workspace in addition to its outputs, which must be counted. That of torch 2.6 is
    larger."""
    width, rows, steps = 256, 8, 60
    encoder = RecurrentEncoder(cell(width, width, batch_first=True))
    x = torch.randn(rows, steps, width)
    kept = SavedTensors([*encoder.parameters(), x])
    with torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda saved: saved.tensor):
        encoder(x, torch.full((rows,), steps))[0].sum().backward()
    found = kept.peak / (rows * steps / 1000) / 1e6
    assert any(found == pytest.approx(known, rel=0.1) for known in megabytes)
    assert kept.now == 0, "the backward pass has let everything go"


def test_gradients_of_a_long_padded_batch_underflow(catalog):
    """The loss depends on the last step only: gradients far from it are subnormal, which is slow on many processors."""
    settings = ["base.dataset.distribution=fixed", "base.dataset.longest=400"]
    shares = {}
    for mean in (10, 300):
        (block,) = make_plan(read(SUITE, *settings, f"base.dataset.mean={mean}"), catalog).blocks
        watch = OperatorObserver()
        operations(task(block, "lstm", catalog).member(), 0, watch)
        shares[mean] = watch.subnormal / watch.written
    assert shares[10] == 0
    assert shares[300] > 0.02
