"""The Transformer's encoder as a sequence model: what tutorials hold recurrent nets against."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from harness_rnn.contract import SequenceFacts, SequenceModel
from harness_rnn.models.encoder import last_valid
from harness_rnn.models.pooling import Pooling, pooled


class AttentionEncoder(nn.Module):
    """x (B, T, E), lengths (B,) -> outputs (B, T, W), final (B, W) at the last valid step, and no carry.

    Each step attends to the valid steps of its own row, or with `causal` to those up to itself. Attention knows no
    order: sinusoids are added to x, computed for as many steps as there are.
    """

    def __init__(
        self, inlet: nn.Module, layers: nn.TransformerEncoder, width: int, causal: bool, dropout: float
    ) -> None:
        super().__init__()
        self.inlet, self.layers, self.causal = inlet, layers, causal
        self.dropout = nn.Dropout(dropout)
        self.output_size = width

    def forward(self, x: Tensor, lengths: Tensor, carry: Any = None) -> tuple[Tensor, Tensor, None]:
        """See the class. A `carry` is ignored: it would be all the steps before."""
        x = self.inlet(x)
        steps = x.shape[1]
        x = self.dropout(x + positions(steps, x))
        pads = later = None
        if int(lengths.min()) < steps:  # without pads the kernel is spared a mask
            pads = (torch.arange(steps) >= lengths[:, None]).to(x.device)
        if self.causal:
            later = torch.ones(steps, steps, dtype=torch.bool, device=x.device).triu(1)
        outputs = self.layers(x, mask=later, src_key_padding_mask=pads, is_causal=self.causal)
        return outputs, last_valid(outputs, lengths), None


def positions(steps: int, like: Tensor) -> Tensor:
    """(T, W): sin(t / 10000^(2i/W)) at the even feature 2i and the cosine of the same at the odd one beside it
    (Vaswani et al. 2017, section 3.5)."""
    width = like.shape[-1]
    even = torch.arange(0, width, 2, device=like.device, dtype=like.dtype)
    angles = torch.arange(steps, device=like.device, dtype=like.dtype)[:, None] * torch.exp(
        even * (-math.log(10_000.0) / width)
    )
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)[:, :width]


class AttentionModel(SequenceModel):
    """A sequence model whose readout is one of `pooled`'s."""

    def __init__(self, facts: SequenceFacts, encoder: nn.Module, embedding_size: int, pooling: Pooling) -> None:
        super().__init__(facts, encoder, embedding_size)
        self.pooling = pooling

    def readout(self, outputs: Tensor, final: Tensor, lengths: Tensor) -> Tensor:
        """What the head reads of a whole sequence: (B, W)."""
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

    Tokens (B, T) -> logits (B, C); features pass a linear map instead of the embedding. `hidden_size` is the width
    throughout, `feedforward` four times that where it isn't given; `norm_first` normalises before each part and once
    at the end (Xiong et al. 2020), not after. `dropout` is torch's, and on what enters the first layer. What the head
    reads is the `pooling` of the valid steps. `causal` lets a step see no later one; by default so where each step is
    asked about, since a later step may be the answer. Embeddings are not scaled by the root of the width as in the
    paper: torch draws them with unit variance already. Each layer is drawn for itself; nn.TransformerEncoder would
    copy the first one, weights and all.
    """
    if hidden_size % heads:
        raise ValueError(f"hidden_size = {hidden_size} is not a multiple of heads = {heads}")
    layer = nn.TransformerEncoderLayer(
        hidden_size, heads, feedforward or 4 * hidden_size, dropout, batch_first=True, norm_first=norm_first
    )
    norm = nn.LayerNorm(hidden_size) if norm_first else None
    # Nested tensors would be another path for evaluation alone, and one that returns fewer steps than it was given.
    layers = nn.TransformerEncoder(layer, num_layers, norm, enable_nested_tensor=False)
    for copied in layers.layers[1:]:
        for module in reversed(list(copied.modules())):  # attention itself after its parts: it sets their biases
            reset = getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None))
            if reset is not None:
                reset()
    inlet = nn.Linear(facts.features, hidden_size) if facts.features else nn.Identity()
    causal = facts.task == "steps" if causal is None else causal
    return AttentionModel(facts, AttentionEncoder(inlet, layers, hidden_size, causal, dropout), hidden_size, pooling)
