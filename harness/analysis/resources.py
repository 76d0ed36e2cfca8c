"""What each trial takes besides time: memory, operations, page faults, a cold start."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from harness.analysis.finding import Finding
from harness.analysis.grouping import grouped
from harness.analysis.stats import Estimate
from harness.analysis.verdicts import Verdict
from harness.records.plan import Block, Plan
from harness.records.record import Record, by_block

#: Resident memory counts as the same within this many bytes or this share of the baseline's, whichever is more.
SAME_BYTES, SAME_SHARE = 2**20, 0.02
#: A report warns above this share of subnormal numbers in a backward pass.
SUBNORMAL = 0.001

#: The phases of a step; the first two are those of inference.
PHASES = ("collate", "forward", "backward", "update")
#: Also given per amount that the dataset counts, as in kept_bytes/tokens.
OVER_AMOUNTS = ("peak_bytes", "kept_bytes", "flops")
#: These differ between processes.
INEXACT = (
    "resident_rise", "page_faults", "flops_per_second", "share_of_gemm_peak", "subnormal_share", "built", "first_step",
    "pay_back",
)  # fmt: skip

Values = dict[str, float]
Place = tuple[str, str, str]
"""Block id, level, mode."""


@dataclass(frozen=True, kw_only=True)
class Quantity(Finding):
    """How much of one resource a trial takes; its name is the `metric`. `values` are those of single processes where
    `value` is their median.

    `unit` is bytes, seconds, FLOP, FLOP/s, share or nothing. `ratio` is to the baseline's value where that is not zero.
    An exact amount has an estimate without error, except for the baseline. The verdict is exact, except for the
    resident rise, and empty where a number is shown without one."""

    value: float
    unit: str
    ratio: float | None = None
    values: tuple[float, ...] = ()

    @property
    def size(self) -> float | None:
        """The ratio, without the rounding of a logarithm."""
        return self.ratio

    @property
    def interval(self) -> tuple[float, float] | None:
        """The ratio itself, twice; None where it is not exact."""
        return None if self.ratio is None or self.estimate is None else (self.ratio, self.ratio)


@dataclass(frozen=True)
class Resources:
    """All quantities of a run. `products` is the speed of a float32 product of square matrices, in FLOP/s, by device;
    `uncounted` names the operators without a formula, for which a trial's operations are not given."""

    quantities: tuple[Quantity, ...] = ()
    products: Mapping[str, float] = field(default_factory=dict)
    uncounted: Mapping[Place, tuple[str, ...]] = field(default_factory=dict)

    def of(self, block: Block, mode: str) -> dict[tuple[str, str], Quantity]:
        """The quantities of one block and mode by level and metric."""
        return {(q.level, q.metric): q for q in self._by_place.get((block.id, mode), ())}

    @cached_property
    def _by_place(self) -> dict[tuple[str, str], list[Quantity]]:
        return grouped(self.quantities, lambda q: (q.block.id, q.mode))


def find_resources(
    plan: Plan, records: Sequence[Record], step_times: Mapping[Place, float], faster: frozenset[Place]
) -> Resources:
    """Read the measures after the clock. `step_times` are seconds per step, `faster` the places with that verdict."""
    good = [record for record in records if record.outcome == "ok" and record.after_timing]
    products: dict[str, float] = {}
    uncounted: dict[Place, tuple[str, ...]] = {}
    for record in good:
        if record.measure.startswith("cost."):
            # The speed of a device is the fastest that any process measured: other programs only make it slower.
            device = record.data["device"]
            products[device] = max(products.get(device, 0.0), product_speed(record.data["product"]))
            if record.data["uncounted"]:
                mode = record.measure.removeprefix("cost.")
                uncounted[record.block, record.level, mode] = tuple(record.data["uncounted"])
    quantities = []
    theirs = by_block(good)
    for block in plan.blocks:
        mine = theirs.get(block.id, ())
        for mode in block.measures.modes:
            places = {trial.level: (block.id, trial.level, mode) for trial in block.trials}
            times = {level: step_times[place] for level, place in places.items() if place in step_times}
            found = {trial.level: alone(trial.level, mode, mine, times, products) for trial in block.trials}
            quantities += compared(block, mode, found)
            quantities += pay_back(block, mode, found, times, faster)
    return Resources(tuple(quantities), products, uncounted)


