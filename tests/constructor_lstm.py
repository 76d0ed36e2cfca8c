"""A plugin in one file: a cell whose constructor sets its forget bias."""

from __future__ import annotations

import torch
from harness_rnn.contract import SequenceModel
from harness_rnn.models.encoder import last_valid
from torch import nn

import harness


class Cell(nn.Module):
    """LSTM: x (B, T, E) -> outputs (B, T, H), final (B, H)."""

    def __init__(self, inputs: int, hidden: int, forget: float) -> None:
        super().__init__()
        self.output_size = hidden
        self.w, self.u = nn.Linear(inputs, 4 * hidden), nn.Linear(hidden, 4 * hidden, bias=False)
        with torch.no_grad():
            self.w.bias.zero_()
            self.w.bias[hidden : 2 * hidden] = forget

    def forward(self, x, lengths, carry=None):
        h, c = (x.new_zeros(len(x), self.output_size),) * 2 if carry is None else carry
        outputs = []
        for step in self.w(x).unbind(1):
            i, f, g, o = (step + self.u(h)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        outputs = torch.stack(outputs, 1)
        return outputs, last_valid(outputs, lengths), (h, c)


def constructor_lstm(facts, *, hidden_size: int = 8, embedding_size: int = 8, forget: float = 0.0) -> SequenceModel:
    """An LSTM with the forget bias of its constructor."""
    return SequenceModel(facts, Cell(facts.features or embedding_size, hidden_size, forget), embedding_size)


@harness.hookimpl
def provide_models():
    yield harness.Model(
        "constructor_lstm", constructor_lstm, "an LSTM with a forget bias of its own", offers={"sequence"}
    )
