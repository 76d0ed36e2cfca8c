"""Calls the function of an experiment and checks what it returns.

The function is called once for the data, under seed 0, so that all processes and seeds have the same examples; and once
for each model, under the seed of the trial.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from harness.errors import UserError
from harness.measure.runtime.experiments.batches import data_of
from harness.measure.runtime.experiments.model import ExperimentModel, all_optimizers
from harness.plugins.code_files import function_of
from harness.plugins.experiment import FROM, RETURNS, SEED, Experiment, place_of
from harness.plugins.parts import Data, is_name

FUNCTIONS = ("predict", "criterion", "step", "evaluate", "collate")


def load_data(**parameters: Any) -> Data:
    """The data of an experiment. Raises UserError, and whatever the function raises."""
    experiment, place = call(parameters, 0)
    return data_of(experiment, place)


def build_model(facts: Any, **parameters: Any) -> ExperimentModel:
    """The model of an experiment, under the seed of torch's generator. Raises UserError, and whatever the function
    raises."""
    experiment, place = call(parameters, torch.initial_seed())
    return ExperimentModel(experiment, place)


def call(parameters: Mapping[str, Any], seed: int) -> tuple[Experiment, str]:
    """What the function returns, and the file and line of the function. Raises UserError if it is no experiment."""
    function = function_of(parameters[FROM])
    known = inspect.signature(function).parameters
    values = {
        name: value
        for name, value in parameters.items()
        if name != FROM and not (name in known and is_default(value, known[name].default))
    }
    if SEED in known and SEED not in values and known[SEED].default is not inspect.Parameter.empty:
        values[SEED] = seed
    made = function(**values)
    place = place_of(function)
    check(made, parameters[FROM], place)
    return made, place


def is_default(value: Any, default: Any) -> bool:
    """Whether a value from a plan is the default, which may have been a tuple before it was stored."""
    try:
        return bool(json.loads(json.dumps(default)) == value) and type(default) in (type(value), tuple)
    except (TypeError, ValueError):
        return False


def check(made: Any, reference: str, place: str) -> None:
    """Raise UserError, with the place of the function, unless it returned an experiment that can be measured."""

    def wrong(what: str, fix: str) -> UserError:
        return UserError(f"{what}.", where=place, fix=fix)

    if not isinstance(made, Experiment):
        found = "nothing" if made is None else f"a value of type {type(made).__name__}"
        raise wrong(f"{reference} returns {found}; expected a harness.Experiment", RETURNS)
    if not isinstance(made.model, nn.Module):
        what = f"the model of the experiment is a {type(made.model).__name__}; expected a torch.nn.Module"
        raise wrong(what, "Put several modules into one nn.ModuleDict.")
    if not callable(made.loss):
        what = f"the loss of the experiment is a {type(made.loss).__name__}; expected a function"
        raise wrong(what, "Give loss(model, batch), which returns a scalar.")
    for name in FUNCTIONS:
        if getattr(made, name) is not None and not callable(getattr(made, name)):
            raise wrong(f"{name} is a {type(getattr(made, name)).__name__}; expected a function", "See its docstring.")
    check_scores(made, wrong)
    check_optimizers(made, wrong)
    check_settings(made, wrong)


def check_scores(made: Experiment, wrong: Any) -> None:
    """Raise UserError if a score cannot be used."""
    if not isinstance(made.scores, Mapping):
        raise wrong(f"scores is a {type(made.scores).__name__}", "Give a dictionary of functions by name.")
    for name, function in made.scores.items():
        if not is_name(name) or name == "loss" or not callable(function):
            fix = "Give a name other than loss, and a function of (predictions, batch)."
            raise wrong(f"{name!r} is no score of an experiment", fix)
    if made.criterion is not None and made.predict is None:
        raise wrong("the experiment has a criterion, which needs predictions", "Give predict(model, batch) too.")


def check_optimizers(made: Experiment, wrong: Any) -> None:
    """Raise UserError if an optimizer has other parameters than those of the model, or none."""
    if made.optimizer is None:
        return
    own = {id(parameter) for parameter in made.model.parameters()}
    for optimizer in all_optimizers(made.optimizer):
        groups = getattr(optimizer, "param_groups", None)
        if groups is None:
            what = f"the optimizer of the experiment is a {type(optimizer).__name__}"
            raise wrong(what, "Give a torch.optim.Optimizer, or a list of them with an own step.")
        held = list(parameters_in(groups))
        strange = [each for each in held if id(each) not in own]
        if not held or len(strange) == len(held):
            what = f"{type(optimizer).__name__} has no parameter of the model that the function returns"
            raise wrong(what, "Make the optimizer from the parameters of this model, after all changes to it.")
        if strange:
            what = f"{type(optimizer).__name__} has {len(strange)} parameters that are not in the model"
            raise wrong(what, "Put the model and the module that holds them into one nn.ModuleDict.")
    if isinstance(made.optimizer, list | tuple | Mapping) and made.step is None:
        what = f"the experiment has {len(made.optimizer)} optimizers and no step"
        raise wrong(what, "Give step(model, optimizer, batch), which uses them.")


def parameters_in(groups: Iterable[Mapping[str, Any]]) -> Iterable[Any]:
    """The parameters of an optimizer."""
    return (parameter for group in groups for parameter in group["params"])


def check_settings(made: Experiment, wrong: Any) -> None:
    """Raise UserError for a clip, scheduler or state that cannot be used."""
    is_number = isinstance(made.clip, int | float) and not isinstance(made.clip, bool)
    if made.clip is not None and not (is_number and made.clip > 0):
        raise wrong(f"clip is {made.clip!r}", "Give the largest norm of all gradients, a number above 0.")
    if not isinstance(made.scheduler_every, int) or made.scheduler_every < 1:
        raise wrong(f"scheduler_every is {made.scheduler_every!r}", "Give a number of updates, at least 1.")
    if made.step is not None and (made.clip is not None or made.scheduler is not None):
        name = "clip" if made.clip is not None else "scheduler"
        fix = "Do it in step. List the scheduler under state, so that it is saved and restored."
        raise wrong(f"the experiment has an own step, which does not use {name}", fix)
    if isinstance(made.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        fix = "Give a scheduler that counts updates, or step it in an own step."
        raise wrong("ReduceLROnPlateau needs a score at each of its steps", fix)
    if made.scheduler is not None and not callable(made.scheduler) and not hasattr(made.scheduler, "step"):
        what = f"the scheduler is a {type(made.scheduler).__name__}"
        raise wrong(what, "Give a scheduler of the optimizer, or scheduler(optimizer, steps).")
    for one in made.state:
        if not hasattr(one, "state_dict") or not hasattr(one, "load_state_dict"):
            what = f"state has a {type(one).__name__}, which has no state_dict and load_state_dict"
            raise wrong(what, "Give objects that have both, or leave it out.")
