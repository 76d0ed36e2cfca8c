"""Recurrent modules as a Python loop over time, with two linear maps a step.

Parameters have the names, shapes, gate order and initialisation of ``nn.RNN``, ``nn.LSTM`` and ``nn.GRU``, so state
dicts can be exchanged, and results differ by rounding only.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness_rnn.contract import SequenceFacts, SequenceModel
from harness_rnn.models.encoder import State, layer_of, run_layer
from harness_rnn.models.torch_rnn import classifier


class ScratchModule(nn.Module, ABC):
    """Parameters, layers, directions and dropout between layers. A subclass has the `cell`.

    It is called like torch's modules: x (B, T, E) and a state, h (L*D, B, H) or (h, c), give outputs (B, T, D*H) and
    the final state. `hoist` computes the product with the input for all steps at once, before the loop.
    """

    gates = 1
    mode = ""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        batch_first: bool = True,
        hoist: bool = False,
    ) -> None:
        super().__init__()
        if not batch_first:
            raise ValueError("scratch modules support only batch_first=True")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bidirectional, self.dropout, self.hoist = bidirectional, dropout, hoist
        rows, bound = self.gates * hidden_size, 1 / math.sqrt(hidden_size)
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * (1 + bidirectional)
            for suffix in (f"_l{layer}", f"_l{layer}_reverse")[: 1 + bidirectional]:
                for name, shape in (
                    ("weight_ih", (rows, width)),
                    ("weight_hh", (rows, hidden_size)),
                    ("bias_ih", (rows,)),
                    ("bias_hh", (rows,)),
                ):
                    parameter = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
                    self.register_parameter(name + suffix, parameter)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """x (B, T, E), state -> outputs (B, T, D*H), state. Every row has T steps."""
        states = []
        directions = 1 + self.bidirectional
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                x = F.dropout(x, self.dropout)
            outputs = []
            for reverse in range(directions):
                source = x.flip(1) if reverse else x
                begin = self.zero_state(x) if state is None else layer_of(state, layer * directions + reverse)
                out, end = run_layer(self, source, begin, layer, bool(reverse))
                outputs.append(out.flip(1) if reverse else out)
                states.append(end)
            x = torch.cat(outputs, 2) if self.bidirectional else outputs[0]
        if isinstance(states[0], tuple):
            return x, tuple(torch.cat(parts) for parts in zip(*states, strict=True))
        return x, torch.cat(states)

    def zero_state(self, x: Tensor) -> State:
        """The state before the first step of one layer in one direction."""
        return x.new_zeros(1, x.shape[0], self.hidden_size)

    def loop(self, x: Tensor, state: State, weights: list[Tensor]) -> tuple[Tensor, State]:
        """One layer in one direction: x (n, t, *), state (1, n, H) -> outputs (n, t, H), state."""
        weight_ih, weight_hh, bias_ih, bias_hh = weights
        hidden = tuple(one[0] for one in state) if isinstance(state, tuple) else state[0]
        inputs = (F.linear(x, weight_ih, bias_ih) if self.hoist else x).unbind(1)
        outputs = []
        for step in inputs:
            product = step if self.hoist else F.linear(step, weight_ih, bias_ih)
            hidden = self.cell(product, hidden, weight_hh, bias_hh)
            outputs.append(hidden[0] if isinstance(hidden, tuple) else hidden)
        end = tuple(one[None] for one in hidden) if isinstance(hidden, tuple) else hidden[None]
        return torch.stack(outputs, 1), end

    @abstractmethod
    def cell(self, product: Tensor, hidden: Any, weight: Tensor, bias: Tensor) -> Any:
        """One step: from W x + b (n, gates*H) and the state before it to the state after it, each (n, H)."""


class ScratchRNN(ScratchModule):
    """h' = tanh(W x + b + U h + c), or relu in place of tanh (Elman 1990)."""

    def __init__(self, *sizes: int, nonlinearity: Literal["tanh", "relu"] = "tanh", **settings: Any) -> None:
        super().__init__(*sizes, **settings)
        self.mode = f"RNN_{nonlinearity.upper()}"
        self.activation = torch.tanh if nonlinearity == "tanh" else torch.relu

    def cell(self, product: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """(n, H), (n, H) -> (n, H)."""
        return self.activation(product + F.linear(hidden, weight, bias))


class ScratchLSTM(ScratchModule):
    """Gates i, f, o = sigmoid(.) and candidate g = tanh(.) of W x + b + U h + b'; then c' = f c + i g, h' = o tanh(c')
    (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000)."""

    gates = 4
    mode = "LSTM"

    def zero_state(self, x: Tensor) -> State:
        """h and c before the first step."""
        h = super().zero_state(x)
        return h, torch.zeros_like(h)

    def cell(
        self, product: Tensor, hidden: tuple[Tensor, Tensor], weight: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(n, 4H), h and c (n, H) -> h and c (n, H)."""
        h, c = hidden
        i, f, g, o = (product + F.linear(h, weight, bias)).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class ScratchGRU(ScratchModule):
    """Gates r, z = sigmoid(.) of W x + b + U h + c; then n = tanh(W x + b + r (U h + c)), h' = (1 - z) n + z h (Cho et
    al. 2014, with r applied after the product with h, as in torch)."""

    gates = 3
    mode = "GRU"

    def cell(self, product: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """(n, 3H), (n, H) -> (n, H)."""
        r_x, z_x, n_x = product.chunk(3, 1)
        r_h, z_h, n_h = F.linear(hidden, weight, bias).chunk(3, 1)
        r, z = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
        n = torch.tanh(n_x + r * n_h)
        return (1 - z) * n + z * hidden


def scratch_rnn(
    facts: SequenceFacts,
    *,
    hidden_size: int = 128,
    embedding_size: int = 64,
    num_layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    nonlinearity: Literal["tanh", "relu"] = "tanh",
    hoist: bool = False,
) -> SequenceModel:
    """The model `rnn` as a Python loop over time. Tokens (B, T) -> logits (B, C).

    `dropout` acts between layers; with a single layer it raises ValueError. `nonlinearity` is the activation of the
    state. `hoist` computes the product with the input for all steps at once, before the loop.
    """
    return classifier(
        facts, ScratchRNN, embedding_size, hidden_size, num_layers, bidirectional, dropout,
        nonlinearity=nonlinearity, hoist=hoist,
    )  # fmt: skip


def scratch_lstm(
    facts: SequenceFacts,
    *,
    hidden_size: int = 128,
    embedding_size: int = 64,
    num_layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    hoist: bool = False,
) -> SequenceModel:
    """The model `lstm` as a Python loop over time. Tokens (B, T) -> logits (B, C).

    `dropout` acts between layers; with a single layer it raises ValueError. `hoist` computes the product with the input
    for all steps at once, before the loop.
    """
    return classifier(facts, ScratchLSTM, embedding_size, hidden_size, num_layers, bidirectional, dropout, hoist=hoist)


def scratch_gru(
    facts: SequenceFacts,
    *,
    hidden_size: int = 128,
    embedding_size: int = 64,
    num_layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    hoist: bool = False,
) -> SequenceModel:
    """The model `gru` as a Python loop over time. Tokens (B, T) -> logits (B, C).

    `dropout` acts between layers; with a single layer it raises ValueError. `hoist` computes the product with the input
    for all steps at once, before the loop.
    """
    return classifier(facts, ScratchGRU, embedding_size, hidden_size, num_layers, bidirectional, dropout, hoist=hoist)
