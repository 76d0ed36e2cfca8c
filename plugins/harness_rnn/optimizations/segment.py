"""Segments: exact results with torch's fused kernels, on a CPU several times faster than packing for varying lengths.

A batch is sorted by length, and time is cut into a few pieces. Each piece runs only the rows that are still active, and
passes their state to the next piece.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from harness import Recipe
from harness_rnn.contract import SequenceBatch, SequenceModel
from harness_rnn.models.encoder import first_rows, layer_of, run_layer, run_layers, zero_state
from harness_rnn.optimizations.pack import longest_first

#: The cost of a cut in rows x steps of a model with one hidden unit. Measured on reviews with batches of 32: the best
#: overhead is about 60 for a hidden size of 256, and 240 or more for 64.
CUT = 16_000


class Piece(NamedTuple):
    """Time steps start..stop-1 of the first `active` rows (longest first)."""

    start: int
    stop: int
    active: int


def segment(recipe: Recipe, *, overhead: int | None = None) -> Recipe:
    """Cut the T time steps into pieces, and run each piece only on the rows that are still active.

    The computation is the same as for padded batches, in all layers and both directions. The backward direction runs on
    rows that are reversed within their own length. The cuts minimise the number of computed rows x steps plus
    `overhead` per piece. Its default is 16,000 / hidden size, because a cut takes about the same time in every model,
    while a row of a step takes longer in a larger one.
    """

    def pieces_of(model: SequenceModel, sizes: Sequence[int]) -> list[Piece]:
        return cut(sizes, CUT // model.encoder.rnn.hidden_size if overhead is None else overhead)

    def core(model: SequenceModel, x: Tensor, lengths: Tensor, carry: Any = None) -> tuple[Tensor, Tensor, Any]:
        sizes = lengths.tolist()
        if any(before < after for before, after in pairwise(sizes)):  # not sorted by `longest_first`
            order = torch.argsort(lengths, descending=True, stable=True)
            back = torch.argsort(order)
            outputs, final, carry = core(model, x[order], lengths[order], rows_of(carry, order))
            return outputs[back], final[back], rows_of(carry, back)
        if sizes[0] < x.shape[1]:  # no row is active in the padding of all rows
            outputs, final, _ = core(model, x[:, : sizes[0]], lengths, carry)
            return F.pad(outputs, (0, 0, 0, x.shape[1] - sizes[0])), final, None
        pieces = pieces_of(model, sizes)
        if len(pieces) == 1:
            return model.encoder(x, lengths, carry)  # type: ignore[no-any-return]
        rnn = model.encoder.rnn

        def run(inputs: Tensor, layer: int, reverse: bool) -> Tensor:
            index = layer * (2 if rnn.bidirectional else 1) + reverse
            state = zero_state(rnn, inputs) if carry is None else layer_of(carry, index)
            return run_pieces(rnn, inputs, pieces, state, layer, reverse)

        outputs, final = run_layers(rnn, x, lengths, run)
        return outputs, final, None  # rows end at different steps, so there is no state after step T

    def count_pieces(count: Any) -> Any:
        def counted(model: SequenceModel, batch: SequenceBatch) -> dict[str, float]:
            pieces = pieces_of(model, sorted(batch.lengths.tolist(), reverse=True))
            slots = sum(piece.active * (piece.stop - piece.start) for piece in pieces)
            return {**count(model, batch), "slots": float(slots)}

        return counted

    return recipe.wrap("collate", longest_first).replace("model.core", core).wrap("count", count_pieces)


def cut(sizes: Sequence[int], overhead: int) -> list[Piece]:
    """The pieces with the least cost for lengths sorted longest first. The cost is the sum of active rows x steps, plus
    `overhead` per piece. Cuts are at ends of rows; dynamic programming finds the best ones in O(distinct lengths^2).
    """
    rising = sorted(sizes)
    bounds = [0, *sorted(set(sizes))]
    active = [len(sizes) - bisect_right(rising, bound) for bound in bounds]
    best = [0.0] + [float("inf")] * (len(bounds) - 1)
    previous = [0] * len(bounds)
    for stop in range(1, len(bounds)):
        for start in range(stop):
            cost = best[start] + active[start] * (bounds[stop] - bounds[start]) + overhead
            if cost < best[stop]:
                best[stop], previous[stop] = cost, start
    pieces = []
    stop = len(bounds) - 1
    while stop:
        start = previous[stop]
        pieces.append(Piece(bounds[start], bounds[stop], active[start]))
        stop = start
    return pieces[::-1]


def run_pieces(rnn: Any, x: Tensor, pieces: Sequence[Piece], state: Any, layer: int, reverse: bool) -> Tensor:
    """One layer in one direction: x (B, T, *) -> outputs (B, T, H), zero where a row is no longer active."""
    outputs = []
    for piece in pieces:
        part = x[: piece.active, piece.start : piece.stop]
        out, state = run_layer(rnn, part, first_rows(state, piece.active), layer, reverse)
        outputs.append(F.pad(out, (0, 0, 0, 0, 0, len(x) - piece.active)))
    return torch.cat(outputs, 1)


def rows_of(state: Any, order: Tensor) -> Any:
    """A state (L*D, B, H) with its rows in another order."""
    if state is None:
        return None
    return tuple(one[:, order] for one in state) if isinstance(state, tuple) else state[:, order]
