"""Comparison of scores after training and of exact amounts between two runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made import learning_block, runs
from made_runs import FACTS, TWO

from harness.builtin.memory import Memory
from harness.records.record import Record
from harness.records.settings import Measures
from harness.tools.comparison.comparison import ComparisonOptions, compare_runs
from harness.tools.comparison.gate import gate_of
from harness.tools.comparison.pairs import RunData


def learned(side, values, **settings):
    made = learning_block("plain", "other", **{"margin": 0.01, "margin_of": "difference", **settings})
    base = [0.5 + 0.01 * i for i in range(len(values))]
    return side([*runs(made, "plain", close=base), *runs(made, "other", close=values)], made)


SCORES = [0.60, 0.62, 0.61, 0.63, 0.64, 0.62]


@pytest.mark.parametrize(
    ("values", "verdict", "code"),
    [
        (SCORES, "same", 0),
        ([score + 0.001 * (-1) ** i for i, score in enumerate(SCORES)], "equivalent", 0),
        ([score - 0.05 + 0.002 * i for i, score in enumerate(SCORES)], "worse", 1),
        ([score + 0.05 + 0.002 * i for i, score in enumerate(SCORES)], "better", 0),
        ([score + 0.1 * (-1) ** i for i, score in enumerate(SCORES)], "undecided", 4),
        (SCORES[:4], "insufficient", 4),
    ],
)
def test_scores_are_paired_by_seed(side, values, verdict, code):
    a, b = learned(side, SCORES), learned(side, values)
    comparison = compare_runs(a, b, ComparisonOptions())
    found = {change.level: change for change in comparison.scores}
    assert found["other"].verdict == verdict
    assert gate_of(comparison).code == code
    if verdict != "insufficient":
        assert found["plain"].verdict == "same"
        assert found["plain"].a == pytest.approx(0.525)


def test_other_seeds_are_two_samples(side):
    made = learning_block("plain", "other", margin=0.01, margin_of="difference", seeds=tuple(range(12)), planned=12)

    def under(numbers, less: float) -> RunData:
        every = [*runs(made, "plain", close=[0.5] * 12), *runs(made, "other", close=[s - less for s in SCORES * 2])]
        return side([each for each in every if each.data["seed"] in numbers], made)

    comparison = compare_runs(under(range(6), 0.0), under(range(6, 12), 0.1), ComparisonOptions())
    (other,) = [change for change in comparison.scores if change.level == "other"]
    assert (other.verdict, other.flags) == ("worse", ("other seeds",))
    assert other.size == pytest.approx(-0.1)
    assert gate_of(comparison).code == 1


def test_training_length_and_machine_of_timed_training_must_be_equal(side):
    a = learned(side, SCORES)
    assert compare_runs(a, learned(side, SCORES, steps=40), ComparisonOptions()).scores[0].verdict == "not comparable"
    timed_ones = [learned(side, SCORES, steps=0, seconds=3.0) for _ in range(2)]
    assert compare_runs(*timed_ones, ComparisonOptions()).scores[0].verdict == "same"
    other = replace(timed_ones[1], facts={**FACTS, "processor": "Made 2"})
    (score, *_) = compare_runs(timed_ones[0], other, ComparisonOptions()).scores
    assert score.verdict == "not comparable"
    assert "training ends after a time" in score.reason
    # steps are steps on any machine
    assert compare_runs(a, replace(a, facts=other.facts), ComparisonOptions()).scores[0].verdict == "same"


def memory_run(side, peak: int, kept: int = 100) -> RunData:
    made = replace(TWO, measures=Measures.of(memory=Memory(of=("train",))))
    data = {"parameters": 9, "peak": {"step": [peak]}, "kept": [kept], "counts": {}}
    return side(
        [
            Record(made.id, level, level, "memory.train", "variant", 0, 1, "ok", "", data)
            for level in ("plain", "other")
        ],
        made,
    )  # fmt: skip


def test_exact_amounts_are_compared_within_the_margin(side):
    a = memory_run(side, 1000)
    comparison = compare_runs(a, memory_run(side, 1010, kept=0), ComparisonOptions())
    found = {(c.level, c.metric): c.verdict for c in comparison.amounts}
    assert found["other", "peak_bytes"] == "more"
    assert found["other", "parameters"] == "same"
    assert found["other", "kept_bytes"] == "less"
    assert gate_of(comparison).code == 0  # one percent is within the margin
    assert gate_of(compare_runs(a, memory_run(side, 1030), ComparisonOptions())).code == 1
    assert gate_of(compare_runs(a, memory_run(side, 1030), ComparisonOptions(margin=0.05))).code == 0
    assert gate_of(compare_runs(a, memory_run(side, 1030), ComparisonOptions(metrics=("parameters",)))).code == 0
    grown = gate_of(compare_runs(memory_run(side, 1000, kept=0), a, ComparisonOptions()))
    assert grown.code == 1
    assert grown.worse[0] == "all · train · plain, kept_bytes: more, A has none"
