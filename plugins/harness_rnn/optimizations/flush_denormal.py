"""Subnormal numbers taken for zero."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from harness import Recipe, Skip
from harness_rnn.optimizations.within import within


def flush_denormal(recipe: Recipe) -> Recipe:
    """Let the processor take subnormal numbers (below 1.2e-38 in float32) for zero during this trial's steps.

    Many processors do arithmetic on subnormals in microcode, many times slower; others hardly mind. Gradients that
    reach back from the last step of a long sequence fade into them (a hundred steps and more), and the backward pass
    slows down with nothing to show for it: losses come out equal. Source: torch.set_flush_denormal; the FTZ and DAZ
    bits of MXCSR on x86, FZ of FPCR on Arm.

    The setting belongs to a thread. Threads that OpenMP started earlier do not have it, so with more than one thread it
    does only part of its work. On a GPU it changes nothing.
    """
    with flushing() as can:
        if not can:
            raise Skip("this processor cannot flush subnormal numbers to zero")
    return within(recipe, flushing, "step", "evaluate")


@contextmanager
def flushing(first: Any = None) -> Iterator[bool]:
    """Flush inside, and afterwards do as before; yields whether this processor can."""
    before = sys.float_info.min / 2 == 0.0  # torch has no way to ask, but Python's own floats meet the same bits
    can = torch.set_flush_denormal(True)
    try:
        yield can
    finally:
        torch.set_flush_denormal(before)
