"""A training step as seams, which optimizations wrap or replace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from harness.errors import UserError, did_you_mean


class Change(NamedTuple):
    """The change of one optimization to one seam."""

    by: str
    how: Literal["wrap", "replace"]
    function: Callable[..., Any]


#: The seams of a training step, and the arguments of each.
SEAMS: dict[str, str] = {
    "build": "() -> module: the bare model",
    "init": "(model) -> None: changes weights; called after the baseline's weights were copied, if they are",
    "order": "(examples, batch_size, random) -> lists of positions in examples, one list a batch",
    "collate": "(examples) -> batch",
    "optimizer": "(model) -> torch.optim.Optimizer",
    "forward": "(model, batch) -> loss, a scalar",
    "backward": "(model, loss) -> None",
    "update": "(model, optimizer) -> None: gradients to weights, gradients cleared",
    "step": "(built, batch, mark) -> loss: forward, backward, update; calls mark(phase) after each of them",
    "evaluate": "(model, batch) -> predictions, first dimension: examples",
    "observe": "(model, batch) -> named tensors, first dimension: examples",
    "count": "(model, batch) -> named amounts",
    "state": "(built) -> objects with state_dict and load_state_dict that a step changes",
}


@dataclass(frozen=True)
class Recipe:
    """A trial's training step as seams that optimizations wrap or replace, one after another.

    In addition to `SEAMS`, ``model.<method>`` names a method of the built model; its function gets the model as first
    argument. `wrap` passes the current function and takes the function to call in its place. `replace` ignores the
    current function, so it is refused if an earlier optimization has changed the seam.
    """

    changes: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)
    by: str = "?"
    #: The number of training steps of a run. None if it is not known, or if steps are only timed.
    steps: int | None = None
    #: What the optimizations say to the user (see `remark`), in order.
    remarks: tuple[str, ...] = ()

    def wrap(self, seam: str, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Recipe:
        """A recipe whose `seam` is ``around(current function)``."""
        return self._with(seam, Change(self.by, "wrap", around))

    def replace(self, seam: str, function: Callable[..., Any]) -> Recipe:
        """A recipe whose `seam` is `function`. Raises UserError if that would undo an earlier change."""
        earlier = self.changes.get(seam, ())
        if earlier:
            other = earlier[0].by
            if any(change.how == "replace" for change in earlier):
                fix = f"They exclude each other. Drop {other} or {self.by}."
            else:
                fix = f"Put {self.by} before {other}."
            raise UserError(f"{self.by} replaces {seam}, which {other} has changed already.", fix=fix)
        return self._with(seam, Change(self.by, "replace", function))

    def seam(self, seam: str, default: Callable[..., Any]) -> Callable[..., Any]:
        """The function of a `seam`: `default` with every change applied from left to right."""
        function = default
        for change in self.changes.get(seam, ()):
            function = change.function(function) if change.how == "wrap" else change.function
        return function

    def of_model(self) -> list[str]:
        """The methods of the model that an optimization has changed."""
        return [seam.removeprefix("model.") for seam in self.changes if seam.startswith("model.")]

    def _with(self, seam: str, change: Change) -> Recipe:
        if seam not in SEAMS and not seam.startswith("model."):
            raise UserError(f"{self.by} changes the unknown seam {seam!r}.", fix=did_you_mean(seam, SEAMS))
        return replace(self, changes={**self.changes, seam: (*self.changes.get(seam, ()), change)})

    def remark(self, text: str) -> Recipe:
        """The same recipe, with a warning for the user: a clause without a full stop. The commands `check`, `plan` and
        `run` print it with the name of the optimization and its place in the suite."""
        return replace(self, remarks=(*self.remarks, f"{self.by}: {text}"))

    def as_used_by(self, name: str) -> Recipe:
        """The same recipe, with the name of the optimization that changes it next, for error messages."""
        return replace(self, by=name)
