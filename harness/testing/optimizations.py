"""Promises of optimizations."""

from __future__ import annotations

from unittest.mock import patch

import torch

from harness.measure.runtime.generators import generator_states
from harness.plugins.parts import Skip
from harness.plugins.recipe import Recipe
from harness.testing.pairwise import verify_level
from harness.testing.part_under_test import Broken, PartUnderTest


def declared_changes(part: PartUnderTest) -> str:
    """A trial with the optimization is verified against the same trial without it, as before timing."""
    finding = verify_level(part.base, part.level(part.base), catalog=part.catalog)
    if finding["outcome"] != "ok":
        raise Broken(finding["reason"])
    return f"changes {finding['changes']}"


def plans_without_building(part: PartUnderTest) -> None:
    """Called with an empty recipe, as in planning, the optimization returns a recipe, builds no module and draws no
    random number."""
    parameters = {spec.name: spec.parameters for spec in part.trial.use}[part.declared.name]
    drawn = generator_states()

    def refuse(module: torch.nn.Module, *arguments: object, **more: object) -> None:
        raise Broken(f"it builds a {type(module).__name__} while it is planned")

    with patch.object(torch.nn.Module, "__init__", refuse):
        recipe = part.code(Recipe().as_used_by(part.declared.name), **parameters)
    if not isinstance(recipe, Recipe):
        raise Broken(f"it returns a {type(recipe).__name__}, not a recipe")
    if used := [name for name, state in generator_states().items() if state != drawn[name]]:
        raise Broken(f"it draws from {', '.join(used)} while it is planned")
    if not recipe.changes and not part.declared.environment:
        raise Skip("with these parameters, it changes no seam and no environment")
