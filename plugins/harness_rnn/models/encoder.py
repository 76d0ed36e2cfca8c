"""A recurrent module as the contract's encoder, exact on padded batches.

`RecurrentEncoder` takes torch's ``nn.RNN``, ``nn.LSTM``, ``nn.GRU`` or a scratch module of the same form. One layer in
one direction at a time (`run_layer`) is what cutting and two directions are built from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

State = Any
"""h (1, n, H), or (h, c) for an LSTM."""


class RecurrentEncoder(nn.Module):
    """x (B, T, E), lengths (B,) -> outputs (B, T, D*H), final (B, D*H), carry.

    A single direction is one call of the module: what follows a row's last step cannot reach what came before. With
    two directions the module itself would let the backward one read the pads first, so layers and directions run one
    at a time, each row turned round within its own length. The carry is the state after step T: it means something
    only where every row is T long.
    """

    def __init__(self, rnn: Any) -> None:
        super().__init__()
        self.rnn = rnn
        self.output_size = rnn.hidden_size * (2 if rnn.bidirectional else 1)

    def forward(self, x: Tensor, lengths: Tensor, carry: State = None) -> tuple[Tensor, Tensor, State]:
        """See the class."""
        if not self.rnn.bidirectional:
            outputs, carry = self.rnn(x, carry)
            return outputs, last_valid(outputs, lengths), carry
        outputs, final = run_layers(self.rnn, x, lengths, whole_rows(self.rnn))
        return outputs, final, None


Runner = Callable[[Tensor, int, bool], Tensor]


def whole_rows(rnn: Any) -> Runner:
    """Runs one layer in one direction over all of T."""
    return lambda x, layer, reverse: run_layer(rnn, x, zero_state(rnn, x), layer, reverse)[0]


def run_layers(rnn: Any, x: Tensor, lengths: Tensor, run: Runner) -> tuple[Tensor, Tensor]:
    """All layers and directions, dropout between layers; returns outputs (B, T, D*H) and final (B, D*H).

    `run` takes a layer's input (B, T, *) to its outputs (B, T, H) from left to right; for the backward direction each
    row is turned round within its own length before and after.
    """
    turned = turn_index(lengths, x.shape[1], x.device) if rnn.bidirectional else None
    final = x
    for layer in range(rnn.num_layers):
        if layer and rnn.dropout and rnn.training:
            x = F.dropout(x, rnn.dropout)
        forth = run(x, layer, False)
        if turned is None:
            x, final = forth, last_valid(forth, lengths)
        else:
            back = run(turn(x, turned), layer, True)
            final = torch.cat([last_valid(forth, lengths), last_valid(back, lengths)], 1)
            x = torch.cat([forth, turn(back, turned)], 2)
    return x, final


def last_valid(outputs: Tensor, lengths: Tensor) -> Tensor:
    """Each row's output at its last valid step: (B, T, H), (B,) -> (B, H)."""
    rows = torch.arange(len(lengths), device=outputs.device)
    return outputs[rows, (lengths - 1).to(outputs.device)]


def turn_index(lengths: Tensor, steps: int, device: torch.device) -> Tensor:
    """Flat positions (B*T,) that turn each row round within its length and leave pads where they are."""
    at = torch.arange(steps)
    ends = lengths[:, None]
    within = torch.where(at < ends, ends - 1 - at, at)
    return (within + torch.arange(len(lengths))[:, None] * steps).flatten().to(device)


class _Turn(torch.autograd.Function):
    """A permutation that is its own inverse, so its backward is itself: one gather, no scatter."""

    @staticmethod
    def forward(context: Any, x: Tensor, index: Tensor) -> Tensor:
        context.save_for_backward(index)
        return x.flatten(0, 1).index_select(0, index).view_as(x)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (index,) = context.saved_tensors
        return _Turn.apply(gradient, index), None


def turn(x: Tensor, index: Tensor) -> Tensor:
    """Turn each row of x (B, T, H) round by `turn_index`."""
    return _Turn.apply(x.contiguous(), index)  # type: ignore[no-any-return, no-untyped-call]


def zero_state(rnn: Any, x: Tensor) -> State:
    """The state before the first step, for x (n, T, *)."""
    h = x.new_zeros(1, x.shape[0], rnn.hidden_size)
    return (h, torch.zeros_like(h)) if is_lstm(rnn) else h


def is_lstm(rnn: Any) -> bool:
    """Whether the module's state is a pair (h, c)."""
    return getattr(rnn, "mode", "") == "LSTM"


def first_rows(state: State, rows: int) -> State:
    """The state of the first rows only: (1, n, H) -> (1, rows, H)."""
    if isinstance(state, tuple):
        return tuple(first_rows(one, rows) for one in state)
    return state[:, :rows].contiguous()


def layer_of(state: State, index: int) -> State:
    """One layer's and direction's part (1, n, H) of a module's whole state (L*D, n, H)."""
    if isinstance(state, tuple):
        return tuple(one[index : index + 1] for one in state)
    return state[index : index + 1]


def layer_weights(rnn: Any, layer: int, reverse: bool) -> list[Tensor]:
    """weight_ih, weight_hh, bias_ih and bias_hh of one layer in one direction, by torch's names."""
    suffix = f"_l{layer}{'_reverse' if reverse else ''}"
    return [getattr(rnn, name + suffix) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]


def run_layer(rnn: Any, x: Tensor, state: State, layer: int, reverse: bool) -> tuple[Tensor, State]:
    """One layer in one direction from left to right: x (n, t, *) and state to outputs (n, t, H) and state.

    `reverse` chooses the weights only. torch's modules run their fused kernel, scratch modules their loop.
    """
    weights = layer_weights(rnn, layer, reverse)
    if not isinstance(rnn, nn.RNNBase):
        return rnn.loop(x, state, weights)  # type: ignore[no-any-return]
    settings = (True, 1, 0.0, rnn.training, False, True)  # biases, layers, dropout, train, two directions, batch first
    if rnn.mode == "LSTM":
        outputs, h, c = torch.lstm(x, state, weights, *settings)
        return outputs, (h, c)
    kernel = {"GRU": torch.gru, "RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu}[rnn.mode]
    return kernel(x, state, weights, *settings)  # type: ignore[no-any-return, operator]
