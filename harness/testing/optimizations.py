"""Promises of optimizations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from harness.plugins.parts import Recipe, Skip
from harness.testing.against import find_out
from harness.testing.subject import Broken, Subject


def keeps_its_word(subject: Subject) -> str:
    """Held against the same trial without it, it changes no more than it says, as before every run."""
    finding = find_out(subject.base, subject.level(subject.base), catalog=subject.catalog)
    if finding["outcome"] != "ok":
        raise Broken(finding["reason"])
    return f"changes {finding['changes']}"


def plans_without_building(subject: Subject) -> None:
    """Called on an empty recipe, as the plan does, it gives a recipe back and builds no module."""
    parameters = {spec.name: spec.parameters for spec in subject.trial.use}[subject.part.name]
    generator = torch.get_rng_state()
    with no_modules():
        made = subject.code(Recipe().as_used_by(subject.part.name), **parameters)
    if not isinstance(made, Recipe):
        raise Broken(f"it returns a {type(made).__name__}, not a recipe")
    if not torch.equal(generator, torch.get_rng_state()):
        raise Broken("it draws from torch's random generator while it is planned")
    if not made.changes and not subject.part.environment:
        raise Skip("it changes no seam and no environment with these parameters")


@contextmanager
def no_modules() -> Iterator[None]:
    """Building a module inside raises Broken."""
    build = torch.nn.Module.__init__

    def refuse(module: torch.nn.Module, *arguments: object, **more: object) -> None:
        raise Broken(f"it builds a {type(module).__name__} while it is planned")

    torch.nn.Module.__init__ = refuse
    try:
        yield
    finally:
        torch.nn.Module.__init__ = build
