"""The contract of sequence datasets, models and optimizations: the batch, the model and its seams.

Shapes: B examples, T time steps, F features, E embedding size, H hidden size, D directions (1 or 2), C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from random import Random
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from harness import Data, UserError
from harness_rnn.tasks import NO_LABEL as NO_LABEL
from harness_rnn.tasks import NO_NUMBER as NO_NUMBER
from harness_rnn.tasks import NUMBERS, PER_STEP, Answer, Task, constant_answer, losses, mean_loss, no_label, scorers

PADDING = 0
"""The token id of padding. Its embedding is zero and gets no gradient."""
UNKNOWN = 1
"""The token id of tokens that are not in the vocabulary."""


class SequenceExample(NamedTuple):
    """One sequence of L >= 1 steps. `tokens` are (L,) int64, none of them `PADDING`, or finite features (L, F) float32.
    The label is a class (an int) or a finite number (a float). Or it has an entry for each step, of which at least one
    is a label: classes (L,) int64 with `NO_LABEL` elsewhere, or finite numbers (L,) float32 with `NO_NUMBER` elsewhere.
    No two examples of a set have the same id. `sequence_data` checks all this."""

    id: int
    tokens: Tensor
    label: Any


class SequenceBatch(NamedTuple):
    """Right-padded sequences: `ids` (B,), `tokens` (B, T) int64 or features (B, T, F) float32, and `lengths` (B,).
    `labels` are classes (B,) int64 or numbers (B,) float32; or those of steps (B, T), with `NO_LABEL` or `NO_NUMBER`
    where there is none.

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
        return pad_sequence(labels, batch_first=True, padding_value=no_label(labels[0]))
    # A float of numpy would make the tensor float64, which models do not accept.
    return torch.tensor(labels, dtype=torch.int64 if isinstance(labels[0], Integral) else torch.float32)


def count(batch: SequenceBatch) -> dict[str, float]:
    """The valid tokens, the computed slots (B x T for a padded batch), and the consecutive time steps T."""
    rows, steps = batch.tokens.shape[:2]
    return {"tokens": float(batch.lengths.sum()), "slots": float(rows * steps), "time_steps": float(steps)}


@dataclass(frozen=True)
class SequenceFacts:
    """What a model knows of a dataset: the number of token ids (with padding and unknown) or of features, the number
    of classes (1 for a number), and the task: a class ("class") or a number ("value") for each sequence, or a class
    ("steps") or a number ("step_values") for each step. Raises UserError for values that contradict each other."""

    vocabulary: int
    classes: int
    features: int = 0
    task: Task = "class"

    def __post_init__(self) -> None:
        if self.task not in get_args(Task):
            tasks = ", ".join(map(repr, get_args(Task)))
            raise UserError(f"SequenceFacts has task = {self.task!r}; expected one of {tasks}.")
        for name in ("vocabulary", "classes", "features"):
            if not isinstance(getattr(self, name), Integral):
                found = f"{name} = {getattr(self, name)!r} of type {type(getattr(self, name)).__name__}"
                raise UserError(f"SequenceFacts has {found}; expected an int.")
        if self.classes < 1 or (self.classes > 1 and self.task in NUMBERS):
            expected = "classes = 1, since labels are numbers" if self.task in NUMBERS else "at least one class"
            raise UserError(f"SequenceFacts has classes = {self.classes}, task = {self.task!r}; expected {expected}.")
        if self.features < 0 or (not self.features and self.vocabulary <= UNKNOWN):
            found = f"vocabulary = {self.vocabulary} and features = {self.features}"
            expected = f"features (L, F) need features = F, and token ids a vocabulary of at least {UNKNOWN + 1}"
            raise UserError(f"SequenceFacts has {found}; {expected}.")

    @property
    def per_step(self) -> bool:
        """Whether each step has a label."""
        return self.task in PER_STEP


