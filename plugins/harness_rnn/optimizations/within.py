"""Settings that hold inside a trial's own seams and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from harness import Recipe


def within(recipe: Recipe, context: Callable[[Any], AbstractContextManager[Any]], *seams: str) -> Recipe:
    """Call each of these seams inside ``context(first)``, where `first` is the seam's first argument: the built trial
    for `step`, the model for the others.

    The members of a block share one process and take turns, a step at a time: what one switches on must be off again
    before the next begins, also when its step raises. The switching itself is inside the clock, 3 to 12
    microseconds hot and several times that cold: a trial whose steps take less than a millisecond looks slower for it.
    """

    def inside(seam: Callable[..., Any]) -> Callable[..., Any]:
        def call(first: Any, *rest: Any) -> Any:
            with context(first):
                return seam(first, *rest)

        return call

    for seam in seams:
        recipe = recipe.wrap(seam, inside)
    return recipe
