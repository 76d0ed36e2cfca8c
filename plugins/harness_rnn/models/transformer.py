"""The encoder of the Transformer as a sequence model, to compare recurrent models with."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from harness_rnn.contract import SequenceFacts, SequenceModel
from harness_rnn.models.encoder import last_valid
from harness_rnn.models.pooling import Pooling, pooled


class AttentionEncoder(nn.Module):
    """x (B, T, E), lengths (B,) -> outputs (B, T, W), final (B, W) at the last valid step, no carry.

    Each step attends to the valid steps of its row, or with `causal` to the steps up to itself. Sinusoidal positions
    are added to x, for any number of steps.
    """

    def __init__(
        self, inlet: nn.Module, layers: nn.TransformerEncoder, width: int, causal: bool, dropout: float
    ) -> None:
        super().__init__()
        self.inlet, self.layers, self.causal = inlet, layers, causal
        self.dropout = nn.Dropout(dropout)
        self.output_size = width

    def forward(self, x: Tensor, lengths: Tensor, carry: Any = None) -> tuple[Tensor, Tensor, None]:
        """x (B, T, E), lengths (B,) -> outputs (B, T, W), final (B, W), None. `carry` is ignored."""
        x = self.inlet(x)
        steps = x.shape[1]
        x = self.dropout(x + positions(steps, x))
        padding = later = None
        if int(lengths.min()) < steps:  # the kernel is faster without a mask
            padding = (torch.arange(steps) >= lengths[:, None]).to(x.device)
        if self.causal:
            later = torch.ones(steps, steps, dtype=torch.bool, device=x.device).triu(1)
        outputs = self.layers(x, mask=later, src_key_padding_mask=padding, is_causal=self.causal)
        return outputs, last_valid(outputs, lengths), None


def positions(steps: int, like: Tensor) -> Tensor:
    """Positions (T, W): sin(t / 10000^(2i/W)) in feature 2i and its cosine in feature 2i + 1 (Vaswani et al. 2017,
    section 3.5)."""
    width = like.shape[-1]
    even = torch.arange(0, width, 2, device=like.device, dtype=like.dtype)
    angles = torch.arange(steps, device=like.device, dtype=like.dtype)[:, None] * torch.exp(
        even * (-math.log(10_000.0) / width)
    )
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)[:, :width]


class AttentionModel(SequenceModel):
    """A sequence model with pooling as its readout."""

    def __init__(self, facts: SequenceFacts, encoder: nn.Module, embedding_size: int, pooling: Pooling) -> None:
        super().__init__(facts, encoder, embedding_size)
        self.pooling = pooling

    def readout(self, outputs: Tensor, final: Tensor, lengths: Tensor) -> Tensor:
        """The pooled outputs of a sequence, (B, W)."""
        return pooled(self.pooling, outputs, final, lengths)


def transformer(
    facts: SequenceFacts,
    *,
    hidden_size: int = 128,
    num_layers: int = 2,
    heads: int = 4,
    feedforward: int | None = None,
    dropout: float = 0.1,
    norm_first: bool = False,
    pooling: Pooling = "mean",
    causal: bool | None = None,
) -> SequenceModel:
    """torch.nn.TransformerEncoder over an embedding and sinusoidal positions (Vaswani et al. 2017).

    Tokens (B, T) -> logits (B, C). Features pass through a linear map instead of the embedding. `hidden_size` is the
    width of all layers, `feedforward` the width inside them (by default four times as much). `norm_first` normalises
    before each sublayer and once at the end (Xiong et al. 2020), not after each sublayer. `dropout` acts inside the
    layers and on the input of the first one. `pooling` selects what the head reads of the valid steps. `causal` hides
    later steps from each step; it is the default if each step has a label,
    which a later step may contain.

    Embeddings are not scaled by the root of the width as in the paper, because torch draws them with unit variance.
    Each layer has its own random weights, while nn.TransformerEncoder copies those of the first layer. Raises
    ValueError if `hidden_size` is not a multiple of `heads`.
    """
    if hidden_size % heads:
        raise ValueError(f"hidden_size = {hidden_size} is not a multiple of heads = {heads}")
    layer = nn.TransformerEncoderLayer(
        hidden_size, heads, feedforward or 4 * hidden_size, dropout, batch_first=True, norm_first=norm_first
    )
    norm = nn.LayerNorm(hidden_size) if norm_first else None
    # With nested tensors, evaluation would use another kernel path and return fewer steps than it was given.
    layers = nn.TransformerEncoder(layer, num_layers, norm, enable_nested_tensor=False)
    for copied in layers.layers[1:]:
        for module in reversed(list(copied.modules())):  # attention after its parts, because it sets their biases
            reset = getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None))
            if reset is not None:
                reset()
    inlet = nn.Linear(facts.features, hidden_size) if facts.features else nn.Identity()
    causal = facts.per_step if causal is None else causal
    return AttentionModel(facts, AttentionEncoder(inlet, layers, hidden_size, causal, dropout), hidden_size, pooling)
