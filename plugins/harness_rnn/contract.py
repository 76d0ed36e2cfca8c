"""The contract of sequence datasets, models and optimizations: the batch, the model and its seams.

Shapes: B examples, T time steps, F features, E embedding size, H hidden size, D directions (1 or 2), C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from harness import Data
from harness_rnn.whole_scores import AUC, MACRO_F1

PADDING = 0
"""The token id of padding. Its embedding is zero and gets no gradient."""
UNKNOWN = 1
"""The token id of tokens that are not in the vocabulary."""
NO_LABEL = -100
"""The label of steps without a label: padding, and steps that a dataset leaves out."""

Task = Literal["class", "value", "steps"]


class SequenceExample(NamedTuple):
    """One sequence of L >= 1 steps. `tokens` are (L,) int64, none of them `PADDING`, or finite features (L, F) float32.
    The label is a class (an int), a finite number (a float), or classes of all steps (L,) int64, at least one of them
    not `NO_LABEL`. No two examples of a set have the same id. `sequence_data` checks all this."""

    id: int
    tokens: Tensor
    label: Any


class SequenceBatch(NamedTuple):
    """Right-padded sequences: `ids` (B,), `tokens` (B, T) int64 or features (B, T, F) float32, and `lengths` (B,).
    `labels` are classes (B,), numbers (B,) float32, or classes of steps (B, T) with `NO_LABEL` where there is none.

    `ids` and `lengths` stay on the CPU, where packing and segmenting need the lengths.
    """

    ids: Tensor
    tokens: Tensor
    lengths: Tensor
    labels: Tensor

    def to(self, device: Any) -> SequenceBatch:
        """The batch with tokens and labels on another device."""
        return self._replace(tokens=self.tokens.to(device), labels=self.labels.to(device))


def collate(examples: Sequence[SequenceExample]) -> SequenceBatch:
    """A batch of these examples, padded to the longest of them. Raises ValueError for one without steps."""
    lengths = [len(example.tokens) for example in examples]
    if 0 in lengths:  # of a dataset of which `sequence_data` has checked only some examples
        raise ValueError(f"the example with the id {examples[lengths.index(0)].id} has no steps")
    return SequenceBatch(
        torch.tensor([example.id for example in examples]),
        pad_sequence([example.tokens for example in examples], batch_first=True, padding_value=PADDING),
        torch.tensor(lengths),
        labels_of(examples),
    )


def labels_of(examples: Sequence[SequenceExample]) -> Tensor:
    """Labels (B,), or (B, T) if each step has a label."""
    labels = [example.label for example in examples]
    if isinstance(labels[0], Tensor):
        return pad_sequence(labels, batch_first=True, padding_value=NO_LABEL)
    return torch.tensor(labels)


def count(batch: SequenceBatch) -> dict[str, float]:
    """The valid tokens, the computed slots (B x T for a padded batch), and the consecutive time steps T."""
    rows, steps = batch.tokens.shape[:2]
    return {"tokens": float(batch.lengths.sum()), "slots": float(rows * steps), "time_steps": float(steps)}


@dataclass(frozen=True)
class SequenceFacts:
    """What a model knows of a dataset: the number of token ids (with padding and unknown) or of features, the number
    of classes (1 for a number), and the task: a class or a value per sequence, or a class per step."""

    vocabulary: int
    classes: int
    features: int = 0
    task: Task = "class"


class Sequences(Sequence[SequenceExample]):
    """Sequences, given as lists of token ids or as tensors, stored in one flat tensor. An example is a view of it.
    Raises ValueError if there are not as many labels, if tensors cannot be joined, or if token ids are not integers."""

    def __init__(self, tokens: Sequence[Any], labels: Sequence[Any], first_id: int = 0) -> None:
        if len(tokens) != len(labels):
            raise ValueError(f"there are {len(tokens)} sequences and {len(labels)} labels")
        if len(tokens) and isinstance(tokens[0], Tensor):
            self.flat = joined(tokens)
        else:
            self.flat = torch.tensor([token for sequence in tokens for token in sequence])
            if self.flat.is_floating_point() and len(self.flat):
                raise ValueError("token ids are floats; expected integers")
            self.flat = self.flat.long()
        self.ends = torch.tensor([len(sequence) for sequence in tokens]).cumsum(0).tolist()
        self.labels, self.first_id = list(labels), first_id

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        begin = self.ends[index - 1] if index else 0
        return SequenceExample(self.first_id + index, self.flat[begin : self.ends[index]], self.labels[index])


def joined(tokens: Sequence[Tensor]) -> Tensor:
    """All steps in one tensor. Raises ValueError for the first tensor of another dtype or width than the first one."""
    first = tokens[0]
    for number, one in enumerate(tokens):
        if (one.dtype, one.shape[1:]) != (first.dtype, first.shape[1:]):
            forms = [f"{tuple(each.shape)} {str(each.dtype).removeprefix('torch.')}" for each in (one, first)]
            raise ValueError(f"sequence {number} is {forms[0]}, and sequence 0 is {forms[1]}")
    return torch.cat(list(tokens))


def probes(train: Sequence[SequenceExample], seed: int) -> list[list[SequenceExample]]:
    """Batches that show mistakes of packing and segmenting, which equal lengths would hide: unsorted random lengths
    with ties and ones, a single row, and one long row among short ones."""
    random = Random(f"probes {seed}")
    source = [train[position] for position in random.sample(range(len(train)), min(12, len(train)))]
    longest = sorted(source, key=lambda example: len(example.tokens))[-4:]

    def cut(lengths: Sequence[int]) -> list[SequenceExample]:
        """Rows of these lengths, made from the longest examples."""
        rows = []
        for position, length in enumerate(lengths):
            example = longest[position % len(longest)]
            label = stretched(example.label, length) if isinstance(example.label, Tensor) else example.label
            rows.append(SequenceExample(position, stretched(example.tokens, length), label))
        return rows

    tied = random.randrange(5, 12)
    mixed = [tied, 1, random.randrange(2, 30), tied, 1, random.randrange(2, 30), 30, random.randrange(2, 30), tied]
    return [cut(mixed), cut([random.randrange(2, 30)]), cut([1, 2, 40, 1])]


def stretched(values: Tensor, length: int) -> Tensor:
    """The last `length` steps of values (L, ...), which are repeated if L is less. Labels are mostly at the end."""
    return torch.cat([values] * -(-length // len(values)))[-length:]


def correct(predictions: Tensor, batch: SequenceBatch) -> Tensor:
    """From logits (B, C): 1 if the class is right, else 0, shape (B,)."""
    return (predictions.argmax(1) == batch.labels).float()


def close(predictions: Tensor, batch: SequenceBatch) -> Tensor:
    """From numbers (B, 1): 1 if the error is below 0.04, else 0, shape (B,). This is the criterion of Hochreiter and
    Schmidhuber (1997, section 5.4)."""
    return ((predictions[:, 0] - batch.labels).abs() < 0.04).float()


def correct_steps(predictions: Tensor, batch: SequenceBatch) -> Tensor:
    """From logits (B, T, C): 1 if the class is right, else 0, for each step with a label, shape (steps,)."""
    logits, labels = at_labels(predictions, batch)
    return (logits.argmax(1) == labels).float()


def at_labels(predictions: Tensor, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
    """From predictions (B, T, C): logits (steps, C) and classes (steps,) of the steps with a label."""
    labels = batch.labels[:, : predictions.shape[1]]
    labelled = labels != NO_LABEL
    return predictions[labelled], labels[labelled]


def losses(task: Task, predictions: Tensor, batch: SequenceBatch) -> Tensor:
    """The same loss for all models, shape (n,): from logits (B, C) the cross-entropy of each example, from logits
    (B, T, C) that of each labelled step, and from numbers (B, 1) their squared errors."""
    if task == "value":
        return (predictions[:, 0].float() - batch.labels).square()
    logits, labels = at_labels(predictions, batch) if task == "steps" else (predictions, batch.labels)
    return F.cross_entropy(logits.float(), labels, reduction="none")


Answer = Callable[[SequenceBatch], Tensor]
"""Predictions that depend only on the number and the size of the sequences."""


def constant_answer(facts: SequenceFacts, train: Sequence[SequenceExample]) -> Answer:
    """The best predictions without the input: the mean of numbers, or logits from the frequencies of the classes among
    the labels."""
    if facts.task == "value":
        mean = torch.tensor([example.label for example in train]).mean()
        return lambda batch: mean.to(batch.labels).expand(len(batch.ids), 1)
    labels = torch.cat([torch.as_tensor(example.label).flatten() for example in train])
    logits = logits_of(labels, facts.classes)
    return lambda batch: logits.to(batch.labels.device).expand(*batch.labels.shape, -1)


def logits_of(labels: Tensor, classes: int) -> Tensor:
    """The logarithms (C,) of the frequencies of classes among labels (n,). Each class counts half an observation more
    than it has, so that no logarithm is infinite."""
    counts = torch.bincount(labels[labels != NO_LABEL], minlength=classes) + 0.5
    return (counts / counts.sum()).log()


def scorers(facts: SequenceFacts) -> dict[str, Any]:
    """The scores of a task besides the loss. A dataset declares those that are to be computed, as `harness_rnn` does
    for its own."""
    if facts.task == "value":
        return {"solved": close}
    if facts.task == "steps":
        return {"step_accuracy": correct_steps}
    return {"accuracy": correct, "macro_f1": MACRO_F1, **({"auc": AUC} if facts.classes == 2 else {})}


def sequence_data(
    train: Sequence[SequenceExample],
    test: Sequence[SequenceExample],
    facts: SequenceFacts,
    *,
    exchangeable: bool = False,
    scores: Mapping[str, Any] | None = None,
    constant: Callable[[Sequence[SequenceExample]], Answer] | None = None,
) -> Data:
    """A dataset for models of this contract. `exchangeable`: train and test were split at random, so that each seed may
    split them again. `scores` are added to the scores of the task. `constant` replaces `constant_answer`.

    Raises UserError for the first example that breaks the contract of `SequenceExample`. All examples of lists and of
    `Sequences` are checked, and 1,000 examples of each set of any other type, which may load each when it is asked for.
    """
    data = Data(
        train, test, collate, facts, count, lambda seed: probes(train, seed),
        scores={**scorers(facts), **(scores or {})}, exchangeable=exchangeable,
        criterion=partial(losses, facts.task), constant=constant or partial(constant_answer, facts),
        size=lambda example: len(example.tokens),
    )  # fmt: skip
    from harness_rnn.check import check_sequences  # it imports this module

    check_sequences(train, test, facts, exchangeable=exchangeable)
    return data


class SequenceModel(nn.Module):
    """embed -> core -> readout -> head: four methods that optimizations may replace.

    `encoder` is called with x (B, T, E), lengths (B,) on the CPU and a carry or None. It returns outputs (B, T, D*H),
    final (B, D*H) and a carry, and has `output_size` = D*H. Outputs at valid steps and `final` must not depend on the
    padding, so that padded, packed and segmented variants can be compared. If the dataset has features, E is their
    number and there is no embedding.
    """

    def __init__(self, facts: SequenceFacts, encoder: nn.Module, embedding_size: int) -> None:
        super().__init__()
        self.facts = facts
        self.embedding = (
            nn.Identity() if facts.features else nn.Embedding(facts.vocabulary, embedding_size, padding_idx=PADDING)
        )
        self.encoder = encoder
        self.classifier = nn.Linear(encoder.output_size, facts.classes)  # type: ignore[arg-type]

    def embed(self, tokens: Tensor) -> Tensor:
        """(B, T) or (B, T, F) -> (B, T, E)."""
        return self.embedding(tokens)  # type: ignore[no-any-return]

    def core(self, x: Tensor, lengths: Tensor, carry: Any = None) -> tuple[Tensor, Tensor, Any]:
        """(B, T, E) -> outputs (B, T, D*H), final (B, D*H), carry. `final` is the state of the last layer after the
        last valid step of each direction."""
        return self.encoder(x, lengths, carry)  # type: ignore[no-any-return]

    def readout(self, outputs: Tensor, final: Tensor, lengths: Tensor) -> Tensor:
        """The features of a whole sequence for the head, (B, D*H): the final state."""
        return final

    def head(self, features: Tensor) -> Tensor:
        """(..., D*H) -> logits or numbers (..., C)."""
        return self.classifier(features)  # type: ignore[no-any-return]

    def run(self, batch: SequenceBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs (B, T, D*H), final (B, D*H) and the prediction: (B, C), or (B, T, C) for the task "steps"."""
        outputs, final, _ = self.core(self.embed(batch.tokens), batch.lengths)
        return outputs, final, self.predict_from(outputs, final, batch.lengths)

    def predict_from(self, outputs: Tensor, final: Tensor, lengths: Tensor) -> Tensor:
        """The prediction from the results of the core: for each step, or for the readout of the sequence."""
        return self.head(outputs if self.facts.task == "steps" else self.readout(outputs, final, lengths))

    def loss(self, batch: SequenceBatch) -> Tensor:
        """The loss of a batch, a scalar: see `criterion`."""
        return self.criterion(self.run(batch)[2], batch.labels)

    def criterion(self, predicted: Tensor, labels: Tensor) -> Tensor:
        """The mean cross-entropy over examples or labelled steps, or the mean squared error of numbers."""
        if self.facts.task == "value":
            return F.mse_loss(predicted[:, 0], labels)
        return F.cross_entropy(predicted.flatten(0, -2), labels.flatten(), ignore_index=NO_LABEL)

    def predict(self, batch: SequenceBatch) -> Tensor:
        """Logits or numbers (B, C); for the task "steps", logits (B, longest, C) that are zero in the padding."""
        predicted = self.run(batch)[2]
        return at_valid(predicted, batch.lengths) if self.facts.task == "steps" else predicted

    def observe(self, batch: SequenceBatch) -> Mapping[str, Tensor]:
        """Outputs at valid steps, final states and logits. Raises ValueError if the core returns a wrong shape."""
        outputs, final, logits = self.run(batch)
        size = self.encoder.output_size
        for name, tensor, shape in (
            ("outputs", outputs, (*batch.tokens.shape[:2], size)),
            ("final", final, (len(batch.lengths), size)),
        ):
            if tensor.shape != shape:
                raise ValueError(f"core returns {name} of shape {tuple(tensor.shape)}; expected {shape}")
        outputs = at_valid(outputs, batch.lengths)
        if self.facts.task == "steps":
            logits = at_valid(logits, batch.lengths)
        return {"outputs": outputs, "final": final, "logits": logits}

    def health(self, batch: SequenceBatch) -> Mapping[str, float | list[float]]:
        """Gradients by lag and statistics of gates for one batch, without dropout: see `harness_rnn.health`. It leaves
        weights, gradients, buffers and random generators unchanged."""
        from harness_rnn.health import health  # it imports this module

        return health(self, batch)


def at_valid(values: Tensor, lengths: Tensor) -> Tensor:
    """Values (B, T, *) up to the longest row, with zeros in the padding: (B, longest, *)."""
    values = values[:, : int(lengths.max())]
    valid = torch.arange(values.shape[1]) < lengths[:, None]
    return values * valid[..., None].to(values)
