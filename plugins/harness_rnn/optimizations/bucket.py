"""Batches of sequences of like length."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from harness import Recipe
from harness_rnn.contract import SequenceExample


def bucket(recipe: Recipe, *, pool: int = 64) -> Recipe:
    """Sort pools of `pool` batches by length, cut them into batches, and shuffle the batches.

    Each epoch holds each example once, but which examples meet in a batch depends on their lengths: the same
    computation in another order. On the clock the pool is the work set (8 batches by default), which is less than
    a long epoch would give: a larger pool sorts finer.
    """
    if pool < 1:
        raise ValueError(f"a pool of {pool} batches holds nothing")

    def order(examples: Sequence[SequenceExample], batch_size: int, random: Random) -> list[list[int]]:
        batches = []
        for begin in range(0, len(examples), pool * batch_size):
            positions = range(begin, min(begin + pool * batch_size, len(examples)))
            by_length = sorted(positions, key=lambda position: len(examples[position].tokens))
            batches += [by_length[at : at + batch_size] for at in range(0, len(by_length), batch_size)]
        return random.sample(batches, len(batches))

    return recipe.replace("order", order)
