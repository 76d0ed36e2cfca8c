"""Flush subnormal numbers to zero."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from harness import Recipe, Skip
from harness_rnn.optimizations.within import within


def flush_denormal(recipe: Recipe) -> Recipe:
    """Flush subnormal numbers (below 1.2e-38 in float32) to zero in the steps of this trial (torch.set_flush_denormal).

    On many processors, arithmetic on subnormal numbers is many times slower. Gradients of early steps in long sequences
    (a hundred steps and more) become subnormal, which slows down the backward pass without changing the loss. The
    setting is the FTZ and DAZ bits of MXCSR on x86, and FZ of FPCR on Arm.

    The setting belongs to a thread. Threads that OpenMP started earlier do not have it, so with several threads only a
    part of the work is affected. On a GPU it has no effect. Raises Skip if the processor does not support it.
    """
    with flushing() as supported:
        if not supported:
            raise Skip("this processor cannot flush subnormal numbers to zero")
    return within(recipe, flushing, "step", "evaluate")


@contextmanager
def flushing(first: Any = None) -> Iterator[bool]:
    """Flush inside, and restore the setting afterwards. Yields whether this processor supports it."""
    before = sys.float_info.min / 2 == 0.0  # torch cannot report the setting, but it also affects Python's floats
    supported = torch.set_flush_denormal(True)
    try:
        yield supported
    finally:
        torch.set_flush_denormal(before)
