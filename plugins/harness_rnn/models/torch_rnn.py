"""torch's recurrent modules as sequence models."""

from __future__ import annotations

from typing import Any, Literal

from torch import nn

from harness_rnn.contract import SequenceFacts, SequenceModel
from harness_rnn.models.encoder import RecurrentEncoder


def lstm(
    facts: SequenceFacts,
    *,
    hidden_size: int = 128,
    embedding_size: int = 64,
    num_layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
) -> SequenceModel:
    """torch.nn.LSTM over an embedding, with a linear classifier of the state after the last valid step.

    Tokens (B, T) -> logits (B, C). `hidden_size` is the number of units, `embedding_size` the size of an embedded
    token. With `bidirectional`, the backward direction starts at the last valid step of each row, so that padded
    batches are exact. `dropout` acts between layers; with a single layer it raises ValueError.
    """
    return classifier(facts, nn.LSTM, embedding_size, hidden_size, num_layers, bidirectional, dropout)


def gru(
    facts: SequenceFacts,
    *,
    hidden_size: int = 128,
    embedding_size: int = 64,
    num_layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
) -> SequenceModel:
    """torch.nn.GRU over an embedding, with a linear classifier of the state after the last valid step.

    Tokens (B, T) -> logits (B, C). As in torch, the reset gate is applied after the product with the state; Cho et al.
    (2014) apply it before. `hidden_size` is the number of units, `embedding_size` the size of an embedded token.
    `dropout` acts between layers; with a single layer it raises ValueError.
    """
    return classifier(facts, nn.GRU, embedding_size, hidden_size, num_layers, bidirectional, dropout)


def rnn(
    facts: SequenceFacts,
    *,
    hidden_size: int = 128,
    embedding_size: int = 64,
    num_layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    nonlinearity: Literal["tanh", "relu"] = "tanh",
) -> SequenceModel:
    """torch.nn.RNN over an embedding, with a linear classifier of the state after the last valid step.

    Tokens (B, T) -> logits (B, C). `hidden_size` is the number of units, `embedding_size` the size of an embedded
    token. `nonlinearity` is the activation of the state. `dropout` acts between layers; with a single layer it raises
    ValueError.
    """
    return classifier(
        facts, nn.RNN, embedding_size, hidden_size, num_layers, bidirectional, dropout, nonlinearity=nonlinearity
    )


def classifier(
    facts: SequenceFacts,
    kind: Any,
    embedding_size: int,
    hidden_size: int,
    num_layers: int,
    bidirectional: bool,
    dropout: float,
    **more: Any,
) -> SequenceModel:
    """A sequence model with a recurrent module of this class. Raises ValueError for dropout with a single layer."""
    if dropout and num_layers < 2:
        raise ValueError("dropout acts between layers; it needs num_layers of at least 2")
    module = kind(
        facts.features or embedding_size,
        hidden_size,
        num_layers=num_layers,
        bidirectional=bidirectional,
        dropout=dropout,
        batch_first=True,
        **more,
    )
    return SequenceModel(facts, RecurrentEncoder(module), embedding_size)
