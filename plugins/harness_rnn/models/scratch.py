"""Recurrent cells from scratch, as tutorials write them: a loop over time with two linear maps a step.

Parameters have torch's names, shapes, gate order and initialisation, so state dicts interchange with ``nn.RNN``,
``nn.LSTM`` and ``nn.GRU``, and results can be compared to rounding.
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
    """What the three cells share: parameters, layers, directions, dropout between layers.

    Called like torch's modules: x (B, T, E) and a state (h of shape (L*D, B, H), or (h, c)) give outputs (B, T, D*H)
    and the final state. `hoist` computes the input's part of all steps in one product before the loop.
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
            raise ValueError("scratch modules take batch_first=True only")
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
        """All layers and directions over rows that are all T long."""
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
        """One layer in one direction: x (n, t, *) and state (1, n, H) to outputs (n, t, H) and state."""
        weight_ih, weight_hh, bias_ih, bias_hh = weights
        hidden = tuple(one[0] for one in state) if isinstance(state, tuple) else state[0]
        inputs = (F.linear(x, weight_ih, bias_ih) if self.hoist else x).unbind(1)
        outputs = []
        for step in inputs:
            ours = step if self.hoist else F.linear(step, weight_ih, bias_ih)
            hidden = self.cell(ours, hidden, weight_hh, bias_hh)
            outputs.append(hidden[0] if isinstance(hidden, tuple) else hidden)
        end = tuple(one[None] for one in hidden) if isinstance(hidden, tuple) else hidden[None]
        return torch.stack(outputs, 1), end

    @abstractmethod
    def cell(self, ours: Tensor, hidden: Any, weight: Tensor, bias: Tensor) -> Any:
        """One step: the input's part of the gates (n, gates*H) and the hidden state to the next one."""


class ScratchRNN(ScratchModule):
    """h' = tanh(W x + b + U h + c), or relu (Elman 1990)."""

    def __init__(self, *sizes: int, nonlinearity: Literal["tanh", "relu"] = "tanh", **settings: Any) -> None:
        super().__init__(*sizes, **settings)
        self.mode = f"RNN_{nonlinearity.upper()}"
        self.activation = torch.tanh if nonlinearity == "tanh" else torch.relu

    def cell(self, ours: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """(n, H), (n, H) -> (n, H)."""
        return self.activation(ours + F.linear(hidden, weight, bias))


class ScratchLSTM(ScratchModule):
    """i, f, g, o from x and h; c' = f c + i g; h' = o tanh(c') (Hochreiter and Schmidhuber 1997, with Gers's forget
    gate)."""

    gates = 4
    mode = "LSTM"

    def zero_state(self, x: Tensor) -> State:
        """h and c before the first step."""
        h = super().zero_state(x)
        return h, torch.zeros_like(h)

    def cell(self, ours: Tensor, hidden: tuple[Tensor, Tensor], weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 4H), h and c (n, H) -> h and c (n, H)."""
        h, c = hidden
        i, f, g, o = (ours + F.linear(h, weight, bias)).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class ScratchGRU(ScratchModule):
    """r, z, n as torch computes them: n = tanh(W x + b + r (U h + c)); h' = (1 - z) n + z h (Cho et al. 2014)."""

    gates = 3
    mode = "GRU"

    def cell(self, ours: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """(n, 3H), (n, H) -> (n, H)."""
        r_x, z_x, n_x = ours.chunk(3, 1)
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
    """The model `rnn` with its loop over time written out. Tokens (B, T) -> logits (B, C).

    `hoist` takes the input's product out of the loop: the same result, one large product for many small ones.
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
    """The model `lstm` with its loop over time written out. Tokens (B, T) -> logits (B, C).

    `hoist` takes the input's product out of the loop: the same result, one large product for many small ones.
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
    """The model `gru` with its loop over time written out. Tokens (B, T) -> logits (B, C).

    `hoist` takes the input's product out of the loop: the same result, one large product for many small ones.
    """
    return classifier(facts, ScratchGRU, embedding_size, hidden_size, num_layers, bidirectional, dropout, hoist=hoist)
