"""Checks that the examples of a dataset keep the contract of sequences, before anything relies on it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import isfinite
from numbers import Integral, Real
from typing import Any, NamedTuple

import torch
from torch import Tensor

from harness import UserError
from harness_rnn.contract import PADDING, UNKNOWN, SequenceFacts, Sequences
from harness_rnn.tasks import NO_LABEL, NO_NUMBER, has_label

#: Lists and `Sequences` are checked completely. Any other dataset may load an example only when it is asked for, so at
#: most this many examples of each half are checked.
MOST = 1000
#: Examples of lists are checked in groups of this size, to limit the memory.
GROUP = 2048


class Group(NamedTuple):
    """Some examples of one half of a dataset as columns. `tokens` are those of all examples, one after another."""

    half: str
    positions: Sequence[int]
    ids: Sequence[int]
    lengths: Sequence[int]
    tokens: Tensor
    labels: Sequence[Any]

    def name(self, index: int) -> str:
        """How messages name an example."""
        return f"{self.half} example {self.positions[index]} (id {self.ids[index]})"

    def at_step(self, step: int) -> tuple[str, int]:
        """The name of the example to which a step of `tokens` belongs, and the step's number in it."""
        ends = list(accumulate(self.lengths))
        index = bisect_right(ends, step)
        return self.name(index), step - (ends[index - 1] if index else 0)


def check_sequences(train: Any, test: Any, facts: SequenceFacts, *, exchangeable: bool) -> None:
    """Raise UserError for the first example that breaks the contract (see `contract.SequenceExample`)."""
    known: set[int] = set()
    for half, examples in (("train", train), ("test", test)):
        if not exchangeable:
            known = set()  # examples of both halves are never in one batch
        for group in groups(half, examples, facts):
            check_lengths(group)
            check_tokens(group, facts)
            check_labels(group, facts)
            check_ids(group, known)


