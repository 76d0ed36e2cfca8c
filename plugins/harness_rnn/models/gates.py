"""Statistics of the gates and states of a recurrent module: memory and saturation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from harness_rnn.models.encoder import layer_weights, run_layer, run_layers, zero_state

#: A gate is saturated within this distance of 0 or 1, the state of a tanh unit within this distance of -1 or 1.
EDGE = 0.05
#: The gates of each cell in torch's order; "" is the candidate for the state, which is not a gate.
GATES = {"LSTM": ("input", "forget", "", "output"), "GRU": ("reset", "update", "")}
#: The gate that multiplies the old state.
RETAINS = {"LSTM": "forget", "GRU": "update"}


@torch.no_grad()
def gate_statistics(rnn: Any, x: Tensor, lengths: Tensor) -> Mapping[str, float]:
    """Statistics over all layers and directions at the valid steps of x (B, T, E):

    - LSTM: ``<gate>_gate_saturated``, the share of values below 0.05 or above 0.95, for the input, forget and output
      gate; ``forget_gate_mean``; ``forget_half_life``, the median over units of ln(1/2) / ln(f), where f is the mean
      forget gate of a unit: the number of steps after which half of a cell's value is left.
    - GRU: the same for the reset and update gate. The update gate z retains the state: h' = (1 - z) n + z h.
    - RNN with tanh: ``state_saturated``, the share of abs(h) > 0.95.
    - RNN with relu: ``dead_units``, the share of units that are zero at every valid step.

    Shares lie in 0..1. Other modules have no statistics.
    """
    mode = getattr(rnn, "mode", "")
    computed = layers(rnn, x, lengths) if mode in GATES or mode.startswith("RNN_") else []
    if mode == "RNN_TANH":
        return {"state_saturated": share([states.abs() > 1 - EDGE for _, states in computed])}
    if mode == "RNN_RELU":
        return {"dead_units": share([(states == 0).all(0) for _, states in computed])}
    found = {}
    for index, name in enumerate(GATES.get(mode, ())):
        if not name:
            continue
        gates = [torch.sigmoid(sums.chunk(len(GATES[mode]), 1)[index]) for sums, _ in computed]
        found[f"{name}_gate_saturated"] = share([(gate < EDGE) | (gate > 1 - EDGE) for gate in gates])
        if name == RETAINS[mode]:
            retained = torch.cat([gate.double().mean(0) for gate in gates])  # one value per unit
            found[f"{name}_gate_mean"] = float(retained.mean())
            lives = math.log(0.5) / retained.clamp(1e-9, 1 - 1e-9).log()
            found[f"{name}_half_life"] = float(lives.quantile(0.5))
    return found


def layers(rnn: Any, x: Tensor, lengths: Tensor) -> list[tuple[Tensor, Tensor]]:
    """For each layer and direction, at the valid steps: the gates before their activation, (steps, gates*H), and the
    states h, (steps, H).

    A gate depends on the input of its step and on the state before it. The module computes the states, so that one
    product gives the gates of all steps.
    """
    found = []
    valid = (torch.arange(x.shape[1]) < lengths[:, None]).to(x.device)

    def run(inputs: Tensor, layer: int, reverse: bool) -> Tensor:
        outputs = run_layer(rnn, inputs, zero_state(rnn, inputs), layer, reverse)[0]
        weight_ih, weight_hh, *others = layer_weights(rnn, layer, reverse)
        bias_ih, bias_hh = others[:2] if getattr(rnn, "bias", True) else (None, None)
        before = F.pad(outputs, (0, 0, 1, 0))[:, :-1]  # zero before the first step
        sums = F.linear(inputs[valid], weight_ih, bias_ih) + F.linear(before[valid], weight_hh, bias_hh)
        found.append((sums, outputs[valid]))
        return outputs

    run_layers(rnn, x, lengths, run)
    return found


def share(masks: list[Tensor]) -> float:
    """The share of elements that are true."""
    return float(torch.cat([mask.flatten() for mask in masks]).double().mean())
