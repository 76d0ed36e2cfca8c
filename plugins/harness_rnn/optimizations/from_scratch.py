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
    steps at once, before the loop. Building the trial raises ValueError for a module with `proj_size`, without biases,
    with computed weights (weight normalization), or scripted.
    """

    def built(build: Any) -> Any:
        def build_from_scratch() -> nn.Module:
            model = build()
            module = model.encoder.rnn
            check(module)
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
            if scratch.state_dict().keys() != module.state_dict().keys():
                raise ValueError(
                    "from_scratch needs the parameters of torch's module, but this model computes some of them, as "
                    "weight normalization does"
                )
            scratch.load_state_dict(module.state_dict())
            model.encoder.rnn = scratch
            return model

        return build_from_scratch

    return recipe.wrap("build", built)


def check(module: Any) -> None:
    """Raise ValueError if there is no scratch module for this module of torch."""
    if type(module) not in SCRATCH:
        raise ValueError(f"from_scratch needs nn.RNN, nn.LSTM or nn.GRU, but this model has {type(module).__name__}")
    if getattr(module, "proj_size", 0) or not module.bias:
        raise ValueError("the scratch modules have biases and no projection, but this model sets proj_size or bias")
