"""The kind of measurement `memory`: its settings, its quantities from what was stored, its section of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.analysis.quantities import KindData, KindFindings, TrialData, per_amount
from harness.builtin import PHASES
from harness.plan.estimates import PROCESS
from harness.plugins.rehearsal import Rehearsal
from harness.records.plan import Block
from harness.records.settings import StepSettings
from harness.report.cells import section_words
from harness.report.table import Section
from harness.report.tables.quantities import quantity_tables

WORDS = section_words(
    "Memory of a step on the largest batch. In brackets: the ratio to the baseline's.",
    ("peak", "the most bytes that torch's allocator handed out beyond those before the step; compared exactly"),
    ("kept for backward", "the bytes that autograd saves for the backward pass; compared exactly"),
    ("resident", "the rise of the process's own memory, median of three processes; the same within 1 MiB or 2 %"),
)


#: A step under the memory profiler, as a multiple of a plain step.
PROFILED = 2.0


class Memory(StepSettings):
    """Memory that a step takes, after timing: peaks in torch's allocator, what backward saves, the resident rise."""


def seconds(settings: Memory, block: Block, rehearsal: Rehearsal) -> float:
    """Estimates its time: two passes under a memory profiler and one that counts what backward saves, and twice in
    each of three processes the resident memory."""
    batches, total = block.measures.work_set_batches, 0.0
    for mode in settings.of or ():
        for level in rehearsal.levels.values():
            passes = 3 * level.first[mode] + (2 * PROFILED + 4) * level.step[mode]
            total += 4 * (rehearsal.fork + level.build + PROCESS) + batches * passes
    return total


def analyse(data: KindData) -> Iterator[tuple[TrialData, dict[str, Any]]]:
    """What is allocated, the peaks and what backward saves (of the largest batch), and the resident rise."""
    for trial in data.trials:
        found: dict[str, Any] = {}
        for stored in trial.stages.get("memory", ()):
            found |= allocated(stored)
        if "resident" in trial.stages:
            found["resident_rise"] = tuple(resident_rise(stored) for stored in trial.stages["resident"])
        yield trial, found


def allocated(stored: Mapping[str, Any]) -> dict[str, float]:
    """The quantities of torch's allocator; peaks and saved bytes also for each counted amount of the work set."""
    peak, saved = stored["peak"], stored["kept"]
    found = {name: stored[name] for name in ("parameters", "parameter_bytes", "optimizer_bytes") if name in stored}
    if saved:
        found["kept_bytes"] = max(saved)
        found |= per_amount("kept_bytes", sum(saved), stored["counts"])
    found["peak_bytes"] = max(peak["step"])
    found |= {f"{phase}_peak_bytes": max(values) for phase, values in peak.items() if phase != "step"}
    return found | per_amount("peak_bytes", sum(peak["step"]), stored["counts"])


def resident_rise(stored: Mapping[str, int]) -> int:
    """The rise of anonymous memory after building, in bytes. Pages of files are subtracted: they belong to libraries
    that the step was the first to use."""
    return (stored["peak"] - stored["peak_file"]) - (stored["mark"] - stored["mark_file"])


def section(found: KindFindings) -> Section | None:
    """Parameters, peaks, what backward saves, resident memory; the peaks of single phases as details."""

    def main(mode: str) -> list[str]:
        per = "kept_bytes" if mode == "train" else "peak_bytes"
        return ["parameters", "optimizer_bytes", "peak_bytes", "kept_bytes", f"{per}/", "resident_rise"]

    tables = quantity_tables(found, "memory", main)
    peaks = quantity_tables(found, "peak of each phase", lambda mode: [f"{phase}_peak_bytes" for phase in PHASES])
    return Section("Memory", WORDS, tables, peaks, why=True) if tables else None