class Sequences(Sequence[SequenceExample]):
    """Sequences, given as lists of token ids, tensors or arrays, stored in one flat tensor. An example is a view of it.
    Token ids (L,) become int64, and features (L, F) float32. Labels are as in `SequenceExample`, or arrays of them.
    Raises UserError if there are not as many labels, if tensors cannot be joined, or if token ids are not integers."""

    def __init__(self, tokens: Sequence[Any], labels: Sequence[Any], first_id: int = 0) -> None:
        if len(tokens) != len(labels):
            raise UserError(f"there are {len(tokens)} sequences and {len(labels)} labels")
        if len(tokens) and hasattr(tokens[0], "dtype"):
            self.flat = joined([as_tensor(sequence) for sequence in tokens])
        else:
            self.flat = torch.tensor([token for sequence in tokens for token in sequence])
        if self.flat.dim() == 1 and self.flat.is_floating_point() and len(self.flat):
            raise UserError("token ids are floats; expected integers, or features of shape (steps, features)")
        self.flat = self.flat.long() if self.flat.dim() == 1 else self.flat.float()
        self.ends = torch.tensor([len(sequence) for sequence in tokens]).cumsum(0).tolist()
        self.labels, self.first_id = plain_labels(labels), first_id

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


def plain_labels(labels: Any) -> list[Any]:
    """Labels as `SequenceExample` has them, from labels or an array of them: numbers of Python, and for the labels of
    steps tensors (L,) int64 or float32."""
    found = labels.tolist() if hasattr(labels, "tolist") and labels.ndim == 1 else list(labels)
    return [steps_labels(label) if hasattr(label, "ndim") and label.ndim else label for label in found]


def steps_labels(label: Any) -> Tensor:
    """The labels of steps as int64 or float32."""
    tensor = as_tensor(label)
    return tensor.float() if tensor.is_floating_point() else tensor.long()


def as_tensor(values: Any) -> Tensor:
    """A tensor, or an array as one. An array is copied: torch warns of arrays that cannot be written to."""
    return values if isinstance(values, Tensor) else torch.tensor(values)


def joined(tokens: Sequence[Tensor]) -> Tensor:
    """All steps in one tensor. Raises UserError for the first tensor of another dtype or width than the first one."""
    first = tokens[0]
    for number, one in enumerate(tokens):
        if (one.dtype, one.shape[1:]) != (first.dtype, first.shape[1:]):
            forms = [f"{tuple(each.shape)} {str(each.dtype).removeprefix('torch.')}" for each in (one, first)]
            raise UserError(f"sequence {number} is {forms[0]}, and sequence 0 is {forms[1]}")
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
        """Outputs (B, T, D*H), final (B, D*H) and the prediction: (B, C), or (B, T, C) if each step has a label."""
        outputs, final, _ = self.core(self.embed(batch.tokens), batch.lengths)
        return outputs, final, self.predict_from(outputs, final, batch.lengths)

    def predict_from(self, outputs: Tensor, final: Tensor, lengths: Tensor) -> Tensor:
        """The prediction from the results of the core: for each step, or for the readout of the sequence."""
        return self.head(outputs if self.facts.per_step else self.readout(outputs, final, lengths))

    def loss(self, batch: SequenceBatch) -> Tensor:
        """The loss of a batch, a scalar: see `criterion`."""
        return self.criterion(self.run(batch)[2], batch.labels)

    def criterion(self, predicted: Tensor, labels: Tensor) -> Tensor:
        """The mean cross-entropy, or the mean squared error of numbers, over examples or labelled steps."""
        return mean_loss(self.facts.task, predicted, labels)

    def predict(self, batch: SequenceBatch) -> Tensor:
        """Logits or numbers (B, C); if each step has a label, logits (B, longest, C) that are zero in the padding."""
        predicted = self.run(batch)[2]
        return at_valid(predicted, batch.lengths) if self.facts.per_step else predicted

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
        if self.facts.per_step:
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
