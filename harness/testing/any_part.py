"""Promises of every part: what it says of itself."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from harness.plugins.parts import Skip
from harness.plugins.signature import REQUIRED, check_values
from harness.testing.fresh import ask
from harness.testing.subject import OF_THE_USER, Broken, Subject


def door_without_torch(subject: Subject) -> None:
    """A fresh process yields all parts of the plugin and has not imported torch."""
    if subject.entry.version.startswith("sha256:"):
        raise Skip("a plugin in one file may import torch")
    if opens_with_torch(subject.entry.plugin):
        raise Broken('yielding its parts imports torch; name their code as "module:attribute"')


@cache
def opens_with_torch(plugin: str) -> bool:
    """Asked once for all parts of a plugin."""
    return bool(ask("door", plugin=plugin))


def says_what_it_is(subject: Subject) -> None:
    """A line for `harness list`, and a docstring for `harness describe`."""
    if not subject.part.summary.strip():
        raise Broken("its summary is empty")
    if len(subject.part.summary.splitlines()) > 1:
        raise Broken("its summary has more than one line")
    if not inspect.getdoc(subject.code):
        raise Broken(f"{subject.code.__module__}:{subject.code.__qualname__} has no docstring")


def parameters_have_defaults(subject: Subject) -> None:
    """Each parameter's default is one that a suite may set."""
    for name, parameter in subject.schema.items():
        if parameter.default is REQUIRED:
            if name not in OF_THE_USER:
                raise Broken(f"{name} has no default")
            continue
        _, errors = check_values({name: parameter}, {name: parameter.default}, subject.owner)
        if errors:
            raise Broken(f"the default of {name} would be refused in a suite: {errors[0].what}")


def wrong_parameters_are_refused(subject: Subject) -> str:
    """Values that no parameter can mean are refused by its annotation, before anything is built."""
    for name, parameter in subject.schema.items():
        for value in (object(), {"no": "such"}, [["no"]]):
            if not refused(subject, name, value):
                raise Broken(f"{name} takes {type(value).__name__} {value!r}: {parameter.type_name} is no check")
    return f"{len(subject.schema)} parameters"


def refused(subject: Subject, name: str, value: Any) -> bool:
    """Whether a value is refused; a parameter that is a mapping or a list may take one of the three."""
    annotation = subject.schema[name].type_name
    if isinstance(value, dict | list) and type(value).__name__ in annotation.lower():
        return True
    return bool(check_values({name: subject.schema[name]}, {name: value}, subject.owner)[1])
