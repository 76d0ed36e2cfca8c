"""Synthetic runs of ablation designs, for tests."""

from __future__ import annotations

import numpy as np
from made import SPEC, record

from harness.analysis.effects import Effect, Judge, effects_of
from harness.analysis.verdicts import Verdict
from harness.records import designs
from harness.records.plan import Block, Plan, Trial
from harness.records.record import Record
from harness.records.settings import Measures, Speed

FACTORS = ("a", "b", "c")


def block_of(design: str, factors=FACTORS, without=()) -> Block:
    trials = tuple(
        Trial(name, SPEC, SPEC, (), 1, 0, "cpu", name, "rounding", on=tuple(f for f in factors if f in on))
        for name, on in designs.combinations(design, factors).items()
        if name not in without
    )
    return Block({}, trials, Measures.of(speed=Speed()))


def effects(design: str, values: dict, block: Block, decide=lambda e: (Verdict.UNDECIDED, ""), **judge) -> list[Effect]:
    factors = tuple(dict.fromkeys(factor for trial in block.trials for factor in trial.on))
    factors = tuple(sorted(factors))
    return effects_of(block, "train", "step_time", design, factors, values, "difference", Judge(decide, **judge))


def plan_of(design: str = "factorial", factors=("a", "b"), claims=(), without=(), **options) -> Plan:
    this = block_of(design, factors, without)
    return Plan("s", "q", designs.AXIS, (this,), claims=claims, design=design, factors=factors, **options)


def speed_records(this: Block, times: dict[str, float], processes: int = 5, wobble: float = 0.001) -> list[Record]:
    random = np.random.default_rng(1)
    made = []
    for number in range(processes):
        made.append(record(this, this.baseline.level, number, [1e9 * times[this.baseline.level]] * 10, role="control"))
        for trial in this.trials:
            if trial.level in times:
                made.append(
                    record(this, trial.level, number, [1e9 * times[trial.level] * random.normal(1, wobble)] * 10)
                )
    return made


#: Factor a doubles the time, b reduces it by 10 %, and their interaction adds 5 %.
TIMES = {"none": 1.0, "a": 2.0, "b": 0.9, "all": 2.0 * 0.9 * 1.05}
