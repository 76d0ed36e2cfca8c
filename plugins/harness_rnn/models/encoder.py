"""The encoder of recurrent models, which is exact on padded batches.

`RecurrentEncoder` takes ``nn.RNN``, ``nn.LSTM``, ``nn.GRU`` or a scratch module with the same interface. `run_layer`
computes one layer in one direction; segments and two directions are built from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.weight_norm import WeightNorm

State = Any
"""h (1, n, H); for an LSTM (h, c)."""


class RecurrentEncoder(nn.Module):
    """x (B, T, E), lengths (B,) -> outputs (B, T, D*H), final (B, D*H), carry.

    One direction is one call of the module, since padding after a row cannot affect earlier steps. With two directions,
    the module's backward direction would read the padding first. So layers and directions run one at a time, and each
    row is reversed within its own length. The carry is the state after step T, which is valid only if every row has T
    steps; it is None for two directions.
    """

    def __init__(self, rnn: Any) -> None:
        super().__init__()
        self.rnn = rnn
        self.output_size = state_size(rnn) * (2 if rnn.bidirectional else 1)

    def forward(self, x: Tensor, lengths: Tensor, carry: State = None) -> tuple[Tensor, Tensor, State]:
        """x (B, T, E), lengths (B,) -> outputs (B, T, D*H), final (B, D*H), carry."""
        if not self.rnn.bidirectional:
            outputs, carry = self.rnn(x, carry)
            return outputs, last_valid(outputs, lengths), carry
        outputs, final = run_layers(self.rnn, x, lengths, whole_rows(self.rnn))
        return outputs, final, None


Runner = Callable[[Tensor, int, bool], Tensor]


def whole_rows(rnn: Any) -> Runner:
    """A runner of one layer in one direction over all T steps."""
    return lambda x, layer, reverse: run_layer(rnn, x, zero_state(rnn, x), layer, reverse)[0]


def run_layers(rnn: Any, x: Tensor, lengths: Tensor, run: Runner) -> tuple[Tensor, Tensor]:
    """All layers and directions with dropout between layers: x (B, T, E) -> outputs (B, T, D*H), final (B, D*H).

    `run` computes the outputs (B, T, H) of a layer from its input (B, T, *), from left to right. For the backward
    direction, each row is reversed within its own length before and after.
    """
    index = reversal(lengths, x.shape[1], x.device) if rnn.bidirectional else None
    final = x
    for layer in range(rnn.num_layers):
        if layer and rnn.dropout and rnn.training:
            x = F.dropout(x, rnn.dropout)
        forward = run(x, layer, False)
        if index is None:
            x, final = forward, last_valid(forward, lengths)
        else:
            backward = run(reverse_rows(x, index), layer, True)
            final = torch.cat([last_valid(forward, lengths), last_valid(backward, lengths)], 1)
            x = torch.cat([forward, reverse_rows(backward, index)], 2)
    return x, final


def last_valid(outputs: Tensor, lengths: Tensor) -> Tensor:
    """The output of each row at its last valid step: (B, T, H), (B,) -> (B, H)."""
    rows = torch.arange(len(lengths), device=outputs.device)
    return outputs[rows, (lengths - 1).to(outputs.device)]


def reversal(lengths: Tensor, steps: int, device: torch.device) -> Tensor:
    """Flat positions (B*T,) that reverse each row within its length and leave padding in place."""
    at = torch.arange(steps)
    ends = lengths[:, None]
    within = torch.where(at < ends, ends - 1 - at, at)
    return (within + torch.arange(len(lengths))[:, None] * steps).flatten().to(device)


class _Reverse(torch.autograd.Function):
    """A permutation that is its own inverse, so that its backward pass is the same gather and needs no scatter."""

    @staticmethod
    def forward(context: Any, x: Tensor, index: Tensor) -> Tensor:
        context.save_for_backward(index)
        return x.flatten(0, 1).index_select(0, index).view_as(x)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (index,) = context.saved_tensors
        return _Reverse.apply(gradient, index), None


def reverse_rows(x: Tensor, index: Tensor) -> Tensor:
    """Reverse each row of x (B, T, H) by an index from `reversal`."""
    return _Reverse.apply(x.contiguous(), index)  # type: ignore[no-any-return, no-untyped-call]


def zero_state(rnn: Any, x: Tensor) -> State:
    """The zero state before the first step of x (n, T, *)."""
    h = x.new_zeros(1, x.shape[0], state_size(rnn))
    return (h, x.new_zeros(1, x.shape[0], rnn.hidden_size)) if is_lstm(rnn) else h


def state_size(rnn: Any) -> int:
    """The size H of the state h, and of the outputs of one direction: the `proj_size` of nn.LSTM if it is set."""
    return getattr(rnn, "proj_size", 0) or rnn.hidden_size  # type: ignore[no-any-return]


def is_lstm(rnn: Any) -> bool:
    """Whether the module's state is a pair (h, c)."""
    return getattr(rnn, "mode", "") == "LSTM"


def first_rows(state: State, rows: int) -> State:
    """The state of the first rows: (1, n, H) -> (1, rows, H)."""
    if isinstance(state, tuple):
        return tuple(first_rows(one, rows) for one in state)
    return state[:, :rows].contiguous()


def layer_of(state: State, index: int) -> State:
    """The part (1, n, H) of one layer and direction in the state (L*D, n, H) of a module."""
    if isinstance(state, tuple):
        return tuple(one[index : index + 1] for one in state)
    return state[index : index + 1]


def layer_weights(rnn: Any, layer: int, reverse: bool) -> list[Tensor]:
    """weight_ih and weight_hh of one layer in one direction, then bias_ih and bias_hh, then weight_hr; without those
    that the module does not have. Raises ValueError if the module has hooks, which only a call of it would run."""
    for hook in rnn._forward_pre_hooks.values():
        if not isinstance(hook, WeightNorm):
            raise ValueError(
                f"the recurrent module has a hook ({type(hook).__name__}) that runs when the module is called, but "
                f"here its layers run one by one; use one direction, and leave out segment"
            )
        setattr(rnn, hook.name, hook.compute_weight(rnn))
    suffix = f"_l{layer}{'_reverse' if reverse else ''}"
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"]
    return [getattr(rnn, name + suffix) for name in names if hasattr(rnn, name + suffix)]


def run_layer(rnn: Any, x: Tensor, state: State, layer: int, reverse: bool) -> tuple[Tensor, State]:
    """One layer in one direction, from left to right: x (n, t, *), state -> outputs (n, t, H), state.

    `reverse` only selects the weights. torch's modules run their fused kernel, scratch modules their loop.
    """
    if isinstance(rnn, torch.jit.ScriptModule):
        raise ValueError("the recurrent module is scripted (torch.jit.script), so its layers cannot run one by one")
    weights = layer_weights(rnn, layer, reverse)
    if not isinstance(rnn, nn.RNNBase):
        return rnn.loop(x, state, weights)  # type: ignore[no-any-return]
    settings = (rnn.bias, 1, 0.0, rnn.training, False, True)  # layers, dropout, train, two directions, batch first
    if rnn.mode == "LSTM":
        outputs, h, c = torch.lstm(x, state, weights, *settings)
        return outputs, (h, c)
    kernel = {"GRU": torch.gru, "RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu}[rnn.mode]
    return kernel(x, state, weights, *settings)  # type: ignore[no-any-return, operator]
