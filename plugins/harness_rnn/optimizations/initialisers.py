"""Initialisers of recurrent weights in every layer and direction. They use torch's random generator."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from harness import Recipe


def orthogonal(recipe: Recipe, *, gain: float = 1.0) -> Recipe:
    """Draw the recurrent matrix (H, H) of each gate as an orthogonal matrix, multiplied by `gain` (Saxe et al. 2014).

    Repeated products with an orthogonal matrix neither shrink nor grow. Gates are drawn one by one, because a gate of
    an orthogonal stacked matrix (4 H, H) is not orthogonal. Input weights and biases do not change. Raises ValueError
    if `gain` is not above 0.
    """
    if gain <= 0:
        raise ValueError(f"gain = {gain}: it must be above 0")

    def draw(model: nn.Module) -> None:
        for weight in recurrent(model, "weight_hh"):
            for gate in weight.split(model.encoder.rnn.hidden_size):
                nn.init.orthogonal_(gate, gain)

    return initialised(recipe, draw)


def identity_rnn(recipe: Recipe, *, scale: float = 1.0) -> Recipe:
    """Initialise a ReLU RNN with the identity, multiplied by `scale`, as recurrent matrix, and with zero biases.

    The state h (B, H) then stays the same until an input changes it (Le, Jaitly and Hinton 2015). Input weights do not
    change. Building the trial raises ValueError unless the model has ``nonlinearity: relu``.
    """

    def draw(model: nn.Module) -> None:
        mode = model.encoder.rnn.mode
        if mode != "RNN_RELU":
            raise ValueError(f"identity_rnn needs a model with nonlinearity: relu, but this one is {mode}")
        for weight in recurrent(model, "weight_hh"):
            weight.copy_(scale * torch.eye(weight.shape[1]))
        for kind in ("bias_ih", "bias_hh"):
            for bias in recurrent(model, kind):
                bias.zero_()

    return initialised(recipe, draw)


def recurrent(model: nn.Module, kind: str) -> Iterator[Tensor]:
    """The parameters ``<kind>_l<layer>`` of every layer and direction. Raises ValueError if there are none, because an
    initialiser would then change nothing."""
    wanted = re.compile(rf"(.*\.)?{kind}_l\d+(_reverse)?")
    found = [parameter for name, parameter in model.named_parameters() if wanted.fullmatch(name)]
    if not found:
        raise ValueError(
            f"the model has no parameters {kind}_l0, ..., {kind}_l<layer>: it may have no biases, or compute them, as "
            f"weight normalization does"
        )
    return iter(found)


def initialised(recipe: Recipe, draw: Callable[[nn.Module], None]) -> Recipe:
    """A recipe that calls `draw` after the initialisers that are listed before it."""

    def around(init: Any) -> Any:
        @torch.no_grad()
        def init_and_draw(model: nn.Module) -> None:
            init(model)
            draw(model)

        return init_and_draw

    return recipe.wrap("init", around)
