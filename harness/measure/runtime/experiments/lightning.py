"""Experiments from a LightningModule and its data. Lightning itself is not imported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import UserError
from harness.measure.runtime.nested import tensors_in
from harness.plugins.experiment import Experiment

GIVE = "Give optimizer=... and scheduler=... to from_lightning."


def from_lightning(module: Any, data: Any, **parts: Any) -> Experiment:
    """The experiment of a LightningModule and a LightningDataModule, or a pair of loaders for training and evaluation.

    The loss is what `training_step` returns. What `validation_step` logs are the scores, each the mean over the
    examples, as Lightning computes it. Callbacks, loggers and the other hooks of a Trainer are not used. `parts` are
    further arguments of `harness.Experiment`, such as ``clip=1.0`` in place of the Trainer's `gradient_clip_val`; they
    replace what comes from the module. Raises UserError if the module optimizes by itself, or if its optimizers or
    loaders are not of one kind.
    """
    if not module.automatic_optimization:
        what = f"{type(module).__name__} optimizes by itself (automatic_optimization is off)."
        raise UserError(what, fix="Return a harness.Experiment with a step that does the same.")
    train, test = loaders_of(data)
    given = {} if "optimizer" in parts else optimizers_of(module, train)
    module.log = module.log_dict = nothing
    evaluate = evaluate_module if overrides(module, "validation_step") else None
    own = {"model": module, "train": train, "test": test, "loss": training_loss, "evaluate": evaluate, **given}
    return Experiment(**{**own, **parts})


def loaders_of(data: Any) -> tuple[Any, Any]:
    """The loader for training and the one for evaluation."""
    if hasattr(data, "train_dataloader"):
        data.prepare_data()
        data.setup("fit")
        data = data.train_dataloader(), data.val_dataloader()
    train, test = data
    for name, loader in (("training", train), ("validation", test)):
        if isinstance(loader, list | tuple | Mapping):
            what = f"there are {len(loader)} loaders for {name}."
            raise UserError(what, fix="Give from_lightning a pair of loaders: (train, validation).")
    return train, test


def training_loss(module: Any, batch: Any) -> Any:
    """What the training step returns as loss."""
    found = module.training_step(batch, 0)
    return found["loss"] if isinstance(found, Mapping) else found


def overrides(module: Any, method: str) -> bool:
    """Whether a module has a method of its own in place of that of LightningModule."""
    owner = next(one for one in type(module).__mro__ if method in vars(one))
    return not owner.__module__.startswith(("pytorch_lightning.", "lightning."))


def optimizers_of(module: Any, loader: Any) -> dict[str, Any]:
    """The optimizer of a module, and its scheduler if it has one, which by default steps once an epoch of `loader`."""
    try:
        made = module.configure_optimizers()
    except RuntimeError as error:  # it asks for the Trainer
        raise UserError(f"configure_optimizers cannot be called: {error}", fix=GIVE) from error
    if isinstance(made, tuple | list) and len(made) == 2 and all(isinstance(one, list | tuple) for one in made):
        made = {"optimizer": list(made[0]), "lr_scheduler": list(made[1])}
    if not isinstance(made, Mapping):
        made = {"optimizer": made}
    optimizer, scheduler = one_of(made["optimizer"], "optimizers"), one_of(made.get("lr_scheduler"), "schedulers")
    if not isinstance(scheduler, Mapping):
        scheduler = {"scheduler": scheduler}
    found = {"optimizer": optimizer}
    if scheduler["scheduler"] is not None:
        every = scheduler.get("frequency", 1)
        if scheduler.get("interval", "epoch") == "epoch":
            every *= len(loader)
        found |= {"scheduler": scheduler["scheduler"], "scheduler_every": every}
    return found


def one_of(given: Any, name: str) -> Any:
    """The only one of a list."""
    if not isinstance(given, list | tuple):
        return given
    if len(given) > 1:
        raise UserError(f"configure_optimizers returns {len(given)} {name}.", fix=GIVE)
    return given[0] if given else None


@dataclass
class Log:
    """What a module logs while it is evaluated."""

    means: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    #: The number of examples of the current batch.
    size: int = 1

    def add(self, name: str, value: Any, *_: Any, **__: Any) -> None:
        """Keep a value, or an object that computes one at the end."""
        if hasattr(value, "compute"):
            self.metrics[name] = value
        else:
            self.means.setdefault(name, []).append((float(value), self.size))

    def add_all(self, values: Mapping[str, Any], *_: Any, **__: Any) -> None:
        """Keep several values."""
        for name, value in values.items():
            self.add(name, value)

    def scores(self) -> dict[str, float]:
        """The mean of each value over the examples, and what the objects compute."""
        found = {name: mean_of(values) for name, values in self.means.items()}
        for name, metric in self.metrics.items():
            found[name] = float(metric.compute())
            metric.reset()
        return found


def evaluate_module(module: Any, batches: Iterable[Any]) -> dict[str, float]:
    """The scores that the validation step of a module logs."""
    log = Log()
    module.log, module.log_dict = log.add, log.add_all
    try:
        for number, batch in enumerate(batches):
            log.size = max((len(tensor) for tensor in tensors_in(batch) if tensor.dim()), default=1)
            module.validation_step(batch, number)
        log.size = 1
        module.on_validation_epoch_end()
    finally:
        module.log = module.log_dict = nothing
    return log.scores()


def nothing(*_: Any, **__: Any) -> None:
    """Log nothing: without a Trainer, Lightning would warn."""


def mean_of(values: list[tuple[float, int]]) -> float:
    """The mean of values that each count for so many examples."""
    return sum(value * size for value, size in values) / sum(size for _, size in values)
