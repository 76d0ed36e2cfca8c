"""The core's metrics: views of stored samples, shape (n,)."""

from __future__ import annotations

from harness.analysis.samples import Samples
from harness.analysis.stats import Array
from harness.analysis.timing import View


def step_time(samples: Samples) -> Array:
    """Seconds per step on the deciding clock, shape (n,)."""
    return samples.seconds


def wall_time(phase: str) -> View:
    """The metric of a phase's wall seconds, shape (n,); None where a mode does not have the phase."""
    return lambda samples: samples.phases.get(phase)


#: From a list of examples to a batch on the device.
collate_time = wall_time("collate")
#: From a batch to the loss (or to predictions).
forward_time = wall_time("forward")
#: From the loss to gradients.
backward_time = wall_time("backward")
#: From gradients to updated weights.
update_time = wall_time("update")
