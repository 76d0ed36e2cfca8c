"""Padding to a fixed length."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch.nn import functional as F

from harness import Recipe
from harness_rnn.contract import PADDING, SequenceBatch, SequenceExample
from harness_rnn.tasks import no_label


def pad_to(recipe: Recipe, *, length: int = 256) -> Recipe:
    """Pad every batch to `length` steps: tokens (B, T) become (B, `length`).

    A batch with a longer sequence is not cut. Models that read the last valid step give the same results with more
    computation, because the results in the padding are not used. Fixed shapes are useful for a compiled loop. Raises
    ValueError if `length` is below 1.
    """
    if length < 1:
        raise ValueError(f"length = {length}: it must be at least 1")

    def padded(collate: Callable[..., SequenceBatch]) -> Callable[..., SequenceBatch]:
        def collate_and_pad(examples: Sequence[SequenceExample]) -> SequenceBatch:
            batch = collate(examples)
            missing = max(0, length - batch.tokens.shape[1])
            before = (0, 0) * (batch.tokens.ndim - 2)  # F.pad starts at the last dimension; features are not padded
            tokens = F.pad(batch.tokens, (*before, 0, missing), value=PADDING)
            per_step = batch.labels.ndim == 2
            labels = F.pad(batch.labels, (0, missing), value=no_label(batch.labels)) if per_step else batch.labels
            return batch._replace(tokens=tokens, labels=labels)

        return collate_and_pad

    return recipe.wrap("collate", padded)
