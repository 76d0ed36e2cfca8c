"""Synthetic records of memory and cost, and their findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from harness.analysis.quantities import KindFindings, QuantityFinding, find_quantities
from harness.builtin.cost import Cost
from harness.builtin.memory import Memory
from harness.plugins.catalog import core_catalog
from harness.records.plan import Block, Plan
from harness.records.record import Record
from harness.records.settings import Measures


def memory(peak: list[int], kept: list[int], **more) -> dict:
    """The data that `memory` stores for a trial."""
    counts = {"points": [4.0] * len(peak)}
    fixed = {"parameters": 10, "parameter_bytes": 40, "optimizer_bytes": 80}
    return {**fixed, "peak": {"forward": peak, "step": peak}, "kept": kept, "counts": counts, "device": "cpu", **more}


def measured(block: Block, *modes: str) -> Block:
    """The block with memory and cost measured in these modes."""
    return replace(block, measures=Measures.of(memory=Memory(of=modes), cost=Cost(of=modes)))


def kinds_of(
    block: Block, records: Mapping[str, Iterable[tuple[str, dict]]], times: Mapping[str, float], mode: str = "train"
) -> dict[str, KindFindings]:
    """The findings of memory and cost in a block, from (measure, data) by level; `times` are step times in seconds."""
    stored = [
        Record(block.id, level, level, measure, "variant", number, 1, "ok", "", data)
        for level, some in records.items()
        for number, (measure, data) in enumerate(some)
    ]
    places = {(block.id, level, mode): time for level, time in times.items()}
    base = times.get(block.baseline.level, 0.0)
    faster = frozenset(place for place, time in places.items() if time < base)
    problems: list[str] = []
    found = find_quantities(core_catalog(), Plan("s", "q", "what", (block,)), stored, places, faster, problems)
    assert not problems
    return {kind.data.kind.name: kind for kind in found}


def quantities(kinds: Mapping[str, KindFindings]) -> list[QuantityFinding]:
    """All quantities of all kinds."""
    return [one for kind in kinds.values() for one in kind.quantities]
