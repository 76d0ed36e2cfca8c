"""Synthetic profiles, for tests of explanations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from made import block, record

from harness.analysis.explain import BlockTimes, Explanation, explain
from harness.analysis.profiles import Profiled
from harness.analysis.samples import step_time
from harness.analysis.stats import FLOOR
from harness.analysis.timing import Measured
from harness.records.record import Record

BLOCK = block("plain", "loop", "other")


FLAGS = {"flags": {"threads": 1, "oneDNN": True}, "types": ["float32"], "page_faults": 0, "subnormal": 0.0}


FUSED = [("forward", "aten::mkldnn_rnn_layer", 1, 400_000), ("forward", "aten::cat", 10, 100_000)]


LOOP = [("forward", "aten::mm", 100, 900_000), ("forward", "aten::cat", 10, 200_000)]


#: Milliseconds of a step of each level without the profiler: as in `timed(plain=3, loop=6, other=2)`.
STEPS = {"plain": 4.0, "loop": 7.0, "other": 3.0}


def profile(level: str, rows, *, between=100_000, cost=0.0, device="cpu", on=BLOCK, **more) -> Record:
    """A profile of two batches: rows of (phase, operator, calls, own nanoseconds), with 200 µs of the backward phase
    outside operators."""
    phases, names, calls, own = (list(column) for column in zip(*rows, strict=True))
    many = sum(calls)
    data = {
        "mode": "train", "device": device, "batches": [0, 1], "passes": 3, "plain": 2e6 * STEPS[level], "cost": cost,
        "operators": {
            "phase": phases, "name": names, "calls": calls, "leaves": calls, "called": [0] * len(calls),
            "own": [o + cost * c / 2 for o, c in zip(own, calls, strict=True)],
            "kernels": [0] * len(calls), "device": [0] * len(calls),
        },
        "phases": {
            "phase": ["forward", "backward"], "wall": [0, 0], "between": [between + cost * many / 2, 200_000],
            "outermost": [many, 0],
        },
        "kernels": {"phase": [], "name": [], "calls": [], "device": []},
        "counts": {"points": 16.0}, "fingerprint": FLAGS, "trace": "t/worker.pt.trace.json.gz", "trace_steps": 1,
        "trace_cut": False, **more,
    }  # fmt: skip
    return Record(on.id, level, level, "profile.train", "variant", 0, 1, "ok", "", data)


def measured(**milliseconds: float) -> Measured:
    """Ten processes in which the forward phase of each level takes the given milliseconds, and the backward phase one."""
    random = np.random.default_rng(0)
    records = []
    for number in range(10):
        for level, forward in milliseconds.items():
            noise = 1 + 0.01 * random.standard_normal(20)
            wall = (forward + 1.0) * 1e6 * noise
            phases = {"forward": list(forward * 1e6 * noise), "backward": list(1e6 * noise)}
            records.append(record(BLOCK, level, number, wall, batch=[0, 1] * 10, phases=phases))
        records.append(replace(records[-len(milliseconds)], role="control"))
    return Measured(BLOCK, [replace(r, of=len(milliseconds) + 1) for r in records], "train")


def times_of(one: Measured) -> BlockTimes:
    """The times of a block as the tables of a report show them."""
    found = [one.compare(trial, "step_time", step_time, FLOOR, null_biased=False) for trial in one.block.trials[1:]]
    compared = {each.level: each for each in found if each.size}
    baseline = one.typical(one.block.baseline.level) or 0.0
    seconds = {level: baseline * (each.size or 0.0) for level, each in compared.items()}
    return BlockTimes(one, {one.block.baseline.level: baseline, **seconds}, compared, FLOOR)


def timed(**milliseconds: float) -> BlockTimes:
    """The times of these processes."""
    return times_of(measured(**milliseconds))


def explained(plain: float, loop: float, rows=LOOP, **more) -> Explanation:
    """The explanation of these milliseconds of the forward phase; without the profiler, steps take as long."""
    a, b = (profile(*p, plain=2e6 * (ms + 1), **more) for *p, ms in (("plain", FUSED, plain), ("loop", rows, loop)))
    one = explain(timed(plain=plain, loop=loop), Profiled(a), Profiled(b), 0.0)
    assert one is not None
    return one