def groups(half: str, examples: Any, facts: SequenceFacts) -> Iterator[Group]:
    """The examples that are checked, with tokens of the expected form."""
    if isinstance(examples, Sequences):
        lengths = [end - begin for begin, end in zip([0, *examples.ends], examples.ends, strict=False)]
        ids = range(examples.first_id, examples.first_id + len(examples))
        if len(examples.flat):
            check_form(examples.flat, f"the data of {half}", facts)
        yield Group(half, range(len(examples)), ids, lengths, examples.flat, examples.labels)
        return
    most = len(examples) if isinstance(examples, list | tuple) else MOST
    positions = range(0, len(examples), max(1, -(-len(examples) // most) if most else 1))
    for begin in range(0, len(positions), GROUP):
        chosen = positions[begin : begin + GROUP]
        some = [examples[position] for position in chosen]
        for position, example in zip(chosen, some, strict=True):
            name = f"{half} example {position}"
            missing = [field for field in ("id", "tokens", "label") if not hasattr(example, field)]
            if missing:
                found = f"is a {type(example).__name__} without {missing[0]}"
                raise UserError(f"{name} {found}; expected a SequenceExample(id, tokens, label)")
            check_form(example.tokens, name, facts)
        yield Group(
            half,
            chosen,
            [example.id for example in some],
            [len(example.tokens) for example in some],
            torch.cat([example.tokens for example in some]),
            [example.label for example in some],
        )


def check_form(tokens: Any, name: str, facts: SequenceFacts) -> None:
    """Raise UserError unless tokens are (L,) int64, or features (L, F) float32."""
    if not isinstance(tokens, Tensor):
        raise UserError(f"{name} has a {type(tokens).__name__} as tokens; expected a tensor")
    if facts.features:
        if tokens.dim() != 2 or tokens.shape[1] != facts.features or tokens.dtype != torch.float32:
            fix = "; convert them with .float()" if tokens.is_floating_point() and tokens.dim() == 2 else ""
            raise UserError(f"{name} has features {form(tokens)}; expected (steps, {facts.features}) float32{fix}")
    elif tokens.dim() != 1 or tokens.dtype != torch.int64:
        fix = "; for features, set SequenceFacts(features=...)" if tokens.is_floating_point() else ""
        raise UserError(f"{name} has tokens {form(tokens)}; expected (steps,) int64{fix}")


def form(tensor: Tensor) -> str:
    """The shape and the type of a tensor, as messages name them."""
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def check_lengths(group: Group) -> None:
    """Raise UserError for a sequence without a step."""
    if 0 in group.lengths:
        name = group.name(group.lengths.index(0))
        raise UserError(
            f"{name} has no steps; expected at least one: leave it out, or give it one unknown token ({UNKNOWN})"
        )


def check_tokens(group: Group, facts: SequenceFacts) -> None:
    """Raise UserError for a token that has no embedding, and for a feature that is not finite."""
    if facts.features:
        wrong = ~torch.isfinite(group.tokens).all(1)
        if bool(wrong.any()):
            name, step = group.at_step(int(wrong.nonzero()[0]))
            raise UserError(f"{name} has a feature at step {step} that is not finite (NaN or infinity)")
        return
    wrong = (group.tokens <= PADDING) | (group.tokens >= facts.vocabulary)
    if bool(wrong.any()):
        first = int(wrong.nonzero()[0])
        token, (name, step) = int(group.tokens[first]), group.at_step(first)
        why = ", which is padding" if token == PADDING else ""
        limits = f"ids are from {UNKNOWN} (unknown) to {facts.vocabulary - 1}, below the vocabulary's size"
        raise UserError(f"{name} has the token {token} at step {step}{why}; {limits}")


def check_labels(group: Group, facts: SequenceFacts) -> None:
    """Raise UserError for a label that is not of the task."""
    check = {
        "class": class_fault, "value": value_fault, "steps": steps_fault, "step_values": step_values_fault,
    }[facts.task]  # fmt: skip
    for index, (label, length) in enumerate(zip(group.labels, group.lengths, strict=True)):
        if fault := check(label, length, facts):
            raise UserError(f"{group.name(index)} has {fault}")


def class_fault(label: Any, length: int, facts: SequenceFacts) -> str:
    """What is wrong with the class of a sequence; empty if nothing is."""
    if type(label) is not int and (isinstance(label, bool) or not isinstance(label, Integral)):
        return f"the label {label!r} of type {type(label).__name__}; expected a class as int{hint_for(label, facts)}"
    if 0 <= label < facts.classes:
        return ""
    return f"the label {label}; expected a class from 0 to {facts.classes - 1}"


def value_fault(label: Any, length: int, facts: SequenceFacts) -> str:
    """What is wrong with the number of a sequence; empty if nothing is."""
    if not isinstance(label, Real) or isinstance(label, Integral):
        return f"the label {label!r} of type {type(label).__name__}; expected a float{hint_for(label, facts)}"
    return "" if isfinite(label) else f"the label {label}, which is not finite"


def hint_for(label: Any, facts: SequenceFacts) -> str:
    """What to change if the label is one of another task; empty if nothing is known."""
    if isinstance(label, Tensor) and label.numel() == 1:
        return f": write {label.item()!r}, as .item() returns it"
    if isinstance(label, Tensor) and label.dim() == 1:
        return f", since task={facts.task!r}; for a label of each step, set task='steps' or task='step_values'"
    return f", since task={facts.task!r}; for numbers, set task='value'" if isinstance(label, float) else ""


def form_fault(label: Any, length: int, dtype: torch.dtype, what: str) -> str:
    """What is wrong with the form of the labels of the steps; empty if nothing is."""
    if not isinstance(label, Tensor) or label.dtype != dtype or label.dim() != 1:
        found = form(label) if isinstance(label, Tensor) else f"of type {type(label).__name__}"
        type_name = str(dtype).removeprefix("torch.")
        return f"labels {found}; expected a tensor ({length},) {type_name} with {what} for each step"
    return "" if len(label) == length else f"{len(label)} labels for {length} steps"


def step_values_fault(label: Any, length: int, facts: SequenceFacts) -> str:
    """What is wrong with the numbers of the steps; empty if nothing is."""
    if fault := form_fault(label, length, torch.float32, "a number"):
        return fault
    numbers = label[has_label(label)]
    if not len(numbers):
        return f"no label: each is NO_NUMBER ({NO_NUMBER:.3g}); leave it out, since nothing can be learned from it"
    wrong = ~torch.isfinite(numbers)
    return f"the label {float(numbers[wrong][0])}, which is not finite; write NO_NUMBER for none" if wrong.any() else ""


def steps_fault(label: Any, length: int, facts: SequenceFacts) -> str:
    """What is wrong with the classes of the steps; empty if nothing is."""
    if fault := form_fault(label, length, torch.int64, "a class"):
        return fault
    lowest, highest = (int(end) for end in label.aminmax())
    if lowest < 0:
        labelled = label[label != NO_LABEL]
        if not len(labelled):
            return f"no label: each is {NO_LABEL}; leave it out, since nothing can be learned from it"
        lowest = int(labelled.min())
    if lowest >= 0 and highest < facts.classes:
        return ""
    wrong = lowest if lowest < 0 else highest
    return f"the label {wrong}; expected classes from 0 to {facts.classes - 1}, or {NO_LABEL} for no label"


def check_ids(group: Group, known: set[int]) -> None:
    """Raise UserError for an id that two examples of one batch may have. Adds all ids to those `known`."""
    if len(set(group.ids)) == len(group.ids) and known.isdisjoint(group.ids):
        known.update(group.ids)
        return
    for index, number in enumerate(group.ids):
        if number in known:
            raise UserError(f"{group.name(index)} has the id of another example; ids must differ (see first_id)")
        known.add(number)
