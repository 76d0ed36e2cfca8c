"""Dropout where the cells do not have it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from harness import Recipe
from harness_rnn.contract import SequenceModel


def dropout(recipe: Recipe, *, features: float = 0.5, embedding: float = 0.0) -> Recipe:
    """While training, drop a share `features` of what the head reads, and a share `embedding` of what the core reads
    (Srivastava et al. 2014), where the models' own `dropout` acts between layers only.

    Each element for itself, at each step anew; what is left grows so that the mean stays. Where a dataset has features
    instead of tokens, these are what `embedding` drops.
    """
    shares = {"head": features, "embed": embedding}
    for name, share in (("features", features), ("embedding", embedding)):
        if not 0 <= share < 1:
            raise ValueError(f"{name} = {share} is no share from 0 to below 1")
    if not any(shares.values()):
        raise ValueError("with both shares at 0 nothing is dropped")

    def built(build: Any) -> Any:
        def build_with_dropout() -> nn.Module:
            model = build()
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
