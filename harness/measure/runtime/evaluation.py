"""The scores of a model on held-out examples, and those of the best constant answer.

A dataset with a criterion gives every model the same loss, from one pass over the examples in large batches of similar
sizes. Otherwise the loss is the model's own, in batches of the training size, since it may depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isclose, nan
from random import Random
from statistics import fmean
from typing import Any

import torch

from harness.measure.runtime.builder import BuiltTrial
from harness.measure.runtime.generators import kept_generators
from harness.measure.runtime.module_modes import evaluation_mode
from harness.measure.runtime.watchdog import Watchdog
from harness.plugins.parts import Data
from harness.plugins.whole_score import WholeScore

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
    with evaluation_mode(built.model), torch.no_grad(), kept_generators():
        yield


class Evaluation:
    """Evaluates one built trial on `test`. `batch_dependent` says whether its predictions depend on the other examples
    of a batch, as they do if a model reads padding. Such a trial is evaluated in batches of the training size.
    `size_dependent` says whether the model's own loss is not a mean over examples, so that it depends on that size."""

    def __init__(self, built: BuiltTrial, data: Data, test: Sequence[Any], watchdog: Watchdog) -> None:
        self.built, self.data, self.test, self.watchdog = built, data, test, watchdog
        self.batch_dependent = self.size_dependent = False
        size = built.trial.batch_size
        self.batches: list[Sequence[int]] = consecutive(len(test), size)
        if data.evaluate is not None:
            return
        with evaluating(built):
            if data.criterion is None:
                self.size_dependent = self.depends_on_size()
                return
            self.batch_dependent = self.depends_on_batch()
        if not self.batch_dependent:
            self.batches = batches_of_similar_size(data, test, size)

    def scores(self) -> dict[str, float]:
        """The loss and all scores over all examples."""
        built, totals = self.built, self.new_totals()
        with evaluating(built):
            if self.data.evaluate is not None:
                return self.own_scores(self.data.evaluate)
            for batch in self.loaded():
                given = built.as_input(batch)
                if self.data.criterion is None:
                    totals["loss"].add(built.forward(built.model, given).expand(len(batch.ids)))
                if self.data.criterion is not None or self.data.scores:
                    self.add(totals, built.evaluate(built.model, given), batch)
        return {name: total.found() for name, total in totals.items()}

    def own_scores(self, evaluate: Callable[[Any, Any], Mapping[str, float]]) -> dict[str, float]:
        """The scores that the dataset's own function computes, and the mean loss of the model if it does not return
        one. Raises ValueError if it returns something else than numbers by name."""
        built = self.built
        found = evaluate(built.model, map(built.as_input, self.loaded()))
        try:
            scores = {str(name): float(value) for name, value in found.items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"evaluate must return numbers by name ({error})") from error
        if "loss" not in scores:
            mean = Mean()
            for batch in self.loaded():
                mean.add(built.forward(built.model, built.as_input(batch)).expand(len(batch.ids)))
            scores["loss"] = mean.found()
        return scores

    def constant(self, train: Sequence[Any]) -> dict[str, float]:
        """The scores of the best constant answer for the training examples; empty if the dataset does not give one."""
        if self.data.constant is None:
            return {}
        positions = Random("constant answer").sample(range(len(train)), min(len(train), MOST))
        answer, totals = self.data.constant([train[position] for position in positions]), self.new_totals()
        if self.data.criterion is None:
            del totals["loss"]  # a model's own
        with torch.no_grad():
            for batch in self.loaded():
                self.add(totals, answer(batch), batch)
        return {name: total.found() for name, total in totals.items()}

    def new_totals(self) -> dict[str, Mean | Whole]:
        """The loss and each score, before the first batch."""
        scores = {
            name: Whole(function.score) if isinstance(function, WholeScore) else Mean()
            for name, function in self.data.scores.items()
        }
        return {"loss": Mean(), **scores}

    def add(self, totals: Mapping[str, Mean | Whole], predictions: Any, batch: Any) -> None:
        """Add the values of the criterion and of each score."""
        if self.data.criterion is not None:
            totals["loss"].add(self.data.criterion(predictions, batch))
        for name, function in self.data.scores.items():
            if isinstance(function, WholeScore):
                totals[name].add(*function.values(predictions, batch))
            else:
                totals[name].add(function(predictions, batch))

    def loaded(self) -> Iterator[Any]:
        """The batches of the test examples, in the dataset's dtypes: labels must not be rounded to those of a model."""
        for positions in self.batches:
            self.watchdog.doing(self.built.trial.level, "evaluating")
            yield self.built.on_device(self.built.collate([self.test[position] for position in positions]))

    def depends_on_batch(self) -> bool:
        """Whether an example alone gets another prediction than in a batch, or this cannot be seen."""
        examples = self.probed()
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

    def depends_on_size(self) -> bool:
        """Whether the model's own loss of a batch is another number than the mean of those of its examples."""
        examples = self.probed()
        try:
            losses = [float(self.built.forward(self.built.model, self.built.batch([one]))) for one in examples]
        except Exception:  # some models refuse a batch of one, and raise anything
            return False
        mean, together = fmean(losses), float(self.built.forward(self.built.model, self.built.batch(examples)))
        return not isclose(mean, together, rel_tol=ROUNDING / 10, abs_tol=1e-6)

    def probed(self) -> list[Any]:
        """A few test examples."""
        count = min(LARGER * self.built.trial.batch_size, PROBED, len(self.test))
        return [self.test[position] for position in Random("alone").sample(range(len(self.test)), count)]

    def predictions(self, examples: Sequence[Any]) -> dict[int, torch.Tensor]:
        """The prediction of each of these examples by its id, as one batch; empty if the predictions are not one tensor
        with a row for each."""
        self.watchdog.doing(self.built.trial.level, "evaluating")
        batch = self.built.batch(examples)
        predictions = self.built.evaluate(self.built.model, batch)
        if not isinstance(predictions, torch.Tensor) or predictions.shape[:1] != batch.ids.shape:
            return {}
        return dict(zip(batch.ids.tolist(), predictions.double(), strict=True))


class Mean:
    """The mean of all values of a score."""

    def __init__(self) -> None:
        self.sum, self.count = 0.0, 0

    def add(self, values: torch.Tensor) -> None:
        """Add values (n,)."""
        self.sum += float(values.double().sum())
        self.count += len(values)

    def found(self) -> float:
        """The mean; NaN without values."""
        return self.sum / self.count if self.count else nan


class Whole:
    """A score of the values of all batches: see `WholeScore`."""

    def __init__(self, score: Any) -> None:
        self.score = score
        self.is_object = hasattr(score, "update") and hasattr(score, "compute")
        self.batches: list[tuple[torch.Tensor, ...]] = []
        if self.is_object:
            score.reset()

    def add(self, *values: torch.Tensor) -> None:
        """Add the values of a batch."""
        values = tuple(value.detach().cpu() for value in values)
        if self.is_object:
            self.score.update(*values)
        else:
            self.batches.append(values)

    def found(self) -> float:
        """The score."""
        if self.is_object:
            return float(self.score.compute())
        return float(self.score(*(torch.cat(parts) for parts in zip(*self.batches, strict=True))))


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
