"""A plugin in one file whose models each break one promise of sequence models; see `faults` for the core's."""

from __future__ import annotations

from typing import Any

import torch
from harness_rnn.contract import SequenceModel
from harness_rnn.models.encoder import RecurrentEncoder, last_valid
from torch import nn

import harness

#: By promise: the model that breaks it, and words that what is seen must hold.
FAULTS = {
    "every-layer-and-direction": ("stacked", "the core's final has shape (7, 32) where (7, 16) is due"),
    "length-one": ("differences", "it raised"),
    "ragged-as-alone": ("last_of_all", "final of a row of length 5 is off by"),
    "padding-does-not-leak": ("reads_pads_first", "bidirectional = True, junk in the pads changes outputs by"),
    "packed-as-padded": ("doubles", "is off by"),
    "carries-on": ("amnesiac", "in two pieces it is off by"),
}


class Encoder(RecurrentEncoder):
    """A GRU to be spoiled."""

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
    """The code of a model with this encoder; `parameters` are those it has beside the sizes."""

    def one(facts, *, hidden_size: int = 16, embedding_size: int = 8) -> SequenceModel:
        """A spoiled GRU."""
        return SequenceModel(facts, kind(facts.features or embedding_size, hidden_size), embedding_size)

    def layers(facts, *, hidden_size: int = 16, embedding_size: int = 8, num_layers: int = 1) -> SequenceModel:
        """A spoiled GRU of some layers."""
        encoder = kind(facts.features or embedding_size, hidden_size, num_layers=num_layers)
        return SequenceModel(facts, encoder, embedding_size)

    def both(facts, *, hidden_size: int = 16, embedding_size: int = 8, bidirectional: bool = False) -> SequenceModel:
        """A spoiled GRU in one or two directions."""
        encoder = kind(facts.features or embedding_size, hidden_size, bidirectional=bidirectional)
        return SequenceModel(facts, encoder, embedding_size)

    return {(): one, ("num_layers",): layers, ("bidirectional",): both}[parameters]


@harness.hookimpl
def provide_models():
    for name, code, summary, offers in (
        ("stacked", of(Stacked, "num_layers"), "the final states of all layers, where the last one's is due", ()),
        ("differences", of(Differences), "reads differences of steps, of which one step has none", ()),
        ("last_of_all", of(LastOfAll), "reads the last step of the batch, not of the row", ()),
        ("reads_pads_first", of(ReadsPadsFirst, "bidirectional"), "a backward direction that begins in the pads", ()),
        ("doubles", of(Doubles), "does more than its recurrent module, which is all that packing runs", ("packable",)),
        ("amnesiac", of(Amnesiac), "begins anew whatever carry it is given", ("carry",)),
    ):
        yield harness.Model(name, code, summary, offers={"sequence", *offers})
