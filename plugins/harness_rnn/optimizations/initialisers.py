"""Recurrent weights at the start. In every layer and direction, by torch's names and gate order; the draws follow
torch's seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from harness import Recipe


def orthogonal(recipe: Recipe, *, gain: float = 1.0) -> Recipe:
    """Draw each gate's recurrent matrix (H, H) orthogonal, times `gain` (Saxe et al. 2014): repeated multiplication
    then neither shrinks nor stretches. Input weights and biases stay as they are.

    Gate by gate: the stacked matrix (4 H, H) as a whole would have orthogonal columns, and none of its gates would.
    """
    if gain <= 0:
        raise ValueError(f"gain = {gain} is not above 0")

    def draw(model: nn.Module) -> None:
        for weight in recurrent(model, "weight_hh"):
            for gate in weight.split(weight.shape[1]):
                nn.init.orthogonal_(gate, gain)

    return initialised(recipe, draw)


def identity_rnn(recipe: Recipe, *, scale: float = 1.0) -> Recipe:
    """Begin with the identity, times `scale`, for the recurrent matrix and with zero biases, in an RNN of rectified
    linear units: a state then stays until an input changes it (Le, Jaitly and Hinton 2015). Input weights stay as
    they are.

    It needs ``nonlinearity: relu`` of its model, and building the trial raises ValueError for another one.
    """

    def draw(model: nn.Module) -> None:
        mode = model.encoder.rnn.mode
        if mode != "RNN_RELU":
            raise ValueError(f"identity_rnn is for rectified units, and this is {mode}: set nonlinearity: relu")
        for weight in recurrent(model, "weight_hh"):
            weight.copy_(scale * torch.eye(weight.shape[1]))
        for kind in ("bias_ih", "bias_hh"):
            for bias in recurrent(model, kind):
                bias.zero_()

    return initialised(recipe, draw)


def recurrent(model: nn.Module, kind: str) -> Iterator[Tensor]:
    """The parameters ``<kind>_l<layer>`` of every layer and direction."""
    return (parameter for name, parameter in model.named_parameters() if f".{kind}_l" in f".{name}")


def initialised(recipe: Recipe, draw: Callable[[nn.Module], None]) -> Recipe:
    """A recipe that draws after what was initialised before."""

    def around(init: Any) -> Any:
        @torch.no_grad()
        def init_and_draw(model: nn.Module) -> None:
            init(model)
            draw(model)

        return init_and_draw

    return recipe.wrap("init", around)
