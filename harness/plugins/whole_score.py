"""Scores of all predictions at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class WholeScore:
    """A score of all predictions on the test examples at once, such as an F1 score: it is not a mean over examples."""

    #: ``score(*values) -> number``, from the values of all test examples; NaN if it is not defined for them. Or an
    #: object with `reset()`, `update(*values)`, which is called for each batch, and `compute()`, such as a metric of
    #: torchmetrics. It is reset before each evaluation.
    score: Any
    #: ``values(predictions, batch)`` returns what the score needs of a batch: tensors (n, ...), such as the predicted
    #: classes and the labels. For a function they are kept on the CPU until the end of the evaluation.
    values: Callable[[Any, Any], tuple[Any, ...]]
