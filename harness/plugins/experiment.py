"""Experiments: a model with its optimizer, data and loss, as a function of a user's training script builds them.

A suite names the function in its field `experiment`. The function's signature is the schema of the parameters that the
suite may set. Does not import torch; the function's own module may.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic

from harness.errors import Place, UserError
from harness.plugins.code_files import function_of, location_of, origin_of, parse_reference
from harness.plugins.file_paths import stored_path
from harness.plugins.isolation import error_text
from harness.plugins.signature import REQUIRED, Parameter
from harness.records.plan import canonical_json

#: The name of the model and of the dataset of a trial that is an experiment, and the field of a suite.
EXPERIMENT = "experiment"
#: The field that names the function.
FROM = "from"
#: A parameter of this name gets the seed of the run, unless it has no default.
SEED = "seed"
RETURNS = "Return harness.Experiment(model, optimizer, train, test, loss)."


@dataclass(frozen=True)
class Experiment:
    """What a function returns that is named as ``experiment: {from: train.py:build}``.

    A batch is anything: a tensor, a tuple, a dictionary, a dataclass, a PackedSequence, nested. Every function gets the
    model as an argument and must use this one: each process builds models of its own.
    """

    #: Any ``torch.nn.Module``. Put several into one ``nn.ModuleDict``.
    model: Any
    #: An optimizer, or a list of optimizers for an own `step`. None if nothing is trained.
    optimizer: Any
    #: The training data: a DataLoader; a dataset or a list of examples, with `batch_size`; or an iterable of batches.
    train: Any
    #: The held-out data in any of these forms; None if nothing is evaluated.
    test: Any
    #: ``loss(model, batch)`` returns a scalar. Verification checks it and its gradients.
    loss: Callable[[Any, Any], Any]
    #: Used for evaluation in place of `test`, so that `test` can stay unseen while levels are chosen.
    validation: Any = None
    #: ``predict(model, batch)`` returns predictions. It is what is timed in the mode inference; by default the loss is.
    predict: Callable[[Any, Any], Any] | None = None
    #: ``criterion(predictions, batch)`` returns losses (n,). With it, the score `loss` is the same function for all
    #: levels. It needs `predict`.
    criterion: Callable[[Any, Any], Any] | None = None
    #: By name, a function of ``(predictions, batch)`` with `predict`, and of ``(model, batch)`` without. It returns a
    #: value for each example, (n,), or their mean.
    scores: Mapping[str, Callable[[Any, Any], Any]] = field(default_factory=dict)
    #: A scheduler of the optimizer, or ``scheduler(optimizer, steps)`` that makes one for a run of so many steps.
    scheduler: Any = None
    #: The scheduler steps after this many updates. ``len(loader)`` makes it once an epoch.
    scheduler_every: int = 1
    #: The largest norm of all gradients together, to which they are clipped before each update.
    clip: float | None = None
    #: ``step(model, optimizer, batch)`` returns the loss. It replaces forward pass, backward pass and update.
    step: Callable[[Any, Any, Any], Any] | None = None
    #: ``evaluate(model, batches)`` returns numbers by name. It replaces `criterion` and `scores`.
    evaluate: Callable[[Any, Any], Mapping[str, float]] | None = None
    #: The number of examples in a batch, where the data are a dataset or a list of examples.
    batch_size: int | None = None
    #: ``collate(examples)`` returns a batch, where the data are a dataset or a list of examples. By default it is
    #: torch's ``default_collate``.
    collate: Callable[[Sequence[Any]], Any] | None = None
    #: Other objects with ``state_dict`` and ``load_state_dict`` that a step changes, such as a moving average.
    state: Sequence[Any] = ()


def located_reference(text: Any, folder: Path, where: Place | None) -> str:
    """A reference of a suite, as plans store it: the file relative to the working folder, and not to `folder`, that of
    the suite. Raises UserError for another form, or if there is no such file."""
    if not isinstance(text, str):
        raise UserError(f"expected the name of a function, found {text!r}.", where=where, fix="Write file.py:name.")
    stored = parse_reference(stored_path(parse_reference(text, where).text, folder))
    if stored.is_file:
        location_of(stored, where)
    return stored.text


def parameters_of_experiment(reference: str, where: Place | None = None) -> dict[str, Parameter]:
    """The parameters of a function that a suite may set: those that can be passed by keyword. The type of one without
    an annotation is that of its default. Raises UserError if the function cannot be imported or called by keywords."""
    function = function_of(reference, where)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise UserError(f"{reference}: its signature cannot be read: {error_text(error)}.", where=where) from error
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception:  # an annotation may name anything
        hints = {}
    found = {FROM: Parameter(FROM, str, REQUIRED)}
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            what = f"{reference}: parameter {name!r} is positional-only."
            raise UserError(what, where=place_of(function), fix="Let it be passed by its name.")
        if name == SEED and parameter.default is not REQUIRED:
            continue
        if parameter.default is not REQUIRED and not is_json(parameter.default):
            continue  # such as a function: it always has its default
        found[name] = Parameter(name, type_of(hints.get(name), parameter.default), parameter.default)
    return found


def type_of(annotation: Any, default: Any) -> Any:
    """The type of a parameter: its annotation if values can be checked against it, or else the type of a plain default.
    Any other parameter takes any value."""
    if annotation is not None:
        try:
            pydantic.TypeAdapter(annotation)
        except Exception:  # a class that pydantic does not know, such as torch.device
            return Any
        return annotation
    return type(default) if type(default) in (bool, int, float, str) else Any


def is_json(value: Any) -> bool:
    """Whether a plan can store a value."""
    try:
        canonical_json(value)
    except (TypeError, ValueError):
        return False
    return True


def place_of(function: Callable[..., Any]) -> str:
    """The file and line of a function; its name if it has no code."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{stored_path(code.co_filename, Path())}:{code.co_firstlineno}" if code else repr(function)


def origin(**parameters: Any) -> tuple[str, str]:
    """The file of the function, and a hash of it."""
    return origin_of(parameters[FROM])


def load(**parameters: Any) -> None:
    """Import the file of the function."""
    function_of(parameters[FROM])