def product_speed(product: Mapping[str, Any]) -> float:
    """The 90th percentile of the speeds of products of square matrices, in FLOP/s."""
    return 2.0 * float(product["size"]) ** 3 / (float(np.quantile(product["nanoseconds"], 0.1)) * 1e-9)


def alone(
    level: str, mode: str, records: Sequence[Record], times: Mapping[str, float], products: Mapping[str, float]
) -> dict[str, Any]:
    """The values of one trial by name; a tuple of values where several processes measured it."""
    data: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        kind, _, its_mode = record.measure.partition(".")
        if (record.level, its_mode) == (level, mode):
            data.setdefault(kind, []).append(record.data)
    found: dict[str, Any] = {}
    if "memory" in data:
        found |= memory_values(data["memory"][0])
    if "resident" in data:
        found["resident_rise"] = tuple(resident_rise(one) for one in data["resident"])
    if "cost" in data:
        found |= cost_values(data["cost"][0])
        if "flops" in found and times.get(level):
            found["flops_per_second"] = found["flops"] / times[level]
            found["share_of_gemm_peak"] = found["flops_per_second"] / products[data["cost"][0]["device"]]
    if "cold" in data:
        found["built"] = tuple(one["built"] for one in data["cold"])
        found["first_step"] = tuple(one["ends"][0] for one in data["cold"])
    return found


def memory_values(data: Mapping[str, Any]) -> Values:
    """From a memory record: bytes held, the peaks and the bytes kept for backward (of the largest batch), and both per
    counted amount of the work set."""
    peak, kept = data["peak"], data["kept"]
    found = {name: data[name] for name in ("parameters", "parameter_bytes", "optimizer_bytes") if name in data}
    found["peak_bytes"] = max(peak["step"])
    found |= {f"{phase}_peak_bytes": max(values) for phase, values in peak.items() if phase != "step"}
    found |= per_amount("peak_bytes", sum(peak["step"]), data["counts"])
    if kept:
        found["kept_bytes"] = max(kept)
        found |= per_amount("kept_bytes", sum(kept), data["counts"])
    return found


def resident_rise(data: Mapping[str, int]) -> int:
    """How far resident memory rose above the mark, in bytes, without the pages of library files: these belong to no
    model."""
    return (data["peak"] - data["peak_file"]) - (data["mark"] - data["mark_file"])


def cost_values(data: Mapping[str, Any]) -> Values:
    """From a cost record: operations per step, unless some could not be counted; page faults per step; the share of
    subnormals among the nonzero numbers that the backward pass wrote."""
    found: Values = {}
    if not data["uncounted"]:
        batches = len(data["faults"])
        phases = {phase: sum(values) / batches for phase, values in data["flops"].items()}
        found["flops"] = sum(phases.values())
        found |= {f"{phase}_flops": value for phase, value in phases.items()}
        found |= per_amount("flops", found["flops"] * batches, data["counts"])
    found["page_faults"] = float(np.mean(data["faults"]))
    if data["written"]:
        found["subnormal_share"] = data["subnormal"] / data["written"]
    return found


def per_amount(name: str, total: float, counts: Mapping[str, Sequence[float]]) -> Values:
    """A total of the work set per counted amount."""
    return {f"{name}/{amount}": total / sum(values) for amount, values in counts.items() if sum(values)}


