"""What each trial takes besides time: memory, operations, page faults, a cold start. Derived from records, no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from harness.analysis.stats import Estimate
from harness.records.plan import Block, Plan
from harness.records.record import Record, by_block

Verdict = Literal["same", "more", "less", "noisy", "unranked", ""]

#: Resident memory is the same within this many bytes or this share of the baseline's, whichever is more.
SAME_BYTES, SAME_SHARE = 2**20, 0.02
#: From this share of subnormal numbers in a backward pass on, a report warns.
SUBNORMAL = 0.001

#: The phases of a step; the first two are those of inference.
PHASES = ("collate", "forward", "backward", "update")
#: What is also given over each amount that the dataset counts, as in kept_bytes/tokens.
OVER_AMOUNTS = ("peak_bytes", "kept_bytes", "flops")
#: What differs from process to process.
INEXACT = (
    "resident_rise", "page_faults", "flops_per_second", "share_of_gemm_peak", "subnormal_share", "built", "first_step",
    "pay_back",
)  # fmt: skip

Values = dict[str, float]
Place = tuple[str, str, str]
"""Block id, level, mode."""


@dataclass(frozen=True)
class Quantity:
    """How much of one resource a trial takes; `values` are the single processes' where `value` is their median.

    `unit` is bytes, seconds, FLOP, FLOP/s, share or nothing. `ratio` is to the baseline's value where that is not zero.
    The verdict is exact, but for the resident rise; it is empty where a number is shown without one."""

    block: Block
    level: str
    mode: str
    name: str
    value: float
    unit: str
    ratio: float | None = None
    verdict: Verdict = ""
    values: tuple[float, ...] = ()

    @property
    def metric(self) -> str:
        """What a claim calls it."""
        return self.name

    @property
    def estimate(self) -> Estimate | None:
        """The log of the ratio, without error; None for the baseline and for what is not exact."""
        if not self.verdict or not exact(self.name):
            return None
        if self.ratio is None:  # the baseline takes none of it
            return Estimate(math.inf if self.value else 0.0, 0.0, math.inf, 1)
        return Estimate(math.log(self.ratio) if self.ratio else -math.inf, 0.0, math.inf, 1)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The ratio itself, twice."""
        return None if self.ratio is None or self.estimate is None else (self.ratio, self.ratio)


@dataclass(frozen=True)
class Resources:
    """All quantities of a run. `products` is the speed of a float32 product of square matrices, in FLOP/s, by device;
    `uncounted` names the operators without a formula for which a trial's operations are not given."""

    quantities: tuple[Quantity, ...] = ()
    products: Mapping[str, float] = field(default_factory=dict)
    uncounted: Mapping[Place, tuple[str, ...]] = field(default_factory=dict)

    def of(self, block: Block, mode: str) -> dict[tuple[str, str], Quantity]:
        """The quantities of one block and mode by level and name."""
        return self._by_place.get((block.id, mode), {})

    @cached_property
    def _by_place(self) -> dict[tuple[str, str], dict[tuple[str, str], Quantity]]:
        """The quantities by block id and mode, then by level and name: each table asks for its own."""
        found: dict[tuple[str, str], dict[tuple[str, str], Quantity]] = {}
        for q in self.quantities:
            found.setdefault((q.block.id, q.mode), {})[q.level, q.name] = q
        return found


def find_resources(
    plan: Plan, records: Sequence[Record], step_times: Mapping[Place, float], faster: frozenset[Place]
) -> Resources:
    """Read what was measured after the clock. `step_times` are seconds a step, `faster` who was found to be so."""
    good = [record for record in records if record.outcome == "ok" and record.after_the_clock]
    products: dict[str, float] = {}
    uncounted: dict[Place, tuple[str, ...]] = {}
    for record in good:
        if record.measure.startswith("cost."):
            # What a device can do is the fastest that any process saw it do: whatever else ran made it slower.
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
    """FLOP/s that nine of ten products of square matrices stay below."""
    return 2.0 * float(product["size"]) ** 3 / (float(np.quantile(product["nanoseconds"], 0.1)) * 1e-9)


