"""Deterministic algorithms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch._inductor.config  # the setting needs it; imported here to keep it out of the first step

from harness import Recipe
from harness_rnn.optimizations.within import within


def deterministic(recipe: Recipe) -> Recipe:
    """Use only deterministic algorithms in the steps of this trial (torch.use_deterministic_algorithms).

    It measures the cost of bit-identical results. The computation is the same with other kernels. If torch has no
    deterministic algorithm for an operator, the step raises and the trial fails with torch's message. torch also fills
    uninitialised memory, which is part of the cost. On CUDA, recurrent kernels and matrix products need the environment
    variable CUBLAS_WORKSPACE_CONFIG=:4096:8 when harness starts.
    """
    return within(recipe, only_deterministic, "step", "evaluate")


@contextmanager
def only_deterministic(first: Any = None) -> Iterator[None]:
    """Use deterministic algorithms inside, and restore the setting afterwards."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
