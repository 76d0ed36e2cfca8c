"""torch's own recurrent modules as sequence classifiers."""

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
    """torch.nn.LSTM over an embedding; the state after the last valid step goes to a linear classifier.

    Tokens (B, T) -> logits (B, C). `dropout` acts between layers and so needs two or more. Padded batches are
    exact in both directions: the backward one begins at each row's last valid step.
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
    """torch.nn.GRU over an embedding; the state after the last valid step goes to a linear classifier.

    Tokens (B, T) -> logits (B, C). Gates as torch has them: r, z, n, with the reset gate applied to the hidden
    part of n after its linear map (not Cho's original order).
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
    """torch.nn.RNN over an embedding; the state after the last valid step goes to a linear classifier.

    Tokens (B, T) -> logits (B, C).
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
    """A sequence classifier around a recurrent module of this kind (torch's, or one of the same form)."""
    if dropout and num_layers < 2:
        raise ValueError("dropout acts between layers: it needs num_layers of at least 2")
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
