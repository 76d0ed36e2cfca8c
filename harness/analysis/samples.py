"""The raw samples of a replicate as arrays, and metrics as views of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.analysis.stats import Array, per_batch
from harness.plugins.catalog import Catalog, Entry
from harness.plugins.isolation import caught
from harness.plugins.manager import CORE
from harness.plugins.parts import Metric

Clock = Literal["wall", "cpu"]
#: With fewer samples that were not preempted, their share of CPU time is not used.
FEWEST_UNDISTURBED = 5
#: A function from stored samples to the numbers of a metric; None where they lack its input.
View = Callable[[Any], Any]


@dataclass(frozen=True)
class Samples:
    """The samples of one trial in one process, shape (n,) each, times in seconds per step.

    `batch` is the batch of the trial's work set that a sample was taken on, `round` its visit. `phases` are wall times
    that sum to the step. `counts` are named amounts of each batch of the work set, shape (batches,). `clock` is the
    deciding one, which `seconds` uses. The arrays are read-only: to sort or scale one, copy it.

    `cpu` is the CPU time of the measuring thread, and `process` that of the whole process. `switches` says how often
    the thread was preempted during each sample. Recordings and older runs lack the last two: they are None. `before` is
    the number of steps that the trial took before its first sample, and `repeats` the number of steps of a sample.
    `peak` is the peak memory of each run of a program in bytes; it is None for the steps of a model.
    """

    wall: Array
    cpu: Array
    batch: NDArray[np.int64]
    round: NDArray[np.int64]
    phases: Mapping[str, Array]
    counts: Mapping[str, Array]
    clock: Clock = "wall"
    process: Array | None = None
    switches: NDArray[np.int64] | None = None
    before: int = 0
    repeats: int = 1
    peak: Array | None = None

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
            process=_fixed(np.array(data["process"]) * per_step) if "process" in data else None,
            switches=_fixed(np.array(data["switches"])) if "switches" in data else None,
            before=data.get("steps_before", 0),
            repeats=data["repeats"],
            peak=_fixed(np.array(data["peak"], dtype=float)) if "peak" in data else None,
        )

    @property
    def seconds(self) -> Array:
        """Seconds per step on the deciding clock, shape (n,). CPU time is that of the process where it is known, so
        that work in other threads counts."""
        return self.wall if self.clock == "wall" else self.cpu_seconds

    @property
    def cpu_seconds(self) -> Array:
        """CPU seconds per step of the process, or of the thread where that of the process is not known, shape (n,)."""
        return self.cpu if self.process is None else self.process

    @property
    def pass_seconds(self) -> float:
        """Seconds of one pass over the work set: the sum of the trimmed means of its batches."""
        return float(per_batch(self.seconds, self.batch).sum())

    @cached_property
    def cpu_share(self) -> float:
        """CPU time of the measuring thread over wall time."""
        return float(self.cpu.sum() / self.wall.sum())

    @cached_property
    def process_share(self) -> float:
        """CPU time of the process over wall time; that of the thread where the process's is not known."""
        return float(self.cpu_seconds.sum() / self.wall.sum())

    @cached_property
    def undisturbed_share(self) -> float | None:
        """CPU time of the process over wall time in the samples in which the thread was not preempted. What is missing
        there, the step spent waiting. None where there are too few such samples."""
        if self.switches is None or (self.switches == 0).sum() < FEWEST_UNDISTURBED:
            return None
        alone = self.switches == 0
        return float(self.cpu_seconds[alone].sum() / self.wall[alone].sum())

    def totals(self) -> dict[str, float]:
        """Each counted amount, summed over the work set."""
        return {name: float(values.sum()) for name, values in self.counts.items()}


def _fixed(values: NDArray[Any]) -> NDArray[Any]:
    values.setflags(write=False)
    return values


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


#: The metrics that only programs have. Less of them is less, and not faster.
PEAK_MEMORY = "peak_memory"
OF_PROGRAMS = ("cpu_time", PEAK_MEMORY)


def cpu_time(samples: Samples) -> Array | None:
    """CPU seconds of each run of a program, shape (n,); None for the steps of a model."""
    return None if samples.peak is None else samples.cpu_seconds


def peak_memory(samples: Samples) -> Array | None:
    """The peak memory of each run of a program in bytes, shape (n,); None for the steps of a model."""
    return samples.peak


def metric_views(catalog: Catalog, problems: list[str]) -> dict[str, View]:
    """The metrics of a catalog by name. The error of a plugin's metric is added to `problems`; it hides no other
    metric."""
    return {name: _view(catalog, entry, problems) for name, entry in catalog.entries(Metric).items()}


def _view(catalog: Catalog, entry: Entry, problems: list[str]) -> View:
    """The view of a metric, which gives None where the metric raises or gives no numbers."""

    @cache
    def code() -> View:
        return catalog.code(entry)  # resolved once, at the first use, since that may fail as well

    def view(stored: Any) -> Any:
        with caught(entry.owner, problems):
            if entry.plugin == CORE:
                return code()(stored)
            return checked_value(entry.part, code()(plugin_copy(stored)), stored)
        return None

    return view


def plugin_copy(stored: Any) -> Any:
    """What a plugin's metric gets: samples or totals that it may keep and change without changing ours."""
    if isinstance(stored, Samples):
        return replace(stored, phases=dict(stored.phases), counts=dict(stored.counts))
    return dict(stored)


def checked_value(metric: Metric, value: Any, stored: Any) -> Any:
    """What a metric gives, as numbers: one, or one per sample. Raises ValueError where it is neither that nor None."""
    if value is None:
        return None
    if metric.per == "sample":
        costs = np.asarray(value)
        if costs.shape != stored.wall.shape or costs.dtype.kind not in "fiu":
            raise ValueError(f"it gives {costs.dtype} of shape {costs.shape}, not a number for each sample")
        if not np.isfinite(costs).all():
            raise ValueError("it gives costs that are not finite")
        return costs
    if not is_finite_number(value):
        raise ValueError(f"it gives {str(value)[:40]!r}, not a finite number")
    return float(value)


def is_finite_number(value: Any) -> bool:
    """Whether a plugin gave a finite number; a bool is none."""
    return not isinstance(value, bool) and isinstance(value, int | float | np.number) and math.isfinite(value)
