"""Pooling as the readout of a sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from harness import Recipe
from harness_rnn.contract import SequenceModel
from harness_rnn.models.pooling import Pooling, pooled


def pool(recipe: Recipe, *, how: Pooling = "mean") -> Recipe:
    """Read the mean or the maximum over the valid steps, the first step, or the last state (Collobert and Weston 2008).

    `how` selects how the outputs (B, T, D*H) become the input of the head (B, D*H). Last is the default of recurrent
    models: the state of each direction after the last step that it reads. Building the trial raises ValueError for the
    task "steps".
    """

    def readout(model: SequenceModel, outputs: Tensor, final: Tensor, lengths: Tensor) -> Tensor:
        return pooled(how, outputs, final, lengths)

    return read(recipe, readout)


def read(recipe: Recipe, readout: Callable[[SequenceModel, Tensor, Tensor, Tensor], Tensor]) -> Recipe:
    """A recipe with another readout. The task "steps" has none, so building the trial raises ValueError; otherwise two
    identical trials would be compared."""

    def checked(init: Any) -> Any:
        def check_task(model: SequenceModel) -> None:
            if model.facts.per_step:
                raise ValueError(
                    f"{recipe.by} changes the readout of a whole sequence, but this dataset has a label per step"
                )
            init(model)

        return check_task

    return recipe.replace("model.readout", readout).wrap("init", checked)
