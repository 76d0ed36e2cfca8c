"""The minimal gated unit (Zhou et al. 2016): a GRU with one gate."""

import torch
from harness_rnn.contract import SequenceModel
from harness_rnn.models.encoder import last_valid
from torch import nn


class MGU(nn.Module):
    """x (B, T, E) -> outputs (B, T, H), final (B, H)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.gate = nn.Linear(input_size + hidden_size, hidden_size)
        self.candidate = nn.Linear(input_size + hidden_size, hidden_size)

    def forward(self, x, lengths, carry=None):
        h = x.new_zeros(len(x), self.output_size) if carry is None else carry
        outputs = []
        for step in x.unbind(1):
            f = torch.sigmoid(self.gate(torch.cat([step, h], 1)))
            candidate = torch.tanh(self.candidate(torch.cat([step, f * h], 1)))
            h = (1 - f) * h + f * candidate
            outputs.append(h)
        outputs = torch.stack(outputs, 1)
        return outputs, last_valid(outputs, lengths), h


def mgu(facts, *, hidden_size: int = 128, embedding_size: int = 64) -> SequenceModel:
    """One layer of minimal gated units. Tokens (B, T) -> logits (B, C)."""
    return SequenceModel(facts, MGU(facts.features or embedding_size, hidden_size), embedding_size)
