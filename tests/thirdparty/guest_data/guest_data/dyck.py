"""Dyck-(k, m): well-formed strings of `kinds` of brackets that are never more than `depth` deep."""

from random import Random

import torch
from harness_rnn.contract import NO_LABEL, SequenceFacts, Sequences, sequence_data

from harness import Data

#: Increased when the same parameters give other strings.
VERSION = "1"
#: Ids 0 and 1 are padding and unknown; bracket k opens as 2 + k and closes as 2 + kinds + k.
FIRST = 2


def dyck(
    *,
    kinds: int = 2,
    depth: int = 4,
    length: int = 40,
    examples: int = 1024,
    test_examples: int = 256,
    seed: int = 0,
) -> Data:
    """Strings of 2 to `length` brackets. The label after each bracket is the kind of the innermost open bracket, counted
    from 1, or 0 if none is open. `seed` draws both sets. Raises ValueError for an impossible parameter."""
    check(kinds, depth, length, examples, test_examples)
    random = Random(f"dyck {VERSION} {kinds} {depth} {length} {seed}")

    def sequences(size: int, first_id: int) -> Sequences:
        strings = [string(random, kinds, depth, 2 * random.randint(1, length // 2)) for _ in range(size)]
        return Sequences(strings, [torch.tensor(answers(one, kinds)) for one in strings], first_id)

    return sequence_data(
        sequences(examples, 0),
        sequences(test_examples, examples),
        SequenceFacts(vocabulary=FIRST + 2 * kinds, classes=1 + kinds, task="steps"),
        exchangeable=True,
        scores={"whole": whole},
    )


def string(random: Random, kinds: int, depth: int, length: int) -> list[int]:
    """A well-formed string of exactly this length. Opening and closing are equally likely where both are allowed."""
    tokens: list[int] = []
    open_ones: list[int] = []
    while len(tokens) < length:
        left = length - len(tokens)
        must_close = len(open_ones) in (depth, left)
        if not open_ones or (not must_close and random.random() < 0.5):
            open_ones.append(random.randrange(kinds))
            tokens.append(FIRST + open_ones[-1])
        else:
            tokens.append(FIRST + kinds + open_ones.pop())
    return tokens


def answers(tokens: list[int], kinds: int) -> list[int]:
    """The innermost open bracket after each position: 1 to `kinds`, or 0 for none."""
    open_ones: list[int] = []
    found = []
    for token in tokens:
        if token < FIRST + kinds:
            open_ones.append(token - FIRST)
        else:
            open_ones.pop()
        found.append(1 + open_ones[-1] if open_ones else 0)
    return found


def whole(predictions, batch):
    """1 for each row whose steps are all correct, else 0: logits (B, T, C) to (B,)."""
    labels = batch.labels[:, : predictions.shape[1]]
    return ((predictions.argmax(2) == labels) | (labels == NO_LABEL)).all(1).float()


def fingerprint(*, kinds: int, depth: int, length: int, examples: int, test_examples: int, seed: int) -> str:
    """The version of the generator."""
    check(kinds, depth, length, examples, test_examples)
    return f"dyck {VERSION}"


def check(kinds: int, depth: int, length: int, examples: int, test_examples: int) -> None:
    """Raises ValueError if no string can be drawn."""
    if min(kinds, depth, examples, test_examples) < 1:
        raise ValueError("kinds, depth, examples and test_examples are at least 1")
    if length < 2:
        raise ValueError(f"length = {length} leaves no room for a pair of brackets")
