"""TensorFloat-32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from harness import Recipe
from harness_rnn.optimizations.within import within


def tf32(recipe: Recipe, *, allow: bool = True) -> Recipe:
    """Let float32 products on a GPU (Ampere and later) keep 10 bits of each factor's mantissa in place of 23, or forbid
    it, during this trial's steps.

    torch's defaults differ: matrix products do not, but cuDNN does, and with it nn.RNN, nn.LSTM and nn.GRU. So on CUDA
    both sides of a comparison should say what they `allow`. On a CPU it changes nothing, and a trial ties with its
    baseline. Numbers move by about 1e-3, more than rounding explains, so it promises no more than another model.
    Untried on a GPU so far. Source: torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32.
    """

    def allowing(first: Any) -> AbstractContextManager[None]:
        return allowed(allow)

    return within(recipe, allowing, "step", "evaluate")


@contextmanager
def allowed(allow: bool) -> Iterator[None]:
    """Both settings inside, and afterwards as before."""
    products, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, cudnn.allow_tf32
    products.allow_tf32, cudnn.allow_tf32 = allow, allow
    try:
        yield
    finally:
        products.allow_tf32, cudnn.allow_tf32 = before
