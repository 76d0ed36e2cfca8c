"""Datasets as people write them, and datasets with a mistake that people make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from harness_rnn.contract import SequenceExample, SequenceFacts, Sequences, sequence_data
from torch.utils.data import Dataset, IterableDataset

import harness

FACTS = SequenceFacts(vocabulary=10, classes=2)
STEPS = SequenceFacts(vocabulary=10, classes=2, task="steps")
FEATURES = SequenceFacts(vocabulary=0, classes=2, features=3)
VALUES = SequenceFacts(vocabulary=10, classes=1, task="value")


def tokens(position: int) -> torch.Tensor:
    """One to eight tokens."""
    return torch.randint(2, 10, (1 + position % 8,), generator=torch.Generator().manual_seed(position))


def example(position: int, first_id: int = 0) -> SequenceExample:
    """A sequence whose class is the parity of its position."""
    return SequenceExample(first_id + position, tokens(position), position % 2)


class Loaded(Dataset):
    """A torch dataset with the least that it may have: an item for a position, and a length. It counts the items."""

    def __init__(self, size: int, first_id: int = 0) -> None:
        self.size, self.first_id, self.read = size, first_id, 0

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, position: int) -> SequenceExample:
        if not isinstance(position, int):
            raise TypeError(f"the position is {position!r}")
        self.read += 1
        return example(position, self.first_id)


class Bare:
    """The same without torch's base class. It has no end that an iteration could find."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, position: int) -> SequenceExample:
        return example(int(position.__index__()))


class OnlySequence(Sequence):
    """A `collections.abc.Sequence` whose items are asked for by number only."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, position: Any) -> Any:
        return example(position.__index__())


class Streamed(IterableDataset):
    """A torch dataset without positions."""

    def __iter__(self) -> Any:
        return (example(position) for position in range(64))


def lists(
    change: Callable[[SequenceExample], SequenceExample] = lambda one: one, facts: SequenceFacts = FACTS, at: int = 5
) -> harness.Data:
    """Examples in lists; one of them is changed."""
    train = [example(position) for position in range(64)]
    train[at] = change(train[at])
    return sequence_data(train, [example(position, 64) for position in range(16)], facts)


def steps(change: Callable[[torch.Tensor], Any] = lambda label: label) -> harness.Data:
    """A label for each step, in `Sequences`; the labels of one example are changed."""
    rows = [tokens(position) for position in range(64)]
    labels: list[Any] = [row % 2 for row in rows]
    labels[5] = change(labels[5])
    return sequence_data(Sequences(rows, labels), Sequences(rows[:16], [row % 2 for row in rows[:16]], 64), STEPS)


def features(value: float = 0.5, width: int = 3) -> harness.Data:
    """Features; one of them is changed."""
    rows = [torch.full((1 + position % 8, 3), 0.5) for position in range(64)]
    rows[5] = torch.full((6, width), 0.5)
    rows[5][2, 1] = value
    labels = [position % 2 for position in range(64)]
    return sequence_data(Sequences(rows, labels), Sequences(rows[8:16], labels[8:16], 64), FEATURES)


def values(label: Any = 0.5) -> harness.Data:
    """Numbers as labels; one of them is changed."""
    rows = [tokens(position) for position in range(64)]
    labels = [label if position == 5 else position / 10 for position in range(64)]
    return sequence_data(Sequences(rows, labels), Sequences(rows[8:16], labels[8:16], 64), VALUES)


def empty_row() -> harness.Data:
    """One sequence has no steps."""
    return lists(lambda one: one._replace(tokens=torch.tensor([], dtype=torch.int64)))


SOUND: dict[str, Callable[[], harness.Data]] = {
    "torch_dataset": lambda: sequence_data(Loaded(64), Loaded(16, 64), FACTS, exchangeable=True),
    "torch_subset": lambda: sequence_data(
        torch.utils.data.Subset(Loaded(64), range(48)), torch.utils.data.Subset(Loaded(64), range(48, 64)), FACTS
    ),
    "bare_class": lambda: sequence_data(Bare(), Bare(), FACTS),
    "only_sequence": lambda: sequence_data(OnlySequence(), OnlySequence(), FACTS),
    "in_lists": lambda: lists(),
    "labelled_steps": lambda: steps(),
    "with_features": lambda: features(),
    "with_values": lambda: values(),
}


@harness.hookimpl
def provide_datasets():
    right = harness.Score(summary="share of sequences with the right class")
    for name, build in {**SOUND, "empty_row": empty_row}.items():
        yield harness.Dataset(name, build, "some data", offers={"sequences"}, fingerprint=lambda: "1")
    yield harness.Dataset(
        "scored", SOUND["torch_dataset"], "two classes", offers={"sequences"}, fingerprint=lambda: "1",
        scores={"accuracy": right, "macro_f1": harness.Score(optional=True), "auc": harness.Score(optional=True)},
    )  # fmt: skip
