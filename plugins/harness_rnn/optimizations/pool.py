"""Other readouts: what the head reads of a whole sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from harness import Recipe
from harness_rnn.contract import SequenceModel
from harness_rnn.models.pooling import Pooling, pooled


def pool(recipe: Recipe, *, how: Pooling = "mean") -> Recipe:
    """Read the mean or the maximum over the valid steps, the first step, or the last, which for recurrent nets is what
    they read anyway: each direction's state after its own last step."""

    def readout(model: SequenceModel, outputs: Tensor, final: Tensor, lengths: Tensor) -> Tensor:
        return pooled(how, outputs, final, lengths)

    return read(recipe, readout)


def read(recipe: Recipe, readout: Callable[[SequenceModel, Tensor, Tensor, Tensor], Tensor]) -> Recipe:
    """Replace the model's readout. Where each step is asked about there is none: building the trial raises
    ValueError then, lest two trials that are one and the same be compared."""

    def checked(init: Any) -> Any:
        def check_task(model: SequenceModel) -> None:
            if model.facts.task == "steps":
                raise ValueError(f"{recipe.by} changes what is read of a whole sequence; this dataset asks each step")
            init(model)

        return check_task

    return recipe.replace("model.readout", readout).wrap("init", checked)
