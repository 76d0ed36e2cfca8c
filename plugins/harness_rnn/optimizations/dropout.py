"""Dropout on embeddings and before the head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from harness import Recipe
from harness_rnn.contract import SequenceModel


def dropout(recipe: Recipe, *, features: float = 0.5, embedding: float = 0.0) -> Recipe:
    """Dropout in training on embeddings and before the head (Srivastava et al. 2014). The models' parameter `dropout`
    acts between layers.

    `features` is the share p of elements dropped from the input of the head, (B, D*H) or (B, T, D*H). `embedding` is
    the share dropped from the embeddings (B, T, E), or from the features of a dataset without tokens. Elements are
    drawn independently at each step, and the others are divided by 1 - p, so that the mean stays the same. Raises
    ValueError if both shares are 0, or if one is not in [0, 1).
    """
    shares = {"head": features, "embed": embedding}
    for name, share in (("features", features), ("embedding", embedding)):
        if not 0 <= share < 1:
            raise ValueError(f"{name} = {share}: it must be at least 0 and below 1")
    if not any(shares.values()):
        raise ValueError("features and embedding are both 0, so nothing is dropped")

    def built(build: Any) -> Any:
        def build_with_dropout() -> nn.Module:
            model = build()
            if isinstance(model, torch.jit.ScriptModule):
                raise ValueError("dropout cannot be added to a scripted model (torch.jit.script)")
            model.extra_dropout = nn.ModuleDict({seam: nn.Dropout(share) for seam, share in shares.items()})
            return model

        return build_with_dropout

    def before_head(head: Any) -> Any:
        def dropped(model: SequenceModel, features: Tensor) -> Tensor:
            return head(model, model.extra_dropout["head"](features))

        return dropped

    def after_embed(embed: Any) -> Any:
        def dropped(model: SequenceModel, tokens: Tensor) -> Tensor:
            return model.extra_dropout["embed"](embed(model, tokens))

        return dropped

    return recipe.wrap("build", built).wrap("model.head", before_head).wrap("model.embed", after_embed)
