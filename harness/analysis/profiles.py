"""Stored profiles of trials: how the time of a step is divided among operators, and what it was computed with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from statistics import median
from typing import Any

from harness.analysis.grouping import grouped
from harness.records.plan import Plan
from harness.records.record import Record
from harness.records.settings import Profile

#: The name of time outside all operators.
UNATTRIBUTED = ""
#: A report warns above this share of subnormal numbers in a backward pass.
SUBNORMAL = 0.001
#: The prefix of the autograd engine's own work on a node of the graph. The node itself has an event inside.
ENGINE = "autograd::engine::evaluate_function: "

COMPILED = "compiled by torch"
ONE_BY_ONE = "operator by operator"
#: A part of the name of an operator or kernel (in lower case, with a space at its end), and the kernel path it shows.
SIGNS = (
    ("aten::mkldnn_rnn_layer", "oneDNN's fused recurrent layer"),
    ("aten::_cudnn_rnn", "cuDNN's fused recurrent layers"),
    ("rnn_blockpersist", "persistent kernels"),
    ("aten::_thnn_fused", "fused cells"),
    ("aten::lstm ", "torch's native loop"),
    ("aten::gru ", "torch's native loop"),
    ("aten::rnn_tanh ", "torch's native loop"),
    ("aten::rnn_relu ", "torch's native loop"),
    ("flash_attention", "flash attention"),
    ("efficient_attention", "memory-efficient attention"),
    ("torch-compiled region", COMPILED),
    ("compiledfunction", COMPILED),
    ("triton_", COMPILED),
    ("_foreach_", "an optimizer over lists of tensors"),
    ("aten::_fused_adam", "a fused optimizer"),
)
#: Paths that have no operators of their own: they call those that other paths call too.
_CALLING = frozenset({"torch's native loop", ONE_BY_ONE})
#: Where one of these ran, the native loop did not: torch's entry point has the same name for all.
_LAYERS = frozenset({"oneDNN's fused recurrent layer", "cuDNN's fused recurrent layers"})

#: By phase and operator.
ByOperator = dict[tuple[str, str], float]


def kernel_paths_of(names: Iterable[str]) -> tuple[str, ...]:
    """The kernel paths that names of operators and kernels show; `ONE_BY_ONE` where they show none."""
    lower = [f"{name.lower()} " for name in names]
    found = dict.fromkeys(path for sign, path in SIGNS if any(sign in name for name in lower))
    if not _LAYERS.isdisjoint(found):
        found.pop("torch's native loop", None)
    computing = [path for path in found if "optimizer" not in path]
    return tuple(found) if computing else (ONE_BY_ONE, *found)


def is_of(operator: str, paths: Iterable[str]) -> bool:
    """Whether an operator belongs to one of these kernel paths and to no other."""
    name = f"{operator.lower()} "
    return any(sign in name and path in paths for sign, path in SIGNS if path not in _CALLING)


class Profiled:
    """The stored profile of one trial: per step of its work set, in seconds as the profiler measured them.

    `self_times` and `device_times` are by phase and operator; `unattributed` is the time of each phase in no operator.
    `cost` is the profiler's overhead per operator; `called` and `outermost` say how often it is subtracted.
    `conditions` are flags, types of weights, page faults and subnormal numbers. `kernel_times` are (calls, seconds) by
    phase and kernel."""

    def __init__(self, record: Record) -> None:
        data, steps = record.data, len(record.data["batches"])
        operators, phases, kernels = data["operators"], data["phases"], data["kernels"]
        keys = list(zip(operators["phase"], operators["name"], strict=True))

        def column(name: str, unit: float = 1.0) -> ByOperator:
            return {key: value * unit / steps for key, value in zip(keys, operators[name], strict=True)}

        def by_phase(name: str, unit: float = 1.0) -> dict[str, float]:
            return {key: value * unit / steps for key, value in zip(phases["phase"], phases[name], strict=True)}

        self.level = record.level
        self.mode: str = data["mode"]
        self.device: str = data["device"]
        self.self_times, self.device_times = column("own", 1e-9), column("device", 1e-9)
        self.calls, self.leaves = column("calls"), column("leaves")
        self.kernels, self.called = column("kernels"), column("called")
        self.unattributed, self.outermost = by_phase("between", 1e-9), by_phase("outermost")
        self.cost: float = data["cost"] * 1e-9
        self.plain: float = data["plain"] * 1e-9 / steps
        self.counts: dict[str, float] = {name: value / steps for name, value in data["counts"].items()}
        self.conditions: Mapping[str, Any] = data["fingerprint"]
        self.trace: str = data["trace"]
        columns = (kernels[column] for column in ("phase", "name", "calls", "device"))
        self.kernel_times = {
            (phase, name): (calls / steps, time * 1e-9 / steps)
            for phase, name, calls, time in zip(*columns, strict=True)
        }

    @cached_property
    def kernel_paths(self) -> tuple[str, ...]:
        """The kernel paths that the step took."""
        return kernel_paths_of([*(name for _, name in self.calls), *(name for _, name in self.kernel_times)])

    @property
    def flags(self) -> dict[str, Any]:
        """Flags by name, and the types of the weights."""
        return {**self.conditions["flags"], "types of weights": ", ".join(self.conditions["types"])}

    @cached_property
    def merged(self) -> ByOperator:
        """Calls per step by phase and operator; a node of the graph and the engine's work on it count as one."""
        found: ByOperator = {}
        for (phase, name), calls in self.calls.items():
            key = phase, name.removeprefix(ENGINE)
            found[key] = max(calls, found.get(key, 0.0))
        return found

    @property
    def launches(self) -> float:
        """Kernels launched per step on a device; on a CPU, calls of leaf operators."""
        return sum((self.kernels if self.device == "cuda" else self.leaves).values())

    def seconds(self, cost: float) -> ByOperator:
        """Time by phase and operator without the profiler's overhead `cost` per operator, of which one half falls into
        the operator itself and the other into its caller."""
        found = {
            key: max(0.0, time - cost * (self.calls[key] + self.called[key]) / 2)
            for key, time in self.self_times.items()
        }
        for phase, time in self.unattributed.items():
            found[phase, UNATTRIBUTED] = max(0.0, time - cost * self.outermost[phase] / 2)
        return found


