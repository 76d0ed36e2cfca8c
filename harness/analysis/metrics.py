"""The core's metrics: views of stored samples."""

from __future__ import annotations

from harness.analysis.samples import Samples
from harness.analysis.stats import Array


def step_time(samples: Samples) -> Array:
    """Seconds per step on the deciding clock, shape (n,)."""
    return samples.seconds


def collate_time(samples: Samples) -> Array | None:
    """Wall seconds from a list of examples to a batch on the device, shape (n,)."""
    return samples.phases.get("collate")


def forward_time(samples: Samples) -> Array | None:
    """Wall seconds from a batch to the loss (or to predictions), shape (n,)."""
    return samples.phases.get("forward")


def backward_time(samples: Samples) -> Array | None:
    """Wall seconds from the loss to gradients, shape (n,)."""
    return samples.phases.get("backward")


def update_time(samples: Samples) -> Array | None:
    """Wall seconds from gradients to updated weights, shape (n,)."""
    return samples.phases.get("update")
