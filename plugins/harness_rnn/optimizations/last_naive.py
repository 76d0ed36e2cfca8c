"""Wrong readouts that are common."""

from __future__ import annotations

from torch import Tensor

from harness import Recipe
from harness_rnn.contract import SequenceModel
from harness_rnn.models.encoder import last_valid
from harness_rnn.optimizations.pool import read


def last_naive(recipe: Recipe) -> Recipe:
    """Read ``outputs[:, -1]``: after padding, the state has read the pads of every row but the longest. In one
    direction it is the ``hidden[-1]`` of tutorials.

    It is here to be shown for what it is: another answer, never ranked.
    """

    def readout(model: SequenceModel, outputs: Tensor, final: Tensor, lengths: Tensor) -> Tensor:
        return outputs[:, -1]

    return read(recipe, readout)


def last_step(recipe: Recipe) -> Recipe:
    """Read the outputs of each row's last valid step, in both directions.

    For one direction that is right, and what is read anyway. Of two it is a mistake that no padding is to blame for:
    the backward half begins at that step, so it has read one token. `pool` with `how: last` reads each direction at
    its own end. Pads have no say in it, so it is a model like others, only a poorer one.
    """

    def readout(model: SequenceModel, outputs: Tensor, final: Tensor, lengths: Tensor) -> Tensor:
        return last_valid(outputs, lengths)

    return read(recipe, readout)
