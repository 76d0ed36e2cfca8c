"""The simple recurrent unit (Lei et al. 2018)."""

import math

import torch
from harness_rnn.contract import SequenceModel
from harness_rnn.models.encoder import last_valid
from torch import nn


class SRULayer(nn.Module):
    """f = s(W_f x + v_f c + b_f); c' = f c + (1 - f) W x; r = s(W_r x + v_r c + b_r); h = r c' + (1 - r) x, where c is
    the state before the step. If x and h differ in size, a fourth linear map replaces x in the last sum."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.products = nn.Linear(input_size, (3 if input_size == hidden_size else 4) * hidden_size, bias=False)
        bound = 1 / math.sqrt(hidden_size)
        self.v_f, self.v_r = (nn.Parameter(torch.empty(hidden_size).uniform_(-bound, bound)) for _ in range(2))
        self.b_f, self.b_r = (nn.Parameter(torch.zeros(hidden_size)) for _ in range(2))

    def forward(self, x, before):
        """x (B, T, E), before (B, H) -> h (B, T, H), the last c (B, H)."""
        parts = self.products(x).chunk(self.products.out_features // len(self.v_f), 2)
        skip = x if len(parts) == 3 else parts[3]
        c, outputs = before, []
        for new, forget, reset, passed in zip(*(part.unbind(1) for part in (*parts[:3], skip)), strict=True):
            f = torch.sigmoid(forget + self.v_f * c + self.b_f)
            r = torch.sigmoid(reset + self.v_r * c + self.b_r)
            c = f * c + (1 - f) * new
            outputs.append(r * c + (1 - r) * passed)
        return torch.stack(outputs, 1), c


class SRU(nn.Module):
    """x (B, T, E) -> outputs (B, T, H), final (B, H), carry (L, B, H)."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int) -> None:
        super().__init__()
        self.output_size = hidden_size
        sizes = [input_size] + [hidden_size] * (num_layers - 1)
        self.layers = nn.ModuleList(SRULayer(size, hidden_size) for size in sizes)

    def forward(self, x, lengths, carry=None):
        ends = []
        for number, layer in enumerate(self.layers):
            before = x.new_zeros(len(x), self.output_size) if carry is None else carry[number]
            x, end = layer(x, before)
            ends.append(end)
        return x, last_valid(x, lengths), torch.stack(ends)


def sru(facts, *, hidden_size: int = 128, embedding_size: int = 64, num_layers: int = 1) -> SequenceModel:
    """Layers of simple recurrent units. Tokens (B, T) -> logits (B, C)."""
    return SequenceModel(facts, SRU(facts.features or embedding_size, hidden_size, num_layers), embedding_size)
