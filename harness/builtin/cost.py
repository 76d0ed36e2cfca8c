"""The kind of measurement `cost`: its settings, its quantities from what was stored, its section of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from harness.analysis.profiles import SUBNORMAL
from harness.analysis.quantities import KindData, KindFindings, TrialData, per_amount
from harness.plan.estimates import PROCESS
from harness.plugins.rehearsal import Rehearsal
from harness.records.plan import Block
from harness.records.settings import StepSettings
from harness.report.cells import amount, section_words
from harness.report.table import Section
from harness.report.tables.quantities import quantity_tables

WORDS = section_words(
    "What a step computes, and what a start costs. In brackets: the ratio to the baseline's.",
    ("operations", "those of matrix products; a multiplication and an addition count as two"),
    ("of GEMM peak", "the share of the speed that a product of large matrices reaches on this machine"),
    ("built, first step", "seconds since the process was forked with torch and the data loaded, median of three"),
    ("pays back after", "the number of steps after which a faster level has made up for its slower start"),
)
COLUMNS = [
    "flops", "flops/", "flops_per_second", "share_of_gemm_peak", "page_faults", "subnormal_share", "built",
    "first_step", "pay_back",
]  # fmt: skip


#: A step whose operations are counted, as a multiple of a plain step; and the seconds of the products of matrices.
COUNTED, PRODUCTS = 5.0, 0.5


class Cost(StepSettings):
    """What a step computes, after timing: operations, page faults, subnormal numbers; and the cost of a start."""


def seconds(settings: Cost, block: Block, rehearsal: Rehearsal) -> float:
    """Estimates its time: passes that count page faults and operations, products of matrices, and three cold starts."""
    batches, total = block.measures.work_set_batches, 0.0
    for mode in settings.of or ():
        for level in rehearsal.levels.values():
            passes = 4 * level.first[mode] + (5 + COUNTED) * level.step[mode]
            total += 4 * (rehearsal.fork + level.build + PROCESS) + PRODUCTS + batches * passes
    return total


def analyse(data: KindData) -> Iterator[tuple[TrialData, dict[str, Any]]]:
    """Operations and their speed, page faults, subnormal numbers, and how long a start takes."""
    peak = gemm_peaks(data)
    found = {trial.place: quantities_of(trial, peak) for trial in data.trials}
    by_place = {trial.place: trial for trial in data.trials}
    for trial in data.trials:
        baseline = by_place[trial.block.id, trial.block.baseline.level, trial.mode]
        steps = pay_back(trial, baseline, found[trial.place], found[baseline.place])
        yield trial, found[trial.place] | ({"pay_back": steps} if steps is not None else {})


def gemm_peaks(data: KindData) -> dict[str, float]:
    """The speed of a float32 product of square matrices by device, in FLOP/s: the fastest of all processes, since
    other programs only make it slower."""
    found: dict[str, float] = {}
    for trial in data.trials:
        for stored in trial.stages.get("cost", ()):
            product = stored["product"]
            seconds = float(np.quantile(product["nanoseconds"], 0.1)) * 1e-9
            found[stored["device"]] = max(found.get(stored["device"], 0.0), 2.0 * float(product["size"]) ** 3 / seconds)
    return found


def quantities_of(trial: TrialData, peak: Mapping[str, float]) -> dict[str, Any]:
    """The quantities of one trial."""
    found: dict[str, Any] = {}
    for stored in trial.stages.get("cost", ()):
        found |= operations(stored)
        if "flops" in found and trial.step_time:
            found["flops_per_second"] = found["flops"] / trial.step_time
            found["share_of_gemm_peak"] = found["flops_per_second"] / peak[stored["device"]]
    if "cold" in trial.stages:
        found["built"] = tuple(stored["built"] for stored in trial.stages["cold"])
        found["first_step"] = tuple(stored["ends"][0] for stored in trial.stages["cold"])
    return found


def operations(stored: Mapping[str, Any]) -> dict[str, float]:
    """Operations a step, unless some operator has no formula; page faults a step; the share of subnormal numbers among
    the non-zero numbers that the backward pass wrote."""
    found: dict[str, float] = {}
    if not stored["uncounted"]:
        batches = len(stored["faults"])
        phases = {phase: sum(values) / batches for phase, values in stored["flops"].items()}
        found["flops"] = sum(phases.values())
        found |= {f"{phase}_flops": value for phase, value in phases.items()}
        found |= per_amount("flops", found["flops"] * batches, stored["counts"])
    found["page_faults"] = float(np.mean(stored["faults"]))
    if stored["written"]:
        found["subnormal_share"] = stored["subnormal"] / stored["written"]
    return found


def pay_back(trial: TrialData, baseline: TrialData, own: Mapping[str, Any], base: Mapping[str, Any]) -> float | None:
    """The number of steps after which a slower start has paid off. None unless the trial is faster, and starts more
    slowly than the baseline in every process. A compiled variant compiles in its first step."""
    starts = [values.get("first_step", ()) for values in (own, base)]
    if not trial.faster or not all(starts) or min(starts[0]) <= max(starts[1]):
        return None
    assert trial.step_time is not None
    assert baseline.step_time is not None
    return float(np.median(starts[0]) - np.median(starts[1])) / (baseline.step_time - trial.step_time)


def section(found: KindFindings) -> Section | None:
    """Operations and their speed, page faults, subnormal numbers, a start and when it pays off."""
    tables = quantity_tables(found, "cost", lambda mode: COLUMNS, notes)
    return Section("Cost", WORDS, tables, why=True) if tables else None


def notes(found: KindFindings, trials: list[TrialData]) -> Iterator[str]:
    """The peak that speeds are compared with, what was not counted, and what slows arithmetic down."""
    devices = {trial.trial.device.split(":")[0] for trial in trials}
    for device, speed in gemm_peaks(found.data).items():
        if device in devices:
            words = amount(speed, "FLOP/s")
            yield f"GEMM peak: products of large square float32 matrices run at {words} here ({device})."
    for trial in trials:
        uncounted = [name for stored in trial.stages.get("cost", ()) for name in stored["uncounted"]]
        if uncounted:
            yield f"The operations of {trial.trial.level} are not counted: {', '.join(uncounted)} has no formula."
    quantities = found.of(trials[0].block, trials[0].mode).values()
    subnormal = [q.level for q in quantities if q.metric == "subnormal_share" and q.value > SUBNORMAL]
    if subnormal:
        yield (
            f"Subnormal numbers in the backward pass of {', '.join(subnormal)}: many processors compute with these "
            "several times more slowly, which distorts the times. Call torch.set_flush_denormal(True) before anything "
            "is computed, and compare again."
        )
