"""A plugin in one file with models that each break one promise of sequence models; see `faults` for the core."""

from __future__ import annotations

from typing import Any

import torch
from harness_rnn.contract import SequenceModel
from harness_rnn.models.encoder import RecurrentEncoder, last_valid
from torch import nn

import harness

#: For each promise, the model that breaks it, and words that the result must contain.
FAULTS = {
    "every-layer-and-direction": ("stacked", "the core's final has shape (7, 32); expected (7, 16)"),
    "length-one": ("differences", "it raised"),
    "ragged-as-alone": ("last_of_all", "in a row of length 5, the error of final is"),
    "padding-does-not-leak": (
        "reads_pads_first",
        "bidirectional = True: other values in the padding change outputs by",
    ),
    "packed-as-padded": ("doubles", "is off by"),
    "carried-state": ("amnesiac", "the error of two pieces is"),
}


class Encoder(RecurrentEncoder):
    """A GRU."""

    def __init__(self, input_size: int, hidden_size: int, **more: Any) -> None:
        super().__init__(nn.GRU(input_size, hidden_size, batch_first=True, **more))


class Stacked(Encoder):
    def forward(self, x, lengths, carry=None):
        outputs, final, carry = super().forward(x, lengths, carry)
        return outputs, carry.transpose(0, 1).flatten(1) if self.rnn.num_layers > 1 else final, carry


class Differences(Encoder):
    def forward(self, x, lengths, carry=None):
        steps = x[:, 1:] - x[:, :-1]
        return super().forward(torch.cat([steps[:, :1], steps], 1), lengths, carry)


class LastOfAll(Encoder):
    def forward(self, x, lengths, carry=None):
        outputs, _, carry = super().forward(x, lengths, carry)
        return outputs, outputs[:, -1], carry


class ReadsPadsFirst(Encoder):
    def forward(self, x, lengths, carry=None):
        outputs, carry = self.rnn(x, carry)
        return outputs, last_valid(outputs, lengths), carry


class Doubles(Encoder):
    def forward(self, x, lengths, carry=None):
        outputs, final, carry = super().forward(x, lengths, carry)
        return 2 * outputs, 2 * final, carry


class Amnesiac(Encoder):
    def forward(self, x, lengths, carry=None):
        outputs, final, carry = super().forward(x, lengths)
        return outputs, final, carry


def of(kind: type[Encoder], *parameters: str) -> Any:
    """The code of a model with this encoder. `parameters` are additional to its sizes."""

    def one(facts, *, hidden_size: int = 16, embedding_size: int = 8) -> SequenceModel:
        """A GRU with a fault."""
        return SequenceModel(facts, kind(facts.features or embedding_size, hidden_size), embedding_size)

    def layers(facts, *, hidden_size: int = 16, embedding_size: int = 8, num_layers: int = 1) -> SequenceModel:
        """A GRU with a fault and several layers."""
        encoder = kind(facts.features or embedding_size, hidden_size, num_layers=num_layers)
        return SequenceModel(facts, encoder, embedding_size)

    def both(facts, *, hidden_size: int = 16, embedding_size: int = 8, bidirectional: bool = False) -> SequenceModel:
        """A GRU with a fault and one or two directions."""
        encoder = kind(facts.features or embedding_size, hidden_size, bidirectional=bidirectional)
        return SequenceModel(facts, encoder, embedding_size)

    return {(): one, ("num_layers",): layers, ("bidirectional",): both}[parameters]


@harness.hookimpl
def provide_models():
    for name, code, summary, offers in (
        ("stacked", of(Stacked, "num_layers"), "returns the final states of all layers, not of the last one", ()),
        ("differences", of(Differences), "reads differences between steps; a sequence of one step has none", ()),
        ("last_of_all", of(LastOfAll), "reads the last step of the batch, not of the row", ()),
        (
            "reads_pads_first",
            of(ReadsPadsFirst, "bidirectional"),
            "a backward direction that starts in the padding",
            (),
        ),
        ("doubles", of(Doubles), "computes more than its recurrent module, but packing runs only that", ("packable",)),
        ("amnesiac", of(Amnesiac), "ignores the carry that it is given", ("carry",)),
    ):
        yield harness.Model(name, code, summary, offers={"sequence", *offers})
