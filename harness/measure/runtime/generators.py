"""The random generators that all code in a process shares: those of torch, NumPy and Python.

The seed of a trial sets all three. It cannot set a generator that a part creates for itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from harness.measure.runtime.global_state import GENERATORS


def seed_generators(seed: int) -> None:
    """Seed every shared generator, also those of all GPUs."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed % 2**32)  # Python itself would ignore the sign


def generator_states() -> dict[str, Any]:
    """The state of each generator, as values that `torch.load` accepts with `weights_only`."""
    return {name: generator.read() for name, generator in GENERATORS.items()}


def set_generator_states(states: dict[str, Any]) -> None:
    """Continue from states that `generator_states` has returned."""
    for name, state in states.items():
        GENERATORS[name].write(state)


@contextmanager
def kept_generators() -> Iterator[None]:
    """Restore the state of every generator afterwards."""
    states = generator_states()
    try:
        yield
    finally:
        set_generator_states(states)
