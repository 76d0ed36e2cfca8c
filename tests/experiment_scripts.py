"""Training scripts of many kinds, each as a function that returns a harness.Experiment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_sequence
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, StepLR
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    Sampler,
    TensorDataset,
    WeightedRandomSampler,
    random_split,
)

import harness

N, IN, CLASSES, SIZE = 48, 6, 3, 8


def points(count: int = N) -> tuple[Tensor, Tensor]:
    """Points (count, IN) and their classes (count,)."""
    x = torch.randn(count, IN, generator=torch.Generator().manual_seed(1))
    return x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long()


def small_net(hidden: int = 16) -> nn.Module:
    return nn.Sequential(nn.Linear(IN, hidden), nn.ReLU(), nn.Dropout(0.2), nn.Linear(hidden, CLASSES))


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), 1e-2)


def loss_of_pair(model: nn.Module, batch: Any) -> Tensor:
    x, y = batch
    return F.cross_entropy(model(x), y)


def predict_pair(model: nn.Module, batch: Any) -> Tensor:
    return model(batch[0])


def accuracy(predictions: Tensor, batch: Any) -> Tensor:
    return predictions.argmax(1) == batch[1]


def loaders(collate: Any = None, data: Any = None, **more: Any) -> tuple[Any, Any]:
    data = data or TensorDataset(*points())
    train, test = data, torch.utils.data.Subset(data, range(16))
    return DataLoader(train, SIZE, shuffle=True, collate_fn=collate, **more), DataLoader(test, 4, collate_fn=collate)


def pairs(hidden: int = 16, smoothing: float = 0.0, clip: float | None = 1.0) -> harness.Experiment:
    """Tuples from a TensorDataset, with dropout, clipping, predictions and a score."""
    model = small_net(hidden)

    def loss(model: nn.Module, batch: Any) -> Tensor:
        x, y = batch
        return F.cross_entropy(model(x), y, label_smoothing=smoothing)

    return harness.Experiment(
        model, adamw(model), *loaders(), loss, clip=clip, predict=predict_pair, scores={"accuracy": accuracy}
    )


class Rows(Dataset):
    """A dataset as those of Hugging Face: rows are dictionaries. It has no slices."""

    def __init__(self, count: int = N) -> None:
        self.x, self.y = points(count)

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not isinstance(index, int):
            raise TypeError("one row at a time")
        return {"x": self.x[index].tolist(), "label": int(self.y[index]), "text": f"row {index}"}


def loss_of_row(model: nn.Module, batch: dict[str, Any]) -> Tensor:
    return F.cross_entropy(model(batch["x"]), batch["label"])


def collate_rows(rows: Any) -> dict[str, Any]:
    return {
        "x": torch.tensor([row["x"] for row in rows]),
        "label": torch.tensor([row["label"] for row in rows]),
        "text": [row["text"] for row in rows],
    }


def dictionaries() -> harness.Experiment:
    """Dictionaries from a collate_fn; they hold texts too."""
    model = small_net()
    return harness.Experiment(model, adamw(model), *loaders(collate_rows, Rows()), loss_of_row)


def rows_without_loader() -> harness.Experiment:
    """A dataset with batch_size and collate, and no DataLoader."""
    model = small_net()
    return harness.Experiment(
        model, adamw(model), Rows(), Rows(12), loss_of_row, batch_size=SIZE, collate=collate_rows,
        predict=lambda model, batch: model(batch["x"]),
        criterion=lambda predictions, batch: F.cross_entropy(predictions, batch["label"], reduction="none"),
    )  # fmt: skip


@dataclass
class Labelled:
    x: Tensor
    y: Tensor
    note: str = ""


def collate_labelled(examples: Any) -> Labelled:
    return Labelled(torch.stack([x for x, _ in examples]), torch.stack([y for _, y in examples]), "made")


def dataclasses() -> harness.Experiment:
    """A dataclass as batch, and a score of model and batch."""
    model = small_net()
    return harness.Experiment(
        model, adamw(model), *loaders(collate_labelled), lambda model, batch: F.cross_entropy(model(batch.x), batch.y),
        scores={"error": lambda model, batch: (model(batch.x).argmax(1) != batch.y).float().mean()},
    )  # fmt: skip


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(1, 8)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, packed: Any) -> Tensor:
        return self.head(self.rnn(packed)[1][-1])


def collate_packed(examples: Any) -> Any:
    rows = [x[: 2 + int(y)].unsqueeze(1) for x, y in examples]
    return pack_sequence(rows, enforce_sorted=False), torch.stack([y for _, y in examples])


def packed() -> harness.Experiment:
    """A PackedSequence and labels from a collate_fn."""
    model = Recurrent()
    return harness.Experiment(model, adamw(model), *loaders(collate_packed), loss_of_pair, predict=predict_pair)


def collate_nested(examples: Any) -> dict[str, Any]:
    x, y = torch.stack([x for x, _ in examples]), torch.stack([y for _, y in examples])
    return {"inputs": (x, {"mask": torch.ones(len(x)), "array": np.ones(len(x))}), "targets": [y]}


def nested() -> harness.Experiment:
    """Tensors and arrays in a dictionary in a tuple in a dictionary."""
    model = small_net()

    def loss(model: nn.Module, batch: Any) -> Tensor:
        x, rest = batch["inputs"]
        each = F.cross_entropy(model(x), batch["targets"][0], reduction="none")
        return (each * rest["mask"]).mean() * float(rest["array"].mean())

    return harness.Experiment(model, adamw(model), *loaders(collate_nested), loss)


def made_batches(count: int) -> Iterator[tuple[Tensor, Tensor]]:
    x, y = points(count * SIZE)
    yield from zip(x.split(SIZE), y.split(SIZE), strict=True)


def generator() -> harness.Experiment:
    """A generator of batches for training, and a list of batches for the test."""
    model = small_net()
    return harness.Experiment(
        model, adamw(model), made_batches(6), list(made_batches(2)), loss_of_pair,
        predict=predict_pair, scores={"accuracy": accuracy},
    )  # fmt: skip


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[Any]:
        return zip(*points(), strict=True)


def stream() -> harness.Experiment:
    """An IterableDataset behind a DataLoader."""
    model = small_net()
    return harness.Experiment(model, adamw(model), DataLoader(Stream(), SIZE), None, loss_of_pair)


def weighted() -> harness.Experiment:
    """A WeightedRandomSampler: what it draws in one epoch is the training set."""
    model = small_net()
    x, y = points()
    sampler = WeightedRandomSampler((1.0 + y).tolist(), 40)
    train = DataLoader(TensorDataset(x, y), SIZE, sampler=sampler)
    return harness.Experiment(model, adamw(model), train, loaders()[1], loss_of_pair)


class Buckets(Sampler):
    """Batches of examples of one class."""

    def __init__(self, classes: Tensor) -> None:
        self.classes = classes

    def __iter__(self) -> Iterator[list[int]]:
        for label in range(CLASSES):
            yield from (part.tolist() for part in (self.classes == label).nonzero()[:, 0].split(SIZE))


def buckets() -> harness.Experiment:
    """A batch sampler of one's own."""
    model = small_net()
    x, y = points()
    train = DataLoader(TensorDataset(x, y), batch_sampler=Buckets(y))
    return harness.Experiment(model, adamw(model), train, loaders()[1], loss_of_pair)


