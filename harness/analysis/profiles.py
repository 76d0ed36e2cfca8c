"""A stored profile of one trial: how its time is shared out over operators, and what it was computed with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import Any

from harness.analysis.kernel_paths import ways_of
from harness.records.record import Record

#: The operator of time in no operator.
NOWHERE = ""
#: Before the name of a node of the graph where the engine works on it; the node itself has an event inside.
ENGINE = "autograd::engine::evaluate_function: "


@dataclass(frozen=True)
class Profiled:
    """One trial's stored profile: per step of its work set, in seconds as the profiler saw them.

    `own` and `on_device` are times by (phase, operator), `calls` numbers, `nowhere` the time of each phase in no
    operator. `cost` is what the profiler took for an operator, and `called` and `outermost` what it is taken off by."""

    level: str
    mode: str
    device: str
    own: Mapping[tuple[str, str], float]
    on_device: Mapping[tuple[str, str], float]
    calls: Mapping[tuple[str, str], float]
    leaves: Mapping[tuple[str, str], float]
    kernels: Mapping[tuple[str, str], float]
    called: Mapping[tuple[str, str], float]
    nowhere: Mapping[str, float]
    outermost: Mapping[str, float]
    cost: float
    plain: float
    counts: Mapping[str, float]
    fingerprint: Mapping[str, Any]
    trace: str
    kernel_times: Mapping[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def from_record(cls, record: Record) -> Profiled:
        """The profile in a record of the measure `profile`."""
        data, steps = record.data, len(record.data["batches"])
        operators, phases, kernels = data["operators"], data["phases"], data["kernels"]
        keys = list(zip(operators["phase"], operators["name"], strict=True))

        def column(name: str, unit: float = 1.0) -> dict[tuple[str, str], float]:
            return {key: value * unit / steps for key, value in zip(keys, operators[name], strict=True)}

        def by_phase(name: str, unit: float = 1.0) -> dict[str, float]:
            return {key: value * unit / steps for key, value in zip(phases["phase"], phases[name], strict=True)}

        return cls(
            level=record.level,
            mode=data["mode"],
            device=data["device"],
            own=column("own", 1e-9),
            on_device=column("device", 1e-9),
            calls=column("calls"),
            leaves=column("leaves"),
            kernels=column("kernels"),
            called=column("called"),
            nowhere=by_phase("between", 1e-9),
            outermost=by_phase("outermost"),
            cost=data["cost"] * 1e-9,
            plain=data["plain"] * 1e-9 / steps,
            counts={name: value / steps for name, value in data["counts"].items()},
            fingerprint=data["fingerprint"],
            trace=data["trace"],
            kernel_times={
                (phase, name): (calls / steps, time * 1e-9 / steps)
                for phase, name, calls, time in zip(
                    *(kernels[column] for column in ("phase", "name", "calls", "device")), strict=True
                )
            },
        )  # fmt: skip

    @cached_property
    def ways(self) -> tuple[str, ...]:
        """Which way the step was computed."""
        return ways_of([*(name for _, name in self.calls), *(name for _, name in self.kernel_times)])

    @cached_property
    def merged(self) -> dict[tuple[str, str], float]:
        """Calls a step by phase and operator, a node of the graph and the engine's work on it being one."""
        found: dict[tuple[str, str], float] = {}
        for (phase, name), calls in self.calls.items():
            key = phase, name.removeprefix(ENGINE)
            found[key] = max(calls, found.get(key, 0.0))
        return found

    @property
    def launches(self) -> float:
        """Kernels a step launches on a device; on a CPU its calls of operators that call no other."""
        return sum((self.kernels if self.device == "cuda" else self.leaves).values())

    def seconds(self, cost: float) -> dict[tuple[str, str], float]:
        """Time by phase and operator, without what the profiler takes for each operator: half of it falls into the
        operator itself and half into the one that calls it."""
        found = {key: max(0.0, own - cost * (self.calls[key] + self.called[key]) / 2) for key, own in self.own.items()}
        for phase, between in self.nowhere.items():
            found[phase, NOWHERE] = max(0.0, between - cost * self.outermost[phase] / 2)
        return found


def event_cost(profiles: Mapping[tuple[str, str], Sequence[Profiled]]) -> float:
    """Seconds that the profiler takes for one operator on the host: the median over all profiles of a run."""
    return median([one.cost for group in profiles.values() for one in group] or [0.0])