def compared(block: Block, mode: str, found: Mapping[str, Mapping[str, Any]]) -> list[Quantity]:
    """Every value as a quantity, compared with the baseline's."""
    quantities = []
    for trial in block.trials:
        for name, given in found[trial.level].items():
            values = given if isinstance(given, tuple) else ()
            value = float(np.median(values)) if values else given
            quantity = Quantity(
                block=block, level=trial.level, mode=mode, metric=name, value=value, unit=unit_of(name), values=values,
                verdict=Verdict.NONE,
            )  # fmt: skip
            against = found[block.baseline.level].get(name)
            if trial is not block.baseline and against is not None:
                quantity = _judged(quantity, against, trial.changes)
            quantities.append(quantity)
    return quantities


def _judged(quantity: Quantity, against: Any, changes: str) -> Quantity:
    """The quantity with ratio, verdict and estimate against the baseline's value or values."""
    value, base = quantity.value, float(np.median(against)) if isinstance(against, tuple) else against
    ratio, verdict = value / base if base else None, Verdict.NONE
    if quantity.metric == "resident_rise":
        verdict = of_processes(quantity.values, against)
    elif exact(quantity.metric):
        verdict = more_or_less(value, base)
    if verdict and changes == "answer":
        verdict = Verdict.UNRANKED
    estimate = None
    if verdict and exact(quantity.metric):
        log = math.log(ratio) if ratio else -math.inf if base else math.inf if value else 0.0
        estimate = Estimate(log, 0.0, math.inf, 1)
    return replace(quantity, ratio=ratio, verdict=verdict, estimate=estimate)


def more_or_less(value: float, base: float) -> Verdict:
    """The verdict on an exact amount."""
    return Verdict.SAME if value == base else Verdict.MORE if value > base else Verdict.LESS


def of_processes(values: Sequence[float], against: Sequence[float]) -> Verdict:
    """The verdict on resident memory: noisy where the processes of one trial disagree with each other."""
    value, base = float(np.median(values)), float(np.median(against))
    allowed = max(SAME_BYTES, SAME_SHARE * base)
    if any(max(ones) - min(ones) > allowed for ones in (values, against)):
        return Verdict.NOISY
    return Verdict.SAME if abs(value - base) <= allowed else more_or_less(value, base)


def pay_back(
    block: Block,
    mode: str,
    found: Mapping[str, Mapping[str, Any]],
    times: Mapping[str, float],
    faster: frozenset[Place],
) -> list[Quantity]:
    """After how many steps a slower start is paid back, for each level that is faster and starts more slowly than the
    baseline in every process. The first step of a compiled variant includes compilation."""
    quantities = []
    base = block.baseline.level
    for trial in block.trials[1:]:
        starts = [found[level].get("first_step", ()) for level in (trial.level, base)]
        if (block.id, trial.level, mode) in faster and all(starts) and min(starts[0]) > max(starts[1]):
            extra = float(np.median(starts[0]) - np.median(starts[1]))
            steps = extra / (times[base] - times[trial.level])
            quantities.append(
                Quantity(
                    block=block, level=trial.level, mode=mode, metric="pay_back", value=steps, unit="",
                    verdict=Verdict.NONE,
                )
            )  # fmt: skip
    return quantities


def exact(name: str) -> bool:
    """Whether a quantity is the same in every process that measures it."""
    return unit_of(name) in ("bytes", "FLOP") or name == "parameters"


def exact_names(measure: Literal["memory", "cost"], mode: str) -> tuple[str, ...]:
    """The names of the exact quantities of a measure in a mode, without those per amount."""
    training = mode == "train"
    phases = PHASES if training else PHASES[:2]
    if measure == "cost":
        return ("flops", *(f"{phase}_flops" for phase in phases))
    names = ("parameters", "parameter_bytes", "peak_bytes", *(f"{phase}_peak_bytes" for phase in phases))
    return (*names, "optimizer_bytes", "kept_bytes") if training else names


def unit_of(name: str) -> str:
    """The unit of a quantity."""
    if name in ("flops_per_second", "share_of_gemm_peak", "subnormal_share", "built", "first_step"):
        return {"flops_per_second": "FLOP/s", "built": "seconds", "first_step": "seconds"}.get(name, "share")
    if "flops" in name:
        return "FLOP"
    return "bytes" if "bytes" in name or name == "resident_rise" else ""
