"""Replace torch's recurrent module by a Python loop, to measure what the loop costs."""

from __future__ import annotations

from typing import Any

from torch import nn

from harness import Recipe
from harness_rnn.models.scratch import ScratchGRU, ScratchLSTM, ScratchRNN

SCRATCH = {nn.RNN: ScratchRNN, nn.LSTM: ScratchLSTM, nn.GRU: ScratchGRU}


def from_scratch(recipe: Recipe, *, hoist: bool = False) -> Recipe:
    """Build the model with a scratch module in place of torch's, with the same weights.

    The computation is the same, as a Python loop over time with two linear maps a step: `rnn` becomes `scratch_rnn`,
    `lstm` becomes `scratch_lstm`, and `gru` becomes `scratch_gru`. `hoist` computes the product with the input for all
    steps at once, before the loop.
    """

    def built(build: Any) -> Any:
        def build_from_scratch() -> nn.Module:
            model = build()
            module = model.encoder.rnn
            more = {"nonlinearity": module.nonlinearity} if isinstance(module, nn.RNN) else {}
            scratch = SCRATCH[type(module)](
                module.input_size,
                module.hidden_size,
                num_layers=module.num_layers,
                bidirectional=module.bidirectional,
                dropout=module.dropout,
                hoist=hoist,
                **more,
            )
            scratch.load_state_dict(module.state_dict())
            model.encoder.rnn = scratch
            return model

        return build_from_scratch

    return recipe.wrap("build", built)
