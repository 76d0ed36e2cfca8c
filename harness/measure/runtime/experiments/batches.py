"""The data of an experiment as examples: from a DataLoader, a dataset, or an iterable of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    default_collate,
)

from harness.errors import UserError
from harness.measure.runtime.nested import on_device, tensors_in
from harness.measure.runtime.subset import Subset
from harness.plugins.experiment import Experiment
from harness.plugins.parts import Data

#: At most this many examples or batches are read from an iterable.
MOST = 100_000


class Example(NamedTuple):
    """An example, or a whole batch where the data come as batches: its position in its set, and whether this is the
    held-out one."""

    id: int
    item: Any
    position: int
    held_out: bool


@dataclass(frozen=True)
class ExperimentBatch:
    """A batch as the core uses it. `parts` are batches as the user's functions get them: one, unless several batches
    that came as such are evaluated together. `sizes` are their numbers of examples, 1 for a batch that came as such.
    `ids` (B,) stay on the CPU."""

    ids: torch.Tensor
    parts: tuple[Any, ...]
    sizes: tuple[int, ...]

    def to(self, device: Any) -> ExperimentBatch:
        """The batch with all tensors of its parts on a device."""
        return replace(self, parts=on_device(self.parts, device))


@dataclass(frozen=True)
class Predictions:
    """Predictions that are not one tensor with a row for each example. Iterates over the tensors in them."""

    parts: tuple[Any, ...]
    model: Any = None

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(tensors_in(self.parts))


@dataclass(frozen=True, eq=False)
class Examples:
    """The examples of a set. `whole` says that each item makes a batch of its own: ``collate(item)``. Otherwise
    ``collate(items)`` makes a batch of several."""

    items: Any
    collate: Callable[[Any], Any]
    batch_size: int = 1
    drop_last: bool = False
    whole: bool = False
    held_out: bool = False
    first_id: int = 0

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: int) -> Example:
        return Example(self.first_id + position, self.items[position], position, self.held_out)


@dataclass(frozen=True, eq=False)
class Collate:
    """Makes batches of examples of one set, as the experiment with these sets does. The examples may be those of the
    baseline, so where the data come as batches, they are replaced by the batches of this experiment."""

    train: Examples
    test: Examples | None

    def __call__(self, examples: Sequence[Example]) -> ExperimentBatch:
        """A batch of these examples."""
        source = self.source(examples[0])
        ids = torch.tensor([example.id for example in examples])
        if source.whole:
            parts = tuple(source.collate(source.items[example.position]) for example in examples)
            return ExperimentBatch(ids, parts, (1,) * len(parts))
        return ExperimentBatch(ids, (source.collate([example.item for example in examples]),), (len(examples),))

    def source(self, example: Example) -> Examples:
        """The set of an example."""
        return self.test if example.held_out and self.test is not None else self.train


def data_of(experiment: Experiment, place: str) -> Data:
    """The data of an experiment; `place` is the file and line of its function. Raises UserError."""
    train = examples_of(experiment.train, "train", experiment, place)
    held_out = experiment.test if experiment.validation is None else experiment.validation
    name = "test" if experiment.validation is None else "validation"
    test = None if held_out is None else examples_of(held_out, name, experiment, place)
    test = test and replace(test, first_id=len(train), held_out=True)
    own = experiment.evaluate
    return Data(
        train,  # type: ignore[arg-type]  # it has a length and positions
        test or [],  # type: ignore[arg-type]
        Collate(train, test),
        count=lambda batch: {"examples": float(sum(batch.sizes))},
        scores={name: values_of(name, score, experiment, place) for name, score in experiment.scores.items()},
        criterion=experiment.criterion and values_of("criterion", experiment.criterion, experiment, place),
        evaluate=own and (lambda model, batches: own(model.model, (part for one in batches for part in one.parts))),
        batch_size=train.batch_size,
        drop_last=train.drop_last,
    )


def examples_of(given: Any, name: str, experiment: Experiment, place: str) -> Examples:
    """The examples of a set as the user gives it. Raises UserError if there are none, or if it has an unknown form."""
    if isinstance(given, DataLoader):
        found = examples_of_loader(given, name, place)
    else:
        found = examples_without_loader(given, name, experiment, place)
    if not len(found):
        raise UserError(f"{name} has no examples.", where=place, fix="Give data with at least one batch.")
    return found


def examples_of_loader(loader: DataLoader[Any], name: str, place: str) -> Examples:
    """The examples behind a DataLoader, which is not iterated itself: the order is seeded anew for every run."""
    dataset, collate = loader.dataset, loader.collate_fn
    if isinstance(dataset, IterableDataset):
        items = read(dataset, name, place)
        if loader.batch_size is None:
            return Examples(items, collate, whole=True)
        return Examples(items, collate, loader.batch_size, loader.drop_last)
    if loader.batch_sampler is None:  # without batching, each item is a batch
        return Examples(chosen(dataset, loader.sampler, name, place), collate, whole=True)
    if type(loader.batch_sampler) is not BatchSampler:
        batches = read(loader.batch_sampler, name, place)
        return Examples(Batches(dataset, batches), collate, whole=True)
    items = chosen(dataset, loader.batch_sampler.sampler, name, place)
    return Examples(items, collate, loader.batch_size or 1, loader.drop_last)


def chosen(dataset: Any, sampler: Any, name: str, place: str) -> Any:
    """The dataset, or what a sampler that is not a plain shuffle draws from it in one epoch."""
    if isinstance(sampler, SequentialSampler):
        return dataset
    if isinstance(sampler, RandomSampler) and not sampler.replacement and sampler.num_samples == len(dataset):
        return dataset
    return Subset(dataset, [int(position) for position in read(sampler, name, place)])


@dataclass(frozen=True)
class Batches:
    """The items of a dataset in the batches that a batch sampler drew."""

    dataset: Any
    batches: Sequence[Sequence[int]]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, position: int) -> list[Any]:
        return [self.dataset[index] for index in self.batches[position]]


def examples_without_loader(given: Any, name: str, experiment: Experiment, place: str) -> Examples:
    """The examples of a dataset or a list, if the experiment has a batch size; or else the batches of an iterable."""
    size, collate = experiment.batch_size, experiment.collate or default_collate
    if size is not None and (not isinstance(size, int) or size < 1):
        raise UserError(f"batch_size is {size!r}.", where=place, fix="Give a number of examples, at least 1.")
    if isinstance(given, str | bytes | Mapping) or not (hasattr(given, "__iter__") or hasattr(given, "__getitem__")):
        fix = "Give a DataLoader, a dataset with batch_size, or an iterable of batches."
        if isinstance(given, Mapping):
            fix = f"It has {', '.join(map(repr, islice(given, 4)))}: give one of these. {fix}"
        raise UserError(f"{name} is a {type(given).__name__}.", where=place, fix=fix)
    indexed = hasattr(given, "__getitem__") and hasattr(given, "__len__") and not isinstance(given, IterableDataset)
    if size is None and indexed and not isinstance(given, list | tuple):
        what = f"{name} is a {type(given).__name__}, and the experiment has no batch_size."
        raise UserError(what, where=place, fix="Give batch_size (and collate), or a DataLoader.")
    items = given if indexed else read(given, name, place)
    if size is None:
        return Examples(items, unchanged, whole=True)
    return Examples(items, collate, size)


def unchanged(batch: Any) -> Any:
    """A batch that came as such."""
    return batch


def read(given: Iterable[Any], name: str, place: str) -> list[Any]:
    """All items of an iterable. Raises UserError if there are too many, or none."""
    items = list(islice(given, MOST + 1))
    if len(items) > MOST:
        fix = "Give fewer of them, as with itertools.islice, or a dataset with a length and positions."
        raise UserError(f"{name} yields more than {MOST:,} items, which would be read at once.", where=place, fix=fix)
    if not items and isinstance(given, Iterator):
        fix = "Make it inside the function, which is called several times."
        raise UserError(f"{name} is an iterator that is exhausted.", where=place, fix=fix)
    return items


def values_of(name: str, function: Any, experiment: Experiment, place: str) -> Callable[[Any, ExperimentBatch], Any]:
    """A score or the criterion as a function of predictions and batch that returns values (n,). The user's function
    gets the model in place of predictions where the experiment does not predict."""

    def values(predictions: Any, batch: ExperimentBatch) -> torch.Tensor:
        parts = predictions.parts if isinstance(predictions, Predictions) else (predictions,)
        found = []
        for one, part, size in zip(parts, batch.parts, batch.sizes, strict=True):
            given = predictions.model if experiment.predict is None else one
            found.append(as_values(function(given, part), size, name, place))
        return found[0] if len(found) == 1 else torch.cat(found)

    return values


def as_values(found: Any, size: int, name: str, place: str) -> torch.Tensor:
    """Values (n,): those of a tensor, an array or a list; a single number counts for each of `size` examples. Raises
    UserError for anything else."""
    try:
        tensor = found.detach() if isinstance(found, torch.Tensor) else torch.as_tensor(np.asarray(found, dtype=float))
    except (TypeError, ValueError):
        what = f"{name} returns a {type(found).__name__}; expected a number or a tensor of numbers."
        raise UserError(what, where=place, fix="Return a value for each example, or their mean.") from None
    return tensor.expand(size) if tensor.dim() == 0 else tensor.flatten()
