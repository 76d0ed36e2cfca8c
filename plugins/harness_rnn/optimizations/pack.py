"""Packing: run the recurrent module on a PackedSequence."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from harness import Recipe
from harness_rnn.contract import SequenceBatch, SequenceModel


def pack(recipe: Recipe, *, enforce_sorted: bool = False) -> Recipe:
    """Run the recurrent module on a PackedSequence (torch.nn.utils.rnn), which computes no padding.

    The computation is the same as for padded batches, in all layers and both directions: x (B, T, E) becomes outputs
    (B, T, D*H) with zeros in the padding. `enforce_sorted` sorts each batch by length when it is collated, so that
    packing does not have to sort tensors and restore their order.
    """
    if enforce_sorted:
        recipe = recipe.wrap("collate", longest_first)

    def core(model: SequenceModel, x: Tensor, lengths: Tensor, carry: Any = None) -> tuple[Tensor, Tensor, Any]:
        rnn: Any = model.encoder.rnn
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=enforce_sorted)
        packed_outputs, carry = rnn(packed, carry)
        outputs, _ = pad_packed_sequence(packed_outputs, batch_first=True, total_length=x.shape[1])
        h = carry[0] if isinstance(carry, tuple) else carry  # (L*D, B, H)
        directions = 2 if rnn.bidirectional else 1
        final = h[-directions:].transpose(0, 1).flatten(1)
        return outputs, final, carry

    return recipe.replace("model.core", core).wrap("count", no_padding_slots)


def longest_first(collate: Any) -> Any:
    """A collate function that puts the longest sequences of a batch first."""
    return lambda examples: collate(sorted(examples, key=lambda example: len(example.tokens), reverse=True))


def no_padding_slots(count: Any) -> Any:
    """A count function with as many computed slots as tokens."""

    def counted(model: SequenceModel, batch: SequenceBatch) -> dict[str, float]:
        amounts = count(model, batch)
        return {**amounts, "slots": amounts["tokens"]}

    return counted
