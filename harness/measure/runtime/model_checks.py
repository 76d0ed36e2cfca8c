"""Checks of a model that was just built: can it be measured, and can a method of it be replaced?"""

from __future__ import annotations

from inspect import signature
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from harness.errors import UserError
from harness.plugins.recipe import Recipe

#: The methods that every model has: see `harness.plugins.parts.Model`.
METHODS = ("loss", "predict", "observe")
#: The methods of an optimizer that a training step, a checkpoint and timing call.
OPTIMIZER = ("step", "zero_grad", "state_dict", "load_state_dict")


def check_model(model: nn.Module, name: str) -> None:
    """Raise TypeError if the model lacks a method, and ValueError if some of its weights have no shape yet."""
    for method in METHODS:
        if not callable(getattr(model, method, None)):
            raise TypeError(f"model {name} has no method {method}(batch)")
    lazy = [parameter for parameter, value in model.named_parameters() if is_lazy(value)]
    if lazy:
        raise ValueError(
            f"{lazy[0]} of model {name} gets its shape only in the first call of a lazy module; call this module once "
            f"where the model is built, with zeros of the right size"
        )


def check_optimizer(optimizer: Any, recipe: Recipe) -> None:
    """Raise TypeError unless the default update, if the recipe uses it, can call the optimizer."""
    if optimizer is None or any(change.how == "replace" for change in recipe.changes.get("update", ())):
        return
    kind = type(optimizer).__name__
    missing = [name for name in OPTIMIZER if not callable(getattr(optimizer, name, None))]
    if missing:
        raise TypeError(
            f"the optimizer is a {kind}, which has no method {missing[0]}; return one object that has the methods "
            f"{', '.join(OPTIMIZER)} (and the attribute param_groups)"
        )
    step = getattr(type(optimizer), "step", None)  # not that of the object, which torch's schedules wrap
    try:
        if step is not None:
            signature(step).bind(optimizer)
    except TypeError as error:
        raise TypeError(
            f"a training step calls the step of {kind} once a batch, without a closure ({error}); use an optimizer "
            f"that does not compute the loss itself"
        ) from None


def check_replaceable(model: nn.Module, method: str, by: str) -> None:
    """Raise UserError if the model is scripted: its compiled methods would go on calling the compiled `method`."""
    if isinstance(model, torch.jit.ScriptModule):
        raise UserError(
            f"{by} replaces model.{method}, but the model is scripted (torch.jit.script), so its methods are compiled.",
            fix="Script only submodules of the model, or leave the optimization out.",
        )
