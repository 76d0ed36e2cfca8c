"""Settings that apply only inside the seams of a trial."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from harness import Recipe


def within(recipe: Recipe, context: Callable[[Any], AbstractContextManager[Any]], *seams: str) -> Recipe:
    """Call these seams inside ``context(first)``, where `first` is their first argument: the built trial for `step`,
    the model for the others.

    The trials of a block take turns in one process, so a setting must be restored before the next trial's step, even if
    the step raises. The switch is part of the measured time: 3 to 12 microseconds, or several times that with cold
    caches, which counts for steps below a millisecond.
    """

    def inside(seam: Callable[..., Any]) -> Callable[..., Any]:
        def call(first: Any, *rest: Any) -> Any:
            with context(first):
                return seam(first, *rest)

        return call

    for seam in seams:
        recipe = recipe.wrap(seam, inside)
    return recipe
