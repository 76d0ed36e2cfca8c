"""Blocks and records made by hand, so that what is known of their times can be asked of the analysis."""

from __future__ import annotations

from harness.records import Block, Measures, Record, Spec, Speed, Trial

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
