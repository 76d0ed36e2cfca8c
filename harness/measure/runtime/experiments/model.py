"""The model of an experiment with the methods that the core calls, and its own seams of a training step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from harness.errors import UserError
from harness.measure.runtime.experiments.batches import ExperimentBatch, Predictions
from harness.measure.runtime.experiments.identity import identity_of
from harness.plugins.experiment import Experiment, place_of
from harness.plugins.recipe import Recipe

#: The seams that an own step does not call.
INSIDE_STEP = ("forward", "backward", "update")
#: The steps for which a scheduler is made where a run has no number of steps.
STEPS = 1000


class ExperimentModel(nn.Module):  # type: ignore[misc]
    """A user's model with the methods `loss`, `predict` and `observe`. `place` is the file and line of the function
    that built it."""

    def __init__(self, experiment: Experiment, place: str) -> None:
        super().__init__()
        self.model = experiment.model
        self.experiment, self.place = experiment, place

    def loss(self, batch: ExperimentBatch) -> torch.Tensor:
        """The user's loss, a scalar; for several batches their mean."""
        losses = [self.loss_of(part) for part in batch.parts]
        return losses[0] if len(losses) == 1 else torch.stack(losses).mean()

    def loss_of(self, part: Any) -> torch.Tensor:
        """The user's loss of one batch. Raises UserError unless it is a scalar."""
        loss = self.experiment.loss(self.model, part)
        if isinstance(loss, torch.Tensor) and loss.numel() == 1:
            return loss if loss.dim() == 0 else loss.reshape(())
        raise self.not_a_scalar("loss", self.experiment.loss, loss)

    def not_a_scalar(self, name: str, function: Callable[..., Any], found: Any) -> UserError:
        """The error of a function that returns something else than a loss."""
        kind = f"a tensor of shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else type(found).__name__
        place = place_of(function) if hasattr(function, "__code__") else self.place
        what = f"{name} returns {'nothing' if found is None else kind}; expected a scalar tensor."
        return UserError(what, where=place, fix="Return the mean loss of the batch.")

    def predict(self, batch: ExperimentBatch) -> Any:
        """The user's predictions; the loss if there are none."""
        predict = self.experiment.predict
        if predict is None:
            return Predictions(tuple(map(self.loss_of, batch.parts)), self.model)
        parts = tuple(predict(self.model, part) for part in batch.parts)
        if len(parts) == 1 and isinstance(parts[0], torch.Tensor) and parts[0].shape[:1] == batch.ids.shape:
            return parts[0]
        return Predictions(parts, self.model)

    def observe(self, batch: ExperimentBatch) -> dict[str, torch.Tensor]:
        """Nothing: of a user's model, only loss, gradients and predictions are known."""
        return {}

    def default_seams(self, recipe: Recipe) -> dict[str, Callable[..., Any]]:
        """The seams of a training step that the experiment defines, for a run of ``recipe.steps`` steps. Raises
        UserError if the recipe changes a seam that the experiment does not use."""
        self.check_changes(recipe)
        experiment = self.experiment
        schedule = Schedule.of(experiment, recipe.steps or STEPS) if experiment.scheduler is not None else None
        state: list[Any] = [*([schedule] if schedule else []), *experiment.state]
        seams: dict[str, Callable[..., Any]] = {
            "optimizer": lambda model: single(experiment.optimizer),
            "update": partial(update, self.model, experiment.clip, schedule),
            "state": lambda built: [built.model, built.optimizer, *state],
        }
        if experiment.step is not None:
            seams["step"] = self.own_step
        return seams

    def check_changes(self, recipe: Recipe) -> None:
        """Raise UserError if an optimization of the recipe would have no effect, or would break the scheduler."""
        if self.experiment.step is not None:
            for seam in INSIDE_STEP:
                for change in recipe.changes.get(seam, ()):
                    what = f"{change.by} changes {seam}, which the experiment's own step does not call."
                    raise UserError(what, where=self.place, fix=f"Leave {change.by} out, or do it in step.")
        if self.experiment.scheduler is not None and (changed := recipe.changes.get("optimizer")):
            what = f"{changed[0].by} changes the optimizer, which the experiment's scheduler belongs to."
            raise UserError(what, where=self.place, fix=f"Leave {changed[0].by} out, or the scheduler.")

    def own_step(self, built: Any, batch: ExperimentBatch, mark: Callable[[str], None]) -> torch.Tensor:
        """The user's step. All of its time counts as update. Raises UserError unless it returns a loss."""
        optimizer = built.optimizer.given if isinstance(built.optimizer, Optimizers) else built.optimizer
        losses = []
        for part in batch.parts:
            loss = self.experiment.step(self.model, optimizer, part)  # type: ignore[misc]
            if isinstance(loss, int | float):
                loss = torch.tensor(float(loss), device=built.device)
            if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
                raise self.not_a_scalar("step", self.experiment.step, loss)  # type: ignore[arg-type]
            losses.append(loss.detach().reshape(()))
        mark("update")
        return losses[0] if len(losses) == 1 else torch.stack(losses).mean()

    def loss_identity(self) -> tuple[Any, ...] | None:
        """What two levels must have in common if their losses are the same function: the code and the plain values that
        it uses; None if the code is not known."""
        return identity_of(self.experiment.loss)