def split(share: float = 0.75) -> harness.Experiment:
    """random_split without a generator."""
    model = small_net()
    train, test = random_split(TensorDataset(*points()), [share, 1 - share])
    train, test = DataLoader(train, SIZE, shuffle=True), DataLoader(test, SIZE)
    return harness.Experiment(model, adamw(model), train, test, loss_of_pair)


def accumulation(every: int = 2) -> harness.Experiment:
    """A step of its own, with gradient accumulation over slices of a batch, and a scheduler in its state."""
    model = small_net()
    optimizer = adamw(model)
    schedule = LambdaLR(optimizer, lambda update: 1 / (1 + update))

    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        optimizer.zero_grad()
        total = 0.0
        for x, y in zip(*(part.chunk(every) for part in batch), strict=True):
            loss = loss_of_pair(model, (x, y)) / every
            loss.backward()
            total += loss.item()
        optimizer.step()
        schedule.step()
        return total

    return harness.Experiment(model, optimizer, *loaders(), loss_of_pair, step=step, state=[schedule])


def two_optimizers() -> harness.Experiment:
    """Two modules with an optimizer each, and a step of its own."""
    model = nn.ModuleDict({"body": nn.Linear(IN, 8), "head": nn.Linear(8, CLASSES)})
    optimizers = {name: torch.optim.SGD(part.parameters(), 0.1, momentum=0.9) for name, part in model.items()}

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return F.cross_entropy(model["head"](model["body"](batch[0]).relu()), batch[1])

    def step(model: nn.Module, optimizers: Any, batch: Any) -> Tensor:
        found = loss(model, batch)
        found.backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
        return found

    return harness.Experiment(model, optimizers, *loaders(), loss, step=step)


