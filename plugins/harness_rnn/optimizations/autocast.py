"""Mixed precision."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Literal

import torch
from torch import nn

from harness import Recipe, Skip
from harness_rnn.optimizations.within import within


def autocast(recipe: Recipe, *, dtype: Literal["bfloat16", "float16"] = "bfloat16") -> Recipe:
    """Run the forward pass under torch.autocast: matrix products and recurrent kernels in `dtype`, the loss in float32.
    Weights, their gradients and the optimizer stay in float32; backward and update are outside, as torch advises.

    It matters where the hardware multiplies in bfloat16 (AMX or AVX-512 BF16, CUDA from Ampere on); a loop in Python
    over small steps gains little. bfloat16 keeps 8 bits of a number, so an LSTM's outputs move by 2e-3 to 7e-3 of their
    largest value, thousands of times what rounding explains. Whether learning minds is a question for seeds and not for
    the clock: hence it promises no more than another model. float16 is refused: its small gradients become zero unless
    the loss is scaled, and nothing here scales it. Source: Micikevicius et al. 2018; torch.autocast.
    """
    if dtype != "bfloat16":
        raise ValueError(f"dtype = {dtype} needs a scaled loss, which this recipe does not have: use bfloat16")
    if not (torch.backends.cuda.is_built() or cpu_has_bfloat16()):
        raise Skip("this processor has no bfloat16 (it lacks AVX-512): torch's LSTM would fail, the rest be emulated")

    def lower(model: nn.Module) -> AbstractContextManager[Any]:
        return torch.autocast(next(model.parameters()).device.type, dtype=torch.bfloat16)

    return within(recipe, lower, "forward", "evaluate", "observe")


def cpu_has_bfloat16() -> bool:
    """Whether torch's recurrent kernels run in bfloat16 on this CPU."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
