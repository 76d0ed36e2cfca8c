"""The raw samples of a replicate as arrays, which metrics are views of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.analysis.stats import Array, per_batch

Clock = Literal["wall", "cpu"]


@dataclass(frozen=True)
class Samples:
    """The samples of one trial in one process, shape (n,) each, times in seconds per step.

    `batch` is the batch of the trial's work set that a sample was taken on, `round` its visit. `phases` are wall times
    that sum to the step. `counts` are named amounts of each batch of the work set, shape (batches,). `clock` is the one
    that decides, which `seconds` are read from. The arrays are read-only: to sort or scale one, copy it.
    """

    wall: Array
    cpu: Array
    batch: NDArray[np.int64]
    round: NDArray[np.int64]
    phases: Mapping[str, Array]
    counts: Mapping[str, Array]
    clock: Clock = "wall"

    @classmethod
    def from_record(cls, data: Mapping[str, Any], clock: Clock = "wall") -> Samples:
        """The samples in a stored speed record (nanoseconds over `repeats` steps a sample)."""
        per_step = 1e-9 / data["repeats"]
        phases = {name: _fixed(np.array(values) * per_step) for name, values in data["phases"].items()}
        counts = {name: _fixed(np.array(values, dtype=float)) for name, values in data["counts"].items()}
        return cls(
            wall=_fixed(np.array(data["wall"]) * per_step),
            cpu=_fixed(np.array(data["cpu"]) * per_step),
            batch=_fixed(np.array(data["batch"])),
            round=_fixed(np.array(data["round"])),
            phases=phases,
            counts=counts,
            clock=clock,
        )

    @property
    def seconds(self) -> Array:
        """Seconds per step on the deciding clock, shape (n,)."""
        return self.wall if self.clock == "wall" else self.cpu

    @property
    def pass_seconds(self) -> float:
        """Seconds of one pass over the work set: the sum of the trimmed means of its batches."""
        return float(per_batch(self.seconds, self.batch).sum())

    @property
    def cpu_share(self) -> float:
        """CPU time over wall time; below about 0.9 another program used this core."""
        return float(self.cpu.sum() / self.wall.sum())

    def totals(self) -> dict[str, float]:
        """Each counted amount, summed over the work set."""
        return {name: float(values.sum()) for name, values in self.counts.items()}


def _fixed(values: NDArray[Any]) -> NDArray[Any]:
    values.setflags(write=False)
    return values
