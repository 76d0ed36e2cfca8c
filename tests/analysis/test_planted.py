"""Planted effects are found, and their absence is not misreported, at the promised rates over many experiments."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from tasks import task

from harness.analysis.learning import Learned
from harness.measure.kinds.learning import learn
from harness.measure.runtime.builder import TrialBuilder
from harness.records.record import Record

#: Experiments with this number of seeds each. No two experiments share a seed.
EXPERIMENTS, HARMED, SEEDS = 60, 20, 8
TEXT = """
question: Does it harm?
base:
  model: linear
  dataset: {name: cloud, batch_size: 16, size: 32, held_out: 16}
  use: [{name: descent, lr: 0.1}]
axes: {what: {plain: {}, null: {use: ["null"]}, shuffled: {use: [shuffled]}, harmful: {use: [harmful]}}}
compare: {axis: what, baseline: plain}
measure: {learning: {steps: 6, evaluations: 1, margin: 5%}}
"""


@pytest.fixture(scope="module")
def block(planned):
    (one,) = planned(text=TEXT).blocks
    return one


@pytest.fixture(scope="module")
def trained(block, catalog) -> list[Record]:
    """All runs. There are fewer experiments for the harmful optimization, and two for the bitwise identical one."""
    builder, made = TrialBuilder(catalog), []
    experiments = {"plain": EXPERIMENTS, "null": 2, "shuffled": EXPERIMENTS, "harmful": HARMED}
    for trial in block.trials:
        for seed in range(experiments[trial.level] * SEEDS):
            data = {"seed": seed, **learn(task(block, trial.level, builder, seed=seed))}
            outcome = "ok" if data["diverged_at"] is None else "diverged"
            made.append(Record(block.id, trial.level, "", "learning", "variant", seed, 1, outcome, "", data))
    return made


def verdicts(block, trained: list[Record], level: str, **settings) -> Counter[str]:
    """How often each verdict is given."""
    found: Counter[str] = Counter()
    for number in range(max(r.replicate for r in trained if r.level == level) // SEEDS + 1):
        seeds = tuple(range(number * SEEDS, (number + 1) * SEEDS))
        learning = block.measures.learning.changed(seeds=seeds, planned=SEEDS, **settings)
        one = replace(block, measures=block.measures.with_(learning=learning))
        comparison = Learned(one, trained).compare(level, "loss")
        assert len(comparison.seeds) == SEEDS
        found[comparison.verdict] += 1
    return found


def test_false_alarms_without_a_planted_difference_are_rare(block, trained):
    """Another order of the examples changes single runs, but is neither better nor worse. At most one experiment in ten
    may report a difference: with 60 experiments at 5 %, more than 6 false alarms have a probability of 3 %; at 20 %,
    6 or fewer also have 3 %. The seeds are fixed, so the result is always the same. 300 experiments had 6.7 %."""
    found = verdicts(block, trained, "shuffled", margin=None)
    assert found.total() == EXPERIMENTS
    assert found["better"] + found["worse"] <= EXPERIMENTS // 10
    assert found["undecided"] >= EXPERIMENTS * 9 // 10


def test_no_planted_difference_is_equivalent_within_a_margin(block, trained):
    """Differences scatter by 2 to 3 %, so means of eight seeds nearly always are within 5 %."""
    scatter = [np.log(r.data["scores"]["loss"][-1]) * (1 if r.level == "shuffled" else -1) for r in trained
               if r.level in ("plain", "shuffled")]  # fmt: skip
    differences = np.array(scatter[: len(scatter) // 2]) + np.array(scatter[len(scatter) // 2 :])
    assert 0.01 < differences.std() < 0.05
    assert verdicts(block, trained, "shuffled")["equivalent"] >= EXPERIMENTS * 9 // 10
    assert verdicts(block, trained, "shuffled", margin="0.2%")["equivalent"] <= EXPERIMENTS // 10, "nor always"


def test_planted_harm_is_found(block, trained):
    """Three of ten updates have the wrong sign. With a power of 99 %, fewer than 18 of 20 detections have a probability
    of 0.1 %."""
    found = verdicts(block, trained, "harmful")
    assert found.total() == HARMED
    assert found["worse"] >= HARMED * 9 // 10
    assert not found["better"] + found["equivalent"]


def test_renamed_optimization_is_bitwise_identical(block, trained):
    """This is said, with a margin or without, since nothing was compared."""
    assert verdicts(block, trained, "null") == {"identical": 2}
    assert verdicts(block, trained, "null", margin=None) == {"identical": 2}