def alone(
    level: str, mode: str, records: Sequence[Record], times: Mapping[str, float], products: Mapping[str, float]
) -> dict[str, Any]:
    """The values of one trial by name; a tuple where each of several processes found one."""
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
    """Of a memory record: what is held, the peaks and what backward keeps (largest batch), and both over each counted
    amount of the work set."""
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
    """How far anonymous memory rose above the mark, in bytes. Pages of libraries that a step was the first to touch are
    taken off: they are no model's."""
    return (data["peak"] - data["peak_file"]) - (data["mark"] - data["mark_file"])


def cost_values(data: Mapping[str, Any]) -> Values:
    """Of a cost record: operations a step, unless some could not be counted; page faults a step; the share of
    subnormals among the numbers other than zero that the backward pass wrote."""
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
    """A total of the work set over each of its counted amounts."""
    return {f"{name}/{amount}": total / sum(values) for amount, values in counts.items() if sum(values)}


def compared(block: Block, mode: str, found: Mapping[str, Mapping[str, Any]]) -> list[Quantity]:
    """Every value as a quantity, held against the baseline's."""
    quantities = []
    for trial in block.trials:
        for name, given in found[trial.level].items():
            values = given if isinstance(given, tuple) else ()
            value = float(np.median(values)) if values else given
            ratio, verdict = None, ""
            against = found[block.baseline.level].get(name)
            if trial is not block.baseline and against is not None:
                base = float(np.median(against)) if isinstance(against, tuple) else against
                ratio = value / base if base else None
                if name == "resident_rise":
                    verdict = of_processes(values, against)
                elif exact(name):
                    verdict = "same" if value == base else "more" if value > base else "less"
                if verdict and trial.changes == "answer":
                    verdict = "unranked"
            quantities.append(Quantity(block, trial.level, mode, name, value, unit_of(name), ratio, verdict, values))  # type: ignore[arg-type]
    return quantities


def of_processes(values: Sequence[float], against: Sequence[float]) -> Verdict:
    """The verdict on resident memory: noisy where the processes of one trial do not agree among themselves."""
    value, base = float(np.median(values)), float(np.median(against))
    allowed = max(SAME_BYTES, SAME_SHARE * base)
    if any(max(ones) - min(ones) > allowed for ones in (values, against)):
        return "noisy"
    return "same" if abs(value - base) <= allowed else "more" if value > base else "less"


def pay_back(
    block: Block,
    mode: str,
    found: Mapping[str, Mapping[str, Any]],
    times: Mapping[str, float],
    faster: frozenset[Place],
) -> list[Quantity]:
    """After how many steps a slower start is earned back, for each level that is faster and starts more slowly than the
    baseline in every process. What a compiled variant costs to compile is in its first step."""
    quantities = []
    base = block.baseline.level
    for trial in block.trials[1:]:
        starts = [found[level].get("first_step", ()) for level in (trial.level, base)]
        if (block.id, trial.level, mode) in faster and all(starts) and min(starts[0]) > max(starts[1]):
            extra = float(np.median(starts[0]) - np.median(starts[1]))
            steps = extra / (times[base] - times[trial.level])
            quantities.append(Quantity(block, trial.level, mode, "pay_back", steps, ""))
    return quantities


def exact(name: str) -> bool:
    """Whether a quantity is the same in every process that measures it."""
    return unit_of(name) in ("bytes", "FLOP") or name == "parameters"


def exact_names(measure: Literal["memory", "cost"], mode: str) -> tuple[str, ...]:
    """The names of what a measure says exactly of a mode, without those over amounts."""
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


def ratio_in_words(ratio: float) -> str:
    """A ratio with as many digits as it takes: more is never shown as 1."""
    return next((words for digits in range(3, 18) if (words := f"{ratio:.{digits}g}") != "1"), "1")
