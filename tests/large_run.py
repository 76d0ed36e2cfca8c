"""A synthetic run of two thousand trials: 400 blocks of five levels, ten processes each, some of them with learning."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from made import learning_block, run, trial

from harness.records.plan import Block, Claim, Plan
from harness.records.record import Record
from harness.records.settings import Measures, Speed

LEVELS = ("padded", "packed", "bucketed", "segmented", "both")
#: The time of each level relative to the baseline's, without padding and with almost only padding.
ENDS = {
    "padded": (1.0, 1.0),
    "packed": (2.0, 0.6),
    "bucketed": (0.98, 0.4),
    "segmented": (1.2, 0.5),
    "both": (1.1, 0.3),
}
PHASES = {"collate": 0.1, "forward": 0.3, "backward": 0.5, "update": 0.1}
BATCHES, VISITS = 8, 5


def plan_of_many(blocks: int = 400, trained: int = 40) -> Plan:
    """The plan: cells x sizes x sources x lengths, up to the given number of blocks. The first `trained` also learn."""
    cells = ("rnn", "gru", "lstm", "loop", "scan")
    contexts = itertools.product(cells, ("64", "128", "256", "512"), ("alike", "mixed"), map(str, range(20, 220, 20)))
    made = []
    for number, (cell, size, source, length) in enumerate(itertools.islice(contexts, blocks)):
        context = {"cell": cell, "size": size, "source": source, "length": length}
        trials = tuple(replace(trial(level), fingerprint=f"{number}") for level in LEVELS)
        learning = learning_block(*LEVELS, seeds=tuple(range(5))).measures.learning if number < trained else None
        made.append(Block(context, trials, Measures.of(speed=Speed(), learning=learning)))
    says = "Packing speeds up training"
    claim = Claim(says, "packed", "step_time", "lower", 0.0, "train", {"source": ("mixed",)}, "all", "ratio")
    return Plan("many", "Which way of batching pays, where?", "batching", tuple(made), claims=(claim,))


def records_of_many(plan: Plan, processes: int = 10) -> Iterator[Record]:
    """Records of the plan, with noise from a fixed seed."""
    random = np.random.default_rng(7)
    batch = np.tile(np.arange(BATCHES), VISITS)
    rest = {
        "repeats": 1, "batch": batch.tolist(), "round": list(range(len(batch))), "position": [0] * len(batch),
        "switches": [0] * len(batch), "seconds": 0.5,
    }  # fmt: skip
    for block in plan.blocks:
        length = int(block.context["length"])
        share = length / 220 * (1.0 if block.context["source"] == "mixed" else 0.2)
        slots = [100.0 * length] * BATCHES
        counts = {"slots": slots, "tokens": [(1 - share) * slot for slot in slots], "points": slots}
        members = [*((level, "variant") for level in LEVELS), (LEVELS[0], "control")]
        for number in range(processes):
            for level, role in members:
                few, much = ENDS[level]
                time = 1e5 * length * (few ** (1 - share)) * (much**share) * np.exp(random.normal(0, 0.005))
                wall = np.exp(random.normal(0, 0.02, len(batch))) * time * (1 + batch / 20)
                samples = {
                    **rest, "wall": wall.astype(int).tolist(), "cpu": (0.98 * wall).astype(int).tolist(),
                    "phases": {name: (part * wall).astype(int).tolist() for name, part in PHASES.items()},
                    "counts": counts,
                }  # fmt: skip
                yield Record(
                    block.id, level, level, "speed.train", role, number, len(members), "ok", "", samples
                )  # fmt: skip
        if block.measures.learning:
            for level, seed in itertools.product(LEVELS, block.measures.learning.seeds):
                close = 0.7 + 0.05 * LEVELS.index(level) + random.normal(0, 0.02)
                yield run(block, level, seed, close=close, error=1 - close, loss=1 - close)