class Schedule:
    """A scheduler that steps after every so many updates."""

    def __init__(self, scheduler: Any, every: int) -> None:
        self.scheduler, self.every, self.updates = scheduler, every, 0

    @classmethod
    def of(cls, experiment: Experiment, steps: int) -> Schedule:
        """The scheduler of an experiment, made for a run of so many steps if it is given as a function."""
        given = experiment.scheduler
        made = given if hasattr(given, "step") else given(experiment.optimizer, steps)
        return cls(made, experiment.scheduler_every)

    def step(self) -> None:
        """Count an update. Raises ValueError if the scheduler ends before the run."""
        self.updates += 1
        if self.updates % self.every:
            return
        try:
            self.scheduler.step()
        except ValueError as error:
            advice = "give scheduler as a function of (optimizer, steps), which makes one for the steps of a run"
            raise ValueError(f"the scheduler ends before the run: {error}; {advice}") from error

    def state_dict(self) -> dict[str, Any]:
        """The state of the scheduler, and the number of updates."""
        return {"updates": self.updates, "scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self.updates = state["updates"]
        self.scheduler.load_state_dict(state["scheduler"])


class Optimizers:
    """Several optimizers with the methods of one, for a step that uses each."""

    def __init__(self, given: Any) -> None:
        self.given = given
        self.all = all_optimizers(given)

    @property
    def param_groups(self) -> list[Any]:
        """The groups of all."""
        return [group for one in self.all for group in one.param_groups]

    def step(self) -> None:
        """A step of each."""
        for one in self.all:
            one.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of each."""
        for one in self.all:
            one.zero_grad(set_to_none=set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """The state of each by its number."""
        return {str(number): one.state_dict() for number, one in enumerate(self.all)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the states of all."""
        for number, one in enumerate(self.all):
            one.load_state_dict(state[str(number)])


def all_optimizers(given: Any) -> Sequence[Any]:
    """The optimizers that a user gives: one, or a list or dictionary of several."""
    if isinstance(given, Mapping):
        return list(given.values())
    return list(given) if isinstance(given, list | tuple) else [given]


def single(given: Any) -> Any:
    """One object with the methods of an optimizer; None if there is none."""
    return Optimizers(given) if isinstance(given, list | tuple | Mapping) else given


def update(inner: nn.Module, clip: float | None, schedule: Schedule | None, model: nn.Module, optimizer: Any) -> None:
    """Clip the gradients, make a step, clear the gradients, and step the scheduler."""
    if clip is not None:
        nn.utils.clip_grad_norm_(inner.parameters(), clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if schedule is not None:
        schedule.step()
