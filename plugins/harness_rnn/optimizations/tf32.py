"""TensorFloat-32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from harness import Recipe
from harness_rnn.optimizations.within import within


def tf32(recipe: Recipe, *, allow: bool = True) -> Recipe:
    """Allow or forbid TensorFloat-32 in the steps of this trial, for matrix products and cuDNN on a GPU from Ampere on.

    TensorFloat-32 uses 10 bits of the mantissa of each factor, not 23. By default torch allows it in cuDNN, which
    computes nn.RNN, nn.LSTM and nn.GRU, but not in matrix products. So on CUDA, set `allow` in both trials of a
    comparison. On a CPU it has no effect. Results change by about 1e-3, more than rounding explains, so it is declared
    as another model. It has not been tested on a GPU yet.
    """

    def allowing(first: Any) -> AbstractContextManager[None]:
        return allowed(allow)

    return within(recipe, allowing, "step", "evaluate")


@contextmanager
def allowed(allow: bool) -> Iterator[None]:
    """Change both settings inside, and restore them afterwards."""
    products, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, cudnn.allow_tf32
    products.allow_tf32, cudnn.allow_tf32 = allow, allow
    try:
        yield
    finally:
        products.allow_tf32, cudnn.allow_tf32 = before
