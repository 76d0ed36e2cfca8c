"""The scores of a model on held-out examples, and those of the best constant answer.

A dataset with a criterion gives every model the same loss, from one pass over the examples in large batches of similar
sizes. Otherwise the loss is the model's own, in batches of the training size, since it may depend on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import nan
from random import Random
from typing import Any

import torch

from harness.measure.runtime.builder import BuiltTrial
from harness.measure.runtime.generators import kept_generators
from harness.measure.runtime.watchdog import Watchdog
from harness.plugins.parts import Data

#: A batch of an evaluation may be this many times as large as the largest batch in training. It stores no activations.
LARGER = 4
#: At most this many training examples determine the constant answer.
MOST = 10_000
#: At most this many examples show whether predictions depend on the rest of the batch, and by how much of the largest
#: value they may differ. bfloat16 rounds to less than one percent.
PROBED, ROUNDING = 16, 0.02


@contextmanager
def evaluating(built: BuiltTrial) -> Iterator[None]:
    """The model in evaluation mode, without gradients. The state of the random generators does not change."""
    built.model.eval()
    with torch.no_grad(), kept_generators():
        yield
    built.model.train()


class Evaluation:
    """Evaluates one built trial on `test`. `batch_dependent` says whether its predictions depend on the other examples
    of a batch, as they do if a model reads padding. Such a trial is evaluated in batches of the training size."""

    def __init__(self, built: BuiltTrial, data: Data, test: Sequence[Any], watchdog: Watchdog) -> None:
        self.built, self.data, self.test, self.watchdog = built, data, test, watchdog
        self.batch_dependent = False
        size = built.trial.batch_size
        self.batches: list[Sequence[int]] = consecutive(len(test), size)
        if data.criterion is None:
            return
        with evaluating(built):
            self.batch_dependent = self.depends_on_batch()
        if not self.batch_dependent:
            self.batches = batches_of_similar_size(data, test, size)

    def scores(self) -> dict[str, float]:
        """The loss and all scores, each the mean of its values over all examples."""
        built, data, means = self.built, self.data, Means()
        with evaluating(built):
            for batch in self.loaded():
                if data.criterion is None:
                    means.add("loss", built.forward(built.model, built.as_input(batch)).expand(len(batch.ids)))
                if data.criterion is not None or data.scores:
                    means.add_scores(data, built.evaluate(built.model, built.as_input(batch)), batch)
        return means.found()

    def constant(self, train: Sequence[Any]) -> dict[str, float]:
        """The scores of the best constant answer for the training examples; empty if the dataset does not give one."""
        if self.data.constant is None:
            return {}
        positions = Random("constant answer").sample(range(len(train)), min(len(train), MOST))
        answer, means = self.data.constant([train[position] for position in positions]), Means()
        with torch.no_grad():
            for batch in self.loaded():
                means.add_scores(self.data, answer(batch), batch)
        return means.found()

    def loaded(self) -> Iterator[Any]:
        """The batches of the test examples, in the dataset's dtypes: labels must not be rounded to those of a model."""
        for positions in self.batches:
            self.watchdog.doing(self.built.trial.level, "evaluating")
            yield self.built.on_device(self.built.collate([self.test[position] for position in positions]))

    def depends_on_batch(self) -> bool:
        """Whether an example alone gets another prediction than in a batch, or this cannot be seen."""
        count = min(LARGER * self.built.trial.batch_size, PROBED, len(self.test))
        examples = [self.test[position] for position in Random("alone").sample(range(len(self.test)), count)]
        together = self.predictions(examples)
        largest = max((float(row.abs().max()) for row in together.values()), default=0.0)
        for example in examples if together else ():
            try:
                found = self.predictions([example])
            except Exception:  # some models refuse a batch of one, as batch normalization without statistics does
                return True
            for number, alone in found.items():
                # Rows of a larger batch may be padded, as far as the longest of them.
                shape = tuple(slice(min(sizes)) for sizes in zip(alone.shape, together[number].shape, strict=True))
                difference = float((alone[shape] - together[number][shape]).abs().max())
                if not difference <= ROUNDING * largest:  # NaN is a difference too
                    return True
        return not together

    def predictions(self, examples: Sequence[Any]) -> dict[int, torch.Tensor]:
        """The prediction of each of these examples by its id, as one batch; empty if the predictions are not one tensor
        with a row for each."""
        self.watchdog.doing(self.built.trial.level, "evaluating")
        batch = self.built.batch(examples)
        predictions = self.built.evaluate(self.built.model, batch)
        if not isinstance(predictions, torch.Tensor) or predictions.shape[:1] != batch.ids.shape:
            return {}
        return dict(zip(batch.ids.tolist(), predictions.double(), strict=True))


class Means:
    """Means over all values of each score."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def add(self, name: str, values: torch.Tensor) -> None:
        """Add values (n,) of a score."""
        self.sums[name] = self.sums.get(name, 0.0) + float(values.double().sum())
        self.counts[name] = self.counts.get(name, 0) + len(values)

    def add_scores(self, data: Data, predictions: Any, batch: Any) -> None:
        """Add the values of the criterion and of each score of the dataset."""
        if data.criterion is not None:
            self.add("loss", data.criterion(predictions, batch))
        for name, score in data.scores.items():
            self.add(name, score(predictions, batch))

    def found(self) -> dict[str, float]:
        """The mean of each score; NaN for one without values."""
        return {name: total / self.counts[name] if self.counts[name] else nan for name, total in self.sums.items()}


def consecutive(count: int, size: int) -> list[Sequence[int]]:
    """Positions in batches of `size`, in order."""
    return [range(begin, min(begin + size, count)) for begin in range(0, count, size)]


def batches_of_similar_size(data: Data, test: Sequence[Any], batch_size: int) -> list[Sequence[int]]:
    """The positions of the test examples in large batches, the smallest examples first. The number of examples in a
    batch times the size of its largest one is limited, and with it the memory."""
    if data.size is None:
        return consecutive(len(test), LARGER * batch_size)
    sizes = [data.size(test[position]) for position in range(len(test))]
    most = LARGER * batch_size * max(sizes, default=0)
    batches: list[list[int]] = [[]]
    for position in sorted(range(len(test)), key=sizes.__getitem__):
        if batches[-1] and (len(batches[-1]) + 1) * sizes[position] > most:
            batches.append([])
        batches[-1].append(position)
    return [*batches]
