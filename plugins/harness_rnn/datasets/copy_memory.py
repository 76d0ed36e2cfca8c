"""The copying task: ten symbols, a long pause, and the same ten again."""

from __future__ import annotations

from random import Random
from typing import Literal

import torch
from torch import Tensor

from harness import Data
from harness_rnn.contract import NO_LABEL, SequenceBatch, SequenceFacts, Sequences, sequence_data

#: Raised when the same parameters would draw other sequences.
VERSION = "1"

#: How many symbols are to be kept, out of how many.
KEPT, SYMBOLS = 10, 8
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
    """Arjovsky, Shah and Bengio (2016, section 4.1), after Hochreiter and Schmidhuber (1997): `lag` + 20 steps.

    Ten symbols drawn from eight, `lag` - 1 blanks, the delimiter, ten blanks. The right answer is a blank at each of
    the first `lag` + 10 steps, and then the ten symbols in their order. `ask` says which steps the loss is the mean of:
    **all**, as in the paper, where a net without memory gets 10 ln 8 / (`lag` + 20); or the ten of the **answer**,
    where it gets ln 8. Either way the scores look at the ten only. `seed` draws both sets.
    """
    check(lag, examples, test_examples)
    random = Random(f"copy_memory {VERSION} {seed}")
    silent = BLANK_CLASS if ask == "all" else NO_LABEL

    def sequences(size: int, first_id: int) -> Sequences:
        tokens, labels = [], []
        for _ in range(size):
            symbols = random.choices(range(1, SYMBOLS + 1), k=KEPT)
            tokens.append([*(symbol + 1 for symbol in symbols), *[BLANK] * (lag - 1), DELIMITER, *[BLANK] * KEPT])
            labels.append([silent] * (lag + KEPT) + symbols)
        return Sequences(tokens, list(torch.tensor(labels)), first_id)

    facts = SequenceFacts(vocabulary=SYMBOLS + 4, classes=SYMBOLS + 1, task="steps")
    scores = {"step_accuracy": step_accuracy, "whole": whole}
    return sequence_data(
        sequences(examples, 0), sequences(test_examples, examples), facts, exchangeable=True, scores=scores
    )


def fingerprint(*, lag: int, examples: int, test_examples: int, ask: str, seed: int) -> str:
    """The version of the drawing."""
    check(lag, examples, test_examples)
    return f"copy_memory {VERSION}"


def check(lag: int, examples: int, test_examples: int) -> None:
    """Raise ValueError where there is nothing to draw."""
    if min(examples, test_examples) < 1:
        raise ValueError(f"examples = {examples} and test_examples = {test_examples}: each set holds one at least")
    if lag < 1:
        raise ValueError(f"lag = {lag} leaves no room for the delimiter: 1 is the least")


def step_accuracy(predictions: Tensor, batch: SequenceBatch) -> Tensor:
    """Logits (B, T, C) to 1 or 0 for each symbol of the answer: (symbols,)."""
    right, asked = answers(predictions, batch)
    return right[asked].float()


def whole(predictions: Tensor, batch: SequenceBatch) -> Tensor:
    """Logits (B, T, C) to 1 where the whole answer is right, else 0: (B,)."""
    right, asked = answers(predictions, batch)
    return (right | ~asked).all(1).float()


def answers(predictions: Tensor, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
    """Where the class is right and where a symbol is asked for, both (B, T): blanks and pads are no symbols."""
    labels = batch.labels[:, : predictions.shape[1]]
    return predictions.argmax(2) == labels, labels > BLANK_CLASS
