"""Readouts that are common mistakes."""

from __future__ import annotations

from torch import Tensor

from harness import Recipe
from harness_rnn.contract import SequenceModel
from harness_rnn.models.encoder import last_valid
from harness_rnn.optimizations.pool import read


def last_naive(recipe: Recipe) -> Recipe:
    """Read ``outputs[:, -1]``, (B, D*H): the state after the padding of every row except the longest.

    For one direction it is the ``hidden[-1]`` of tutorials. It shows the effect of this mistake: the predictions are
    different, so the trial is not ranked. Building the trial raises ValueError for the task "steps".
    """

    def readout(model: SequenceModel, outputs: Tensor, final: Tensor, lengths: Tensor) -> Tensor:
        return outputs[:, -1]

    return read(recipe, readout)


def last_step(recipe: Recipe) -> Recipe:
    """Read the outputs of both directions at the last valid step of each row, (B, D*H).

    For one direction this is the default. For two directions it is a mistake: the backward direction starts at that
    step, so it has read a single token. `pool` with `how: last` reads each direction at its own end. Padding has no
    effect, so it is a valid model, but a weaker one. Building the trial raises ValueError for the task "steps".
    """

    def readout(model: SequenceModel, outputs: Tensor, final: Tensor, lengths: Tensor) -> Tensor:
        return last_valid(outputs, lengths)

    return read(recipe, readout)
