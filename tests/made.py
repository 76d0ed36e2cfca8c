"""Synthetic blocks and records with known times and scores, for tests of the analysis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from harness.plugins.parts import Score
from harness.plugins.scores import declared
from harness.records.plan import Block, Spec, Trial
from harness.records.record import Record
from harness.records.settings import Learning, Measures, Speed

SPEC = Spec("x", {}, "test", "0")


def trial(level: str, changes: str = "rounding") -> Trial:
    return Trial(level, SPEC, SPEC, (), 1, 0, "cpu", level, changes)


def block(*levels: str, speed: Speed | None = None, changes: str = "rounding") -> Block:
    trials = tuple(trial(level, "rounding" if not index else changes) for index, level in enumerate(levels))
    return Block({}, trials, Measures.of(speed=speed or Speed()))


def record(block: Block, level: str, number: int, wall, cpu=None, *, role="variant", batch=None, **data) -> Record:
    """A speed record of times in nanoseconds. Samples with less CPU time than wall time were preempted, unless
    `switches` says otherwise."""
    n = len(wall)
    samples = {
        "repeats": 1, "wall": [int(x) for x in wall], "cpu": [int(x) for x in (wall if cpu is None else cpu)],
        "batch": list(batch) if batch is not None else [0] * n, "round": list(range(n)), "position": [0] * n,
        "phases": {}, "counts": {}, "seconds": 1.0, **data,
    }  # fmt: skip
    samples.setdefault("switches", [int(c < w) for w, c in zip(samples["wall"], samples["cpu"], strict=True)])
    return Record(block.id, level, level, "speed.train", role, number, 2, "ok", "", samples)


#: One score of each direction: a share (higher is better) and an amount (lower is better). Every model also has a loss.
SCORES = {"close": Score("higher", "difference", "share that is close"), "error": Score("lower", "ratio", "error")}


def learning_block(*levels: str, on: Mapping[str, tuple[str, ...]] | None = None, speed=None, **settings) -> Block:
    """A block with learning: 20 steps, evaluated four times, ten seeds, unless the settings differ."""
    given = {"metric": "close", "steps": 20, "evaluations": 4, "scores": declared(SCORES), "planned": 10, **settings}
    trials = tuple(replace(trial(level), on=(on or {}).get(level, ())) for level in levels)
    return Block({}, trials, Measures.of(speed=speed, learning=Learning(**given)))


def run(
    block: Block, level: str, seed: int, *, diverged_at: int | None = None, evaluated=(0, 5, 10, 15, 20), steps=None,
    planned=20, **scores,
) -> Record:  # fmt: skip
    """A run with these scores. Each is a series, or the value after the last step; the values before it are those of an
    untrained model, 0.1, or 2 if lower is better. By other scores nothing is learned."""
    untrained = {name: 0.1 if score.better == "higher" else 2.0 for name, score in SCORES.items()} | {"loss": 2.0}
    series = {
        name: [untrained[name]] * (len(evaluated) - 1) + [v] if np.isscalar(v) else list(v)
        for name, v in scores.items()
    }
    length = max(map(len, series.values()))
    levels = [trial.level for trial in block.trials]
    number = seed * len(levels) + levels.index(level)
    data = {
        "seed": seed, "loss": [1 + number / 100],
        "scores": {name: series.get(name, [untrained[name]] * length) for name in ("loss", *SCORES)},
        "evaluated": list(evaluated[:length]), "steps": evaluated[length - 1] if steps is None else steps,
        "planned_steps": planned, "train": 48, "test": 24, "diverged_at": diverged_at,
    }  # fmt: skip
    outcome = "ok" if diverged_at is None else "diverged"
    return Record(block.id, level, level, "learning", "variant", number, 1, outcome, "", data)


def runs(block: Block, level: str, **scores) -> list[Record]:
    """A run for each value of these scores, under the seeds 0, 1 and so on."""
    each = [dict(zip(scores, values, strict=True)) for values in zip(*scores.values(), strict=True)]
    return [run(block, level, seed, **these) for seed, these in enumerate(each)]
