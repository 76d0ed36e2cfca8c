"""The copying task: repeat ten symbols after a long pause."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal

import torch
from torch import Tensor

from harness import Data
from harness_rnn.contract import (
    NO_LABEL,
    SequenceBatch,
    SequenceExample,
    SequenceFacts,
    Sequences,
    sequence_data,
)
from harness_rnn.tasks import Answer, logits_of

#: Increased whenever the same parameters draw other sequences.
VERSION = "1"

#: The number of symbols to copy, and the number of different symbols.
COPIED, SYMBOLS = 10, 8
#: Token ids of the blank and the delimiter; the symbols have the ids 2 to 9, since 0 is padding and 1 unknown.
BLANK, DELIMITER = SYMBOLS + 2, SYMBOLS + 3
#: The class of a blank; symbol k of 1 to 8 has class k.
BLANK_CLASS = 0


def copy_memory(
    *,
    lag: int = 100,
    examples: int = 4096,
    test_examples: int = 512,
    ask: Literal["answer", "all"] = "all",
    seed: int = 0,
) -> Data:
    """The task of Arjovsky, Shah and Bengio (2016, section 4.1), after Hochreiter and Schmidhuber (1997).

    A sequence has `lag` + 20 steps: ten symbols drawn from eight, `lag` - 1 blanks, the delimiter, and ten blanks. The
    label is a blank at the first `lag` + 10 steps, and then the ten symbols in their order. `ask` selects the steps of
    the loss: **all**, as in the paper, where a model without memory has the loss 10 ln 8 / (`lag` + 20), or only the
    ten of the **answer**, where it has ln 8. The scores use only these ten. `examples` and `test_examples` are the
    sizes of the two sets, and `seed` draws both. Raises ValueError if one of these or `lag` is below 1.
    """
    check(lag, examples, test_examples)
    random = Random(f"copy_memory {VERSION} {seed}")
    blank = BLANK_CLASS if ask == "all" else NO_LABEL

    def sequences(size: int, first_id: int) -> Sequences:
        tokens, labels = [], []
        for _ in range(size):
            symbols = random.choices(range(1, SYMBOLS + 1), k=COPIED)
            tokens.append([*(symbol + 1 for symbol in symbols), *[BLANK] * (lag - 1), DELIMITER, *[BLANK] * COPIED])
            labels.append([blank] * (lag + COPIED) + symbols)
        return Sequences(tokens, list(torch.tensor(labels)), first_id)

    facts = SequenceFacts(vocabulary=SYMBOLS + 4, classes=SYMBOLS + 1, task="steps")
    scores = {"step_accuracy": step_accuracy, "whole": whole}
    return sequence_data(
        sequences(examples, 0), sequences(test_examples, examples), facts,
        exchangeable=True, scores=scores, constant=without_memory,
    )  # fmt: skip


def fingerprint(*, lag: int, examples: int, test_examples: int, ask: str, seed: int) -> str:
    """The version of the generator."""
    check(lag, examples, test_examples)
    return f"copy_memory {VERSION}"


def check(lag: int, examples: int, test_examples: int) -> None:
    """Raise ValueError for a set without examples, or a lag that is too short."""
    if min(examples, test_examples) < 1:
        raise ValueError(f"examples = {examples} and test_examples = {test_examples}: each must be at least 1")
    if lag < 1:
        raise ValueError(f"lag = {lag} leaves no room for the delimiter: it must be at least 1")


def without_memory(train: Sequence[SequenceExample]) -> Answer:
    """Logits (B, T, C) from the frequencies of the classes at each step: blanks, and then ten random symbols. This is
    the memoryless answer of the paper."""
    steps = torch.stack([example.label for example in train], 1)  # all sequences have the same length
    logits = torch.stack([logits_of(labels, SYMBOLS + 1) for labels in steps])
    return lambda batch: logits.to(batch.labels.device).expand(len(batch.ids), -1, -1)


def step_accuracy(predictions: Tensor, batch: SequenceBatch) -> Tensor:
    """From logits (B, T, C): 1 if the symbol is right, else 0, for each symbol of the answers, shape (symbols,)."""
    right, is_symbol = answers(predictions, batch)
    return right[is_symbol].float()


def whole(predictions: Tensor, batch: SequenceBatch) -> Tensor:
    """From logits (B, T, C): 1 if the whole answer is right, else 0, shape (B,)."""
    right, is_symbol = answers(predictions, batch)
    return (right | ~is_symbol).all(1).float()


def answers(predictions: Tensor, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
    """Masks (B, T): where the class is right, and where the label is a symbol, not a blank or padding."""
    labels = batch.labels[:, : predictions.shape[1]]
    return predictions.argmax(2) == labels, labels > BLANK_CLASS
