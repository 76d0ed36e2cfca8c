"""Batches of one fixed length."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch.nn import functional as F

from harness import Recipe
from harness_rnn.contract import NO_LABEL, PADDING, SequenceBatch, SequenceExample


def pad_to(recipe: Recipe, *, length: int = 256) -> Recipe:
    """Pad every batch to `length` steps, as tutorials do, and not only to its own longest sequence.

    Nothing is cut off: a batch that holds a longer sequence is as long as that. The same computation for every model
    that reads the last valid step, and more of it: what is computed in the pads is thrown away. It has a use where
    shapes must not change, for instance with a compiled loop.
    """
    if length < 1:
        raise ValueError(f"length = {length} is less than one step")

    def padded(collate: Callable[..., SequenceBatch]) -> Callable[..., SequenceBatch]:
        def collate_and_pad(examples: Sequence[SequenceExample]) -> SequenceBatch:
            batch = collate(examples)
            missing = max(0, length - batch.tokens.shape[1])
            before = (0, 0) * (batch.tokens.ndim - 2)  # F.pad begins with the last dimension: features stay as they are
            tokens = F.pad(batch.tokens, (*before, 0, missing), value=PADDING)
            of_steps = batch.labels.ndim == 2
            labels = F.pad(batch.labels, (0, missing), value=NO_LABEL) if of_steps else batch.labels
            return batch._replace(tokens=tokens, labels=labels)

        return collate_and_pad

    return recipe.wrap("collate", padded)
