"""Deterministic kernels only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch._inductor.config  # the setting needs it: imported here, so that no process has to in its first step

from harness import Recipe
from harness_rnn.optimizations.within import within


def deterministic(recipe: Recipe) -> Recipe:
    """Let this trial's steps use deterministic algorithms only: what does reproducibility to the bit cost?

    Where torch has only an algorithm that is not, the step raises, and the trial is recorded as failed with torch's own
    words. The same computation by other kernels. torch then also fills memory that it would leave uninitialised, which
    is part of the price. On CUDA, recurrent kernels and matrix products need CUBLAS_WORKSPACE_CONFIG (":4096:8") in the
    environment from which harness is started: torch says so where it is missing. Source:
    torch.use_deterministic_algorithms.
    """
    return within(recipe, only_deterministic, "step", "evaluate")


@contextmanager
def only_deterministic(first: Any = None) -> Iterator[None]:
    """Deterministic algorithms inside, and afterwards as before."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