def own_evaluate() -> harness.Experiment:
    """An evaluation of its own, over all batches."""
    model = small_net()

    def evaluate(model: nn.Module, batches: Any) -> dict[str, float]:
        right = [(model(x).argmax(1) == y) for x, y in batches]
        return {"accuracy": float(torch.cat(right).float().mean()), "batches": len(right)}

    return harness.Experiment(model, adamw(model), *loaders(), loss_of_pair, evaluate=evaluate)


def normalized(drop_last: bool = True) -> harness.Experiment:
    """Batch normalization, and a last batch of one example that the loader leaves out."""
    model = nn.Sequential(nn.Linear(IN, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, CLASSES))
    data = TensorDataset(*points(5 * SIZE + 1))
    return harness.Experiment(model, adamw(model), *loaders(data=data, drop_last=drop_last), loss_of_pair)


def one_cycle(total: int | None = None) -> harness.Experiment:
    """OneCycleLR for the steps of the run, or for a fixed number of steps."""
    model = small_net()
    optimizer = adamw(model)
    schedule: Any = OneCycleLR(optimizer, 0.1, total_steps=total) if total else None
    return harness.Experiment(
        model, optimizer, *loaders(), loss_of_pair,
        scheduler=schedule or (lambda optimizer, steps: OneCycleLR(optimizer, 0.1, total_steps=steps)),
    )  # fmt: skip


def each_epoch() -> harness.Experiment:
    """A scheduler that steps once an epoch."""
    model = small_net()
    optimizer = adamw(model)
    train, test = loaders()
    return harness.Experiment(
        model, optimizer, train, test, loss_of_pair, scheduler=StepLR(optimizer, 1), scheduler_every=len(train)
    )


def sequence_labels() -> harness.Experiment:
    """Predictions that are not one row for each example: logits of all steps in one tensor."""
    model = nn.Linear(1, CLASSES)

    def predict(model: nn.Module, batch: Any) -> Tensor:
        return model(batch[0].reshape(-1, 1))

    return harness.Experiment(
        model, adamw(model), *loaders(), lambda model, batch: predict(model, batch).square().mean(), predict=predict,
        scores={"right": lambda predictions, batch: [float(predictions.mean() > 0)]},
    )  # fmt: skip


def in_two_forms(form: str = "plain") -> harness.Experiment:
    """A collate_fn that makes batches in one of two forms."""

    def collate(examples: Any) -> Any:
        x = torch.stack([x for x, _ in examples]) * (2 if form == "double" else 1)
        return x, torch.stack([y for _, y in examples])

    model = small_net()
    return harness.Experiment(model, adamw(model), *loaders(collate), loss_of_pair)


def batches_in_two_forms(form: str = "plain", unused: int = 0) -> harness.Experiment:
    """Batches that come as such, in one of two forms."""
    model = small_net()
    batches = [(x * (2 if form == "double" else 1), y) for x, y in made_batches(8)]
    return harness.Experiment(model, adamw(model), batches, batches, loss_of_pair)


def augmented() -> harness.Experiment:
    """Examples with random noise, which is drawn whenever an example is read."""
    model = small_net()

    class Noisy(Rows):
        def __getitem__(self, index: int) -> Any:
            return self.x[index] + torch.randn(IN), self.y[index]

    return harness.Experiment(model, adamw(model), *loaders(data=Noisy()), loss_of_pair)


def other_examples(count: int = N, shift: float = 0.0, batch_size: int = SIZE) -> harness.Experiment:
    """A function whose parameters change the examples and the batches."""
    model = small_net()
    x, y = points(count)
    train = DataLoader(TensorDataset(x + shift, y), batch_size)
    return harness.Experiment(model, adamw(model), train, loaders()[1], loss_of_pair)


def seeded(seed: int = 3) -> harness.Experiment:
    """A function with a parameter for the seed, which it uses as scripts do."""
    torch.manual_seed(seed)
    return pairs()


def typed(rate=0.1, name="a", flag=False, count=3, shape=(2, 3), hook=print, *, free=None) -> Any:  # type: ignore[no-untyped-def]
    """Parameters without annotations. They are in the notes of the model's first parameter."""
    made = pairs()
    made.model.given = {"rate": rate, "name": name, "flag": flag, "count": count, "shape": shape, "free": free}
    return made


ALL = (
    pairs, dictionaries, rows_without_loader, dataclasses, packed, nested, generator, stream, weighted, buckets, split,
    accumulation, two_optimizers, own_evaluate, normalized, one_cycle, each_epoch, sequence_labels, augmented,
)  # fmt: skip
