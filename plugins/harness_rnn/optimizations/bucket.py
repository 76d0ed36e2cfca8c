"""Bucketing: batches of sequences with similar lengths."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from harness import Recipe
from harness_rnn.contract import SequenceExample


def bucket(recipe: Recipe, *, pool: int = 64) -> Recipe:
    """Sort the examples of `pool` batches by length, cut them into batches, and shuffle the batches.

    Each epoch has each example once, but lengths decide which examples share a batch: the same computation in another
    order. In a measurement of speed, a pool cannot be larger than the work set (8 batches by default). In training, a
    larger pool gives batches with less padding. Raises ValueError if `pool` is below 1.
    """
    if pool < 1:
        raise ValueError(f"pool = {pool}: it must be at least 1")

    def order(examples: Sequence[SequenceExample], batch_size: int, random: Random) -> list[list[int]]:
        batches = []
        for begin in range(0, len(examples), pool * batch_size):
            positions = range(begin, min(begin + pool * batch_size, len(examples)))
            by_length = sorted(positions, key=lambda position: len(examples[position].tokens))
            batches += [by_length[at : at + batch_size] for at in range(0, len(by_length), batch_size)]
        return random.sample(batches, len(batches))

    return recipe.replace("order", order)
