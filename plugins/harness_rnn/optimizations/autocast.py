"""Mixed precision."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Literal

import torch
from torch import nn

from harness import Recipe, Skip
from harness_rnn.optimizations.within import within


def autocast(recipe: Recipe, *, dtype: Literal["bfloat16", "float16"] = "bfloat16") -> Recipe:
    """Run the forward pass in bfloat16 with torch.autocast (Micikevicius et al. 2018).

    Matrix products and recurrent kernels use `dtype`, the loss float32. Weights, their gradients and the optimizer stay
    in float32. Backward pass and update run outside of autocast, as torch advises. It is faster on hardware with
    products in bfloat16 (AMX, AVX-512 BF16, CUDA from Ampere on); a Python loop over small steps gains little.

    bfloat16 has 8 significant bits, so the outputs of an LSTM change by 2e-3 to 7e-3 of their largest value, thousands
    of times more than rounding in float32. That is why it is declared as another model; train several seeds to compare
    learning. float16 raises ValueError, because its small gradients become zero unless the loss is scaled. Raises Skip
    if the processor has no bfloat16.
    """
    if dtype != "bfloat16":
        raise ValueError(f"dtype = {dtype} needs a scaled loss, which this recipe does not have; use bfloat16")
    if not (torch.backends.cuda.is_built() or cpu_has_bfloat16()):
        raise Skip("this processor has no bfloat16 (it lacks AVX-512), so torch's LSTM would fail")

    def in_bfloat16(model: nn.Module) -> AbstractContextManager[Any]:
        return torch.autocast(next(model.parameters()).device.type, dtype=torch.bfloat16)

    return within(recipe, in_bfloat16, "forward", "evaluate", "observe")


def cpu_has_bfloat16() -> bool:
    """Whether torch's recurrent kernels run in bfloat16 on this CPU."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
