"""The tutorial's wrong readout."""

from __future__ import annotations

from torch import Tensor

from harness import Recipe
from harness_rnn.contract import SequenceModel


def last_naive(recipe: Recipe) -> Recipe:
    """Read ``outputs[:, -1]``: after padding, the state has read the pads of every row but the longest.

    It is here to be shown for what it is: another answer, never ranked.
    """

    def readout(model: SequenceModel, outputs: Tensor, final: Tensor, lengths: Tensor) -> Tensor:
        return outputs[:, -1]

    return recipe.replace("model.readout", readout)