#: By block id and mode, in the order of the block's trials.
Profiles = Mapping[tuple[str, str], Sequence[Profiled]]


def profiles_of(plan: Plan, records: Iterable[Record]) -> dict[tuple[str, str], list[Profiled]]:
    """The profiles of each block and mode that has any."""
    good = (record for record in records if record.stage == "profile" and record.outcome == "ok")
    stored = grouped(good, lambda record: (record.block, record.measure))
    found: dict[tuple[str, str], list[Profiled]] = {}
    for block in plan.blocks:
        settings = block.measures.get("profile", Profile)
        for mode in settings.of or () if settings else ():
            by_level = {record.level: record for record in stored.get((block.id, f"profile.{mode}"), ())}
            there = [by_level[trial.level] for trial in block.trials if trial.level in by_level]
            if there:
                found[block.id, mode] = list(map(Profiled, there))
    return found


def profiler_cost(profiles: Profiles) -> float:
    """The profiler's overhead per operator on the host, in seconds: the median over all profiles of a run."""
    return median([one.cost for group in profiles.values() for one in group] or [0.0])


def computed_with(profiles: Profiles, block: str, level: str) -> dict[str, Any]:
    """What the profiles of a trial show: the kernel paths by mode, flags and types by mode and name."""
    found: dict[str, Any] = {}
    for (where, mode), group in profiles.items():
        for one in group:
            if (where, one.level) == (block, level):
                found[mode] = list(one.kernel_paths)
                found |= {f"{mode}, {name}": value for name, value in one.flags.items()}
    return found
