"""What a level has in common with its baseline under one seed: initial weights, and the loss function."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from harness.measure.runtime.builder import BuiltTrial, TrialBuilder, copy_weights, tensors_of
from harness.measure.runtime.dtypes import is_inexact, lower_of
from harness.measure.runtime.evaluation import evaluating
from harness.measure.runtime.experiments.model import ExperimentModel
from harness.records.plan import Spec, Trial

#: Two losses are the same function if they agree up to this share, given the same predictions.
ROUNDING = 1e-5


def shared_weights(built: BuiltTrial, baseline: BuiltTrial) -> dict[str, Any]:
    """The names of the tensors, parameters and buffers, that are equal in both models, and how many the level has;
    empty if all are equal."""
    ours, theirs = tensors_of(built.model), tensors_of(baseline.model)
    shared = [name for name in ours if name in theirs and is_same(ours[name], theirs[name])]
    return {} if len(shared) == len(ours) else {"shared": shared, "tensors": len(ours)}


def is_same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether shapes and all values are equal. If one tensor has fewer bits, the other is rounded to its dtype."""
    if is_inexact(one) and is_inexact(other) and one.is_complex() == other.is_complex():
        lower = lower_of(one.dtype, other.dtype)
        one, other = one.to(lower), other.to(lower)
    return one.dtype == other.dtype and bool(torch.equal(one, other))


def own_objective(built: BuiltTrial, baseline: BuiltTrial, builder: TrialBuilder, examples: Sequence[Any]) -> str:
    """Why the losses of two models cannot be compared; empty if they are the same function.

    They are the same if they are equal given the same predictions. These come from equal weights, or else replace
    `predict`. If a loss does not call `predict`, the code of both losses and the plain values that it reads must be the
    same.
    """
    pair = (built, baseline)
    with evaluating(built), evaluating(baseline):
        for losses in (with_same_weights(*pair, examples), with_same_predictions(*pair, examples)):
            if losses:
                equal = all(math.isclose(one, other, rel_tol=ROUNDING, abs_tol=1e-9) for one, other in losses)
                return "" if equal else "given the same predictions, its loss differs from that of the baseline"
    codes = [loss_code(each.model) for each in pair]
    changes = [loss_changes(builder, each.trial) for each in pair]
    if codes[0] is not None and codes[0] == codes[1] and changes[0] == changes[1]:
        return ""
    return "its loss may be another function of the predictions than that of the baseline"


Losses = list[tuple[float, float]]
"""The losses of the level and of the baseline, for the same predictions."""


def with_same_weights(built: BuiltTrial, baseline: BuiltTrial, examples: Sequence[Any]) -> Losses:
    """The losses of both with the weights of the baseline; empty if their predictions are then not the same."""
    ours, theirs = tensors_of(built.model), tensors_of(baseline.model)
    if {name: one.shape for name, one in ours.items()} != {name: one.shape for name, one in theirs.items()}:
        return []
    before = {name: tensor.clone() for name, tensor in ours.items()}
    try:
        copy_weights(theirs, built.model)
        one, other = (each.evaluate(each.model, each.batch(examples)) for each in (built, baseline))
        if not all(isinstance(each, torch.Tensor) for each in (one, other)) or one.shape != other.shape:
            return []
        if not torch.allclose(one.float(), other.float(), rtol=ROUNDING / 10, atol=1e-7):
            return []
        return [(loss_of(built, examples), loss_of(baseline, examples))]
    finally:
        copy_weights(before, built.model)


def with_same_predictions(built: BuiltTrial, baseline: BuiltTrial, examples: Sequence[Any]) -> Losses:
    """The losses of both if `predict` returns the predictions of the one, and those of the other; empty if a loss does
    not call `predict`, or fails."""
    found = []
    try:
        for source in (built, baseline):
            predictions = source.model.predict(source.batch(examples))
            losses = [loss_given(predictions, each, examples) for each in (built, baseline)]
            if None in losses:
                return []
            found.append((losses[0] or 0.0, losses[1] or 0.0))
    except Exception:  # the code of a plugin may raise anything if predictions have an unexpected form
        return []
    return found


def loss_given(predictions: Any, built: BuiltTrial, examples: Sequence[Any]) -> float | None:
    """The loss if `predict` returns these predictions; None if the loss does not call it."""
    own = vars(built.model).get("predict")
    called = []

    def predict(*_: Any) -> Any:
        called.append(True)
        return predictions

    built.model.predict = predict
    try:
        loss = loss_of(built, examples)
    finally:
        del built.model.predict
        if own is not None:
            built.model.predict = own
    return loss if called else None


def loss_of(built: BuiltTrial, examples: Sequence[Any]) -> float:
    """The loss of these examples as one batch."""
    return float(built.forward(built.model, built.batch(examples)))


def loss_code(model: torch.nn.Module) -> tuple[Any, ...] | None:
    """The code of the model's loss, and the plain values of the attributes that it reads; None if it has no code."""
    if isinstance(model, ExperimentModel):
        return model.loss_identity()
    function = getattr(model.loss, "__func__", model.loss)
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    read = [(name, plain_values(getattr(model, name, None))) for name in code.co_names]
    return code, read


def plain_values(value: Any) -> Any:
    """A number or a text; of a module, its numbers and texts."""
    if isinstance(value, torch.nn.Module):
        return [(name, one) for name, one in vars(value).items() if isinstance(one, int | float | str)]
    return value if isinstance(value, int | float | str) else None


def loss_changes(builder: TrialBuilder, trial: Trial) -> list[Spec]:
    """The optimizations of a trial that change its loss."""
    changes = builder.recipe(trial).changes
    names = {change.by for seam in ("forward", "model.loss") for change in changes.get(seam, ())}
    return [spec for spec in trial.use if spec.name in names]
