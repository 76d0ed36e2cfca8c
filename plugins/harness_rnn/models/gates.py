"""What a recurrent module's gates and states do on a batch: how long it remembers, and where it is saturated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from harness_rnn.models.encoder import layer_weights, run_layer, run_layers, zero_state

#: A gate counts as saturated nearer than this to 0 or 1, the state of a tanh unit nearer than this to -1 or 1.
EDGE = 0.05
#: The names of a cell's gates in torch's order; "" for what is no gate but a candidate for the state.
GATES = {"LSTM": ("input", "forget", "", "output"), "GRU": ("reset", "update", "")}
#: The gate that says how much of the old state a step keeps.
KEEPS = {"LSTM": "forget", "GRU": "update"}


@torch.no_grad()
def gate_statistics(rnn: Any, x: Tensor, lengths: Tensor) -> Mapping[str, float]:
    """Over all layers and directions of torch's or a scratch module, at the valid steps of x (B, T, E):

    - LSTM: ``<gate>_gate_saturated``, the share of values below 0.05 or above 0.95, of the input, forget and output
      gate; ``forget_gate_mean``; ``forget_half_life``, in steps: after ln(1/2) / ln(f) of them half of a cell's value
      is left, f being the unit's mean forget gate; the median over units.
    - GRU: the same of the reset and update gate, where the update gate z is what is kept: h' = (1 - z) n + z h.
    - RNN with tanh: ``state_saturated``, the share of abs(h) > 0.95; with relu: ``dead_units``, the share of units that
      are zero at every valid step.

    Shares lie in 0..1. A module of another kind has none of these.
    """
    mode = getattr(rnn, "mode", "")
    seen = layers(rnn, x, lengths) if mode in GATES or mode.startswith("RNN_") else []
    if mode == "RNN_TANH":
        return {"state_saturated": share([(states.abs() > 1 - EDGE) for _, states in seen])}
    if mode == "RNN_RELU":
        return {"dead_units": share([(states == 0).all(0) for _, states in seen])}
    found = {}
    for index, name in enumerate(GATES.get(mode, ())):
        if not name:
            continue
        gates = [torch.sigmoid(sums.chunk(len(GATES[mode]), 1)[index]) for sums, _ in seen]
        found[f"{name}_gate_saturated"] = share([(gate < EDGE) | (gate > 1 - EDGE) for gate in gates])
        if name == KEEPS[mode]:
            kept = torch.cat([gate.double().mean(0) for gate in gates])  # of each unit
            found[f"{name}_gate_mean"] = float(kept.mean())
            lives = math.log(0.5) / kept.clamp(1e-9, 1 - 1e-9).log()
            found[f"{name}_half_life"] = float(lives.quantile(0.5))
    return found


def layers(rnn: Any, x: Tensor, lengths: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Of each layer and direction, at the valid steps: what its gates sum up, (steps, gates*H), and its states h,
    (steps, H).

    What a gate sums up depends on a step's input and on the state before it. The module itself has computed these
    states, so all steps take one product.
    """
    found = []
    valid = (torch.arange(x.shape[1]) < lengths[:, None]).to(x.device)

    def run(inputs: Tensor, layer: int, reverse: bool) -> Tensor:
        outputs = run_layer(rnn, inputs, zero_state(rnn, inputs), layer, reverse)[0]
        weight_ih, weight_hh, bias_ih, bias_hh = layer_weights(rnn, layer, reverse)
        before = F.pad(outputs, (0, 0, 1, 0))[:, :-1]  # zero before the first step
        sums = F.linear(inputs[valid], weight_ih, bias_ih) + F.linear(before[valid], weight_hh, bias_hh)
        found.append((sums, outputs[valid]))
        return outputs

    run_layers(rnn, x, lengths, run)
    return found


def share(marks: list[Tensor]) -> float:
    """How many are true, as a share."""
    return float(torch.cat([mark.flatten() for mark in marks]).double().mean())
