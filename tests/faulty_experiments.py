"""Functions that do not return a usable experiment, each with one mistake."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from experiment_scripts import (
    Rows,
    adamw,
    collate_rows,
    loaders,
    loss_of_pair,
    loss_of_row,
    made_batches,
    pairs,
    points,
    small_net,
)
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import harness

SHARED = iter(list(made_batches(2)))
next(SHARED), next(SHARED)


def changed(**changes: Any) -> harness.Experiment:
    """A working experiment with some fields changed."""
    model = changes.pop("model", None) or small_net()
    optimizer = changes.pop("optimizer", None) or adamw(model)
    train, test = loaders()
    parts = {"model": model, "optimizer": optimizer, "train": train, "test": test, "loss": loss_of_pair}
    return harness.Experiment(**{**parts, **changes})


def nothing() -> None:
    pairs()


def no_experiment() -> Any:
    return small_net()


def no_module() -> Any:
    return changed(model=lambda x: x, optimizer=adamw(small_net()))


def no_loss() -> Any:
    return changed(loss="cross_entropy")


def foreign_optimizer() -> Any:
    return changed(optimizer=adamw(small_net()))


def strange_parameters() -> Any:
    model, other = small_net(), nn.Linear(2, 2)
    return changed(model=model, optimizer=torch.optim.SGD([*model.parameters(), *other.parameters()], 0.1))


def several_optimizers() -> Any:
    model = small_net()
    return changed(model=model, optimizer=[adamw(model), adamw(model)])


def bad_clip() -> Any:
    return changed(clip=-1)


def clip_and_step() -> Any:
    return changed(clip=1.0, step=lambda model, optimizer, batch: 0.0)


def plateau() -> Any:
    model = small_net()
    optimizer = adamw(model)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    return changed(model=model, optimizer=optimizer, scheduler=schedule)


def bad_score() -> Any:
    return changed(scores={"loss": loss_of_pair})


def criterion_alone() -> Any:
    return changed(criterion=loss_of_pair)


def bad_state() -> Any:
    return changed(state=[3])


def empty_loader() -> Any:
    return changed(train=DataLoader(TensorDataset(*points(0)), 4))


def exhausted() -> Any:
    return changed(train=SHARED)


def endless() -> Any:
    return changed(train=itertools.repeat(1))


def no_batch_size() -> Any:
    return changed(train=Rows())


def several_sets() -> Any:
    return changed(train={"train": Rows(), "test": Rows()})


def text() -> Any:
    return changed(test="data.csv")


def raises() -> Any:
    return changed(train=undefined)  # noqa: F821


def vector_loss() -> Any:
    return changed(loss=lambda model, batch: model(batch[0]).sum(1))


def loss_of_nothing() -> Any:
    def loss(model: nn.Module, batch: Any) -> None:
        loss_of_pair(model, batch)

    return changed(loss=loss)


def loss_raises() -> Any:
    return changed(loss=lambda model, batch: model(batch["x"]))


def step_of_nothing() -> Any:
    return changed(step=lambda model, optimizer, batch: None)


def words_as_score() -> Any:
    return changed(scores={"words": lambda model, batch: "good"})


def words_evaluated() -> Any:
    return changed(evaluate=lambda model, batches: {"words": "good"})


def collate_raises() -> Any:
    return changed(train=Rows(), loss=loss_of_row, batch_size=8, collate=lambda rows: collate_rows(rows)["y"])


def reseeds() -> Any:
    torch.manual_seed(5)
    return pairs()


def changes_threads() -> Any:
    torch.set_num_threads(3)
    return pairs()


def positional(pooling: str, /) -> Any:
    return pairs()


def required(pooling: str) -> Any:
    return pairs()
