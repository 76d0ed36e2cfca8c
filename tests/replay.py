"""Recorded noise, replayed as if fresh processes had measured it.

tests/data/noise_traces.npz holds paired traces of two identical variants: for each trace with mode `rand`, an array
(pairs, 4) of microseconds, wall and CPU of one and of the other; `meta` says index|environment|mode, environment "nat"
(a shared machine) or "load" (a burner on the same core).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.compare import Comparison, Measured
from harness.findings import floor_of
from harness.records import Block, Measures, Record, Spec, Speed, Trial

FILE = Path(__file__).parent / "data" / "noise_traces.npz"
SPEC = Spec("x", {}, "test", "0")


def trial(level: str, changes: str = "rounding") -> Trial:
    return Trial(level, SPEC, SPEC, (), 1, 0, "cpu", level, changes)


def block(*levels: str, speed: Speed | None = None, changes: str = "rounding") -> Block:
    trials = tuple(trial(level, "rounding" if not index else changes) for index, level in enumerate(levels))
    return Block({}, trials, Measures(speed=speed or Speed()))


def record(block: Block, level: str, number: int, wall, cpu=None, *, role="variant", batch=None, **data) -> Record:
    """A speed record of times in nanoseconds."""
    n = len(wall)
    samples = {
        "repeats": 1, "wall": [int(x) for x in wall], "cpu": [int(x) for x in (wall if cpu is None else cpu)],
        "batch": list(batch) if batch is not None else [0] * n, "round": list(range(n)), "position": [0] * n,
        "switches": [0] * n, "phases": {}, "counts": {}, "seconds": 1.0, **data,
    }  # fmt: skip
    return Record(block.id, level, level, "speed.train", role, number, 2, "ok", "", samples)


def load_traces() -> dict[str, list[np.ndarray]]:
    """The paired traces by environment."""
    found: dict[str, list[np.ndarray]] = {"nat": [], "load": []}
    with np.load(FILE) as file:
        for line in file["meta"]:
            index, environment, mode = str(line).split("|")
            if mode == "rand":
                found[environment].append(file[f"t{index}"].astype(float))
    return found


def segment(trace: np.ndarray, draw: random.Random) -> np.ndarray:
    """A simulated process: a fifth of a trace, contiguous, with its two labels swapped at random."""
    size = max(8, len(trace) // 5)
    begin = draw.randrange(len(trace) - size + 1)
    part = trace[begin : begin + size]
    return part[:, [2, 3, 0, 1]] if draw.random() < 0.5 else part


def replay(traces: Sequence[np.ndarray], processes: int, effect: float, draw: random.Random) -> Comparison:
    """One experiment: the comparison of two variants whose times differ by `effect` and by nothing else."""
    this = block("a", "b")
    records = []
    for number in range(processes):
        part = segment(draw.choice(traces), draw)
        slower = effect * np.median(part[:, [0, 1]], axis=0)
        records.append(record(this, "a", number, part[:, 0] * 1e3, part[:, 1] * 1e3))
        records.append(record(this, "b", number, (part[:, 2] + slower[0]) * 1e3, (part[:, 3] + slower[1]) * 1e3))
    measured = Measured(this, records, "train")
    return measured.compare(this.trials[1], "step_time", lambda samples: samples.seconds, floor_of([]), False)
