"""Any of torch's recurrent modules replaced by the same from scratch, so that one axis can ask what the loop costs."""

from __future__ import annotations

from typing import Any

from torch import nn

from harness import Recipe
from harness_rnn.models.scratch import ScratchGRU, ScratchLSTM, ScratchRNN

TWINS = {nn.RNN: ScratchRNN, nn.LSTM: ScratchLSTM, nn.GRU: ScratchGRU}


def from_scratch(recipe: Recipe, *, hoist: bool = False) -> Recipe:
    """Build the model with the scratch twin of its recurrent module, with the same weights.

    The same computation as a loop over time with two linear maps a step; `hoist` takes the input's product out of
    the loop. `rnn` becomes `scratch_rnn`, `lstm` becomes `scratch_lstm`, `gru` becomes `scratch_gru`.
    """

    def built(build: Any) -> Any:
        def build_twin() -> nn.Module:
            model = build()
            module = model.encoder.rnn
            more = {"nonlinearity": module.nonlinearity} if isinstance(module, nn.RNN) else {}
            twin = TWINS[type(module)](
                module.input_size,
                module.hidden_size,
                num_layers=module.num_layers,
                bidirectional=module.bidirectional,
                dropout=module.dropout,
                hoist=hoist,
                **more,
            )
            twin.load_state_dict(module.state_dict())
            model.encoder.rnn = twin
            return model

        return build_twin

    return recipe.wrap("build", built)
