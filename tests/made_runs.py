"""Synthetic runs with known step times, and their folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from made import block, record

from harness.records.plan import Block, Claim, Plan
from harness.records.record import Record
from harness.records.store import Store

FACTS = {
    "processor": "Made 1", "cores": 2, "threads": 1, "platform": "Linux", "python": "3.11.7", "torch": "2.13.0",
    "torch_cpu_capability": "AVX2", "gpus": 0, "cuda_build": None, "plugins": {"test": "0"},
    "git": {"commit": "a" * 40, "dirty": False},
}  # fmt: skip


def timed(
    block: Block, ratios: Mapping[str, float], *, seed: int = 0, processes=5, noise=0.002, share=1.0,
    at="2030-01-01T00:00:00+00:00",
) -> list:  # fmt: skip
    """Records of a block whose levels take the given multiples of the baseline's time, with noise between processes."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(processes):
        base = 1e6 * np.exp(random.normal(0, 0.01, 20))
        for level, ratio in [(block.baseline.level, 1.0), *ratios.items()]:
            wall = base * ratio * np.exp(random.normal(0, noise if level in ratios else 0.0))
            found.append(record(block, level, number, wall, share * wall))
        found.append(record(block, block.baseline.level, number, base, share * base, role="control"))
    members = len(ratios) + 2
    return [replace(each, of=members, at=at) for each in found]


def plan(*blocks: Block, claims: tuple[Claim, ...] = (), **more) -> Plan:
    return Plan("made", "Is it?", "what", blocks, claims=claims, **more)


TWO = block("plain", "other")


def failure(made: Block, level: str, measure: str = "verify") -> Record:
    return Record(made.id, level, level, measure, "variant", 0, 1, "failed", "it broke")


def store(results: Path, name: str, ratio: float, number: int, suite="made", **facts) -> Path:
    """Stores a run in a folder."""
    folder = results / suite / name
    folder.mkdir(parents=True)
    kept = Store(folder)
    kept.keep(plan(TWO))
    kept.write("records.jsonl", "")
    kept.append(
        [replace(each, at=f"2030-01-01T00:00:{number:02}+00:00") for each in timed(TWO, {"other": ratio}, seed=number)]
    )
    kept.write("machine.json", json.dumps({**FACTS, **facts}))
    return folder
