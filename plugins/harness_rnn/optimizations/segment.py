"""Segments: exact, plain PyTorch, and on a CPU several times faster than packing where lengths differ.

Sort a batch by length and cut time into a few pieces. In each piece only the rows that are still active run, through
the fused kernel, and their state is carried to the next piece.
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

#: What a cut costs, in rows x steps of a model with one hidden unit. Measured on reviews with batches of 32: about 60
#: is best at a hidden size of 256, and 240 or more at 64.
CUT = 16_000


class Piece(NamedTuple):
    """Time steps start..stop-1, run on the first `active` rows (longest first)."""

    start: int
    stop: int
    active: int


def segment(recipe: Recipe, *, overhead: int | None = None) -> Recipe:
    """Run pieces of time on the rows that are still active: the same computation as padded.

    For all layers and both directions: layer by layer with dropout between, the backward direction on rows turned
    round within their own length, so that they begin at their last valid step. Where to cut is chosen for the least
    rows x steps, each cut costing `overhead` of them; by default `CUT` / hidden size, since a cut takes about the same
    time in any model, and a row of a step more in a larger one.
    """

    def pieces_of(model: SequenceModel, sizes: Sequence[int]) -> list[Piece]:
        return cut(sizes, CUT // model.encoder.rnn.hidden_size if overhead is None else overhead)

    def core(model: SequenceModel, x: Tensor, lengths: Tensor, carry: Any = None) -> tuple[Tensor, Tensor, Any]:
        sizes = lengths.tolist()
        if any(before < after for before, after in pairwise(sizes)):  # a batch that no collate of ours has sorted
            order = torch.argsort(lengths, descending=True, stable=True)
            back = torch.argsort(order)
            outputs, final, carry = core(model, x[order], lengths[order], rows_of(carry, order))
            return outputs[back], final[back], rows_of(carry, back)
        if sizes[0] < x.shape[1]:  # padded further than to its own longest: no row is active there
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
        return outputs, final, None  # rows have ended at different steps: there is no state after step T

    def count_pieces(count: Any) -> Any:
        def counted(model: SequenceModel, batch: SequenceBatch) -> dict[str, float]:
            pieces = pieces_of(model, sorted(batch.lengths.tolist(), reverse=True))
            slots = sum(piece.active * (piece.stop - piece.start) for piece in pieces)
            return {**count(model, batch), "slots": float(slots)}

        return counted

    return recipe.wrap("collate", longest_first).replace("model.core", core).wrap("count", count_pieces)


def cut(sizes: Sequence[int], overhead: int) -> list[Piece]:
    """The pieces of least cost for lengths sorted longest first: the sum of active rows x steps, and `overhead` a
    piece. Cuts lie at ends of rows; the best is found by dynamic programming over these, O(distinct lengths squared).
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
    """One layer in one direction: x (B, T, *) to outputs (B, T, H), zero where a row is no longer active."""
    outputs = []
    for piece in pieces:
        part = x[: piece.active, piece.start : piece.stop]
        out, state = run_layer(rnn, part, first_rows(state, piece.active), layer, reverse)
        outputs.append(F.pad(out, (0, 0, 0, 0, 0, len(x) - piece.active)))
    return torch.cat(outputs, 1)


def rows_of(state: Any, order: Tensor) -> Any:
    """A state's rows in another order: (L*D, B, H)."""
    if state is None:
        return None
    return tuple(one[:, order] for one in state) if isinstance(state, tuple) else state[:, order]
