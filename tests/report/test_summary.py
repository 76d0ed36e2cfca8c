"""The summary states the verdicts in sentences and is short for any size of run."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from large_run import plan_of_many, records_of_many
from made import block, learning_block, record, runs
from made_effects import TIMES, plan_of, speed_records

from harness.analysis.finding import Finding
from harness.analysis.findings import find
from harness.analysis.learning import LearningComparison
from harness.analysis.stats import Estimate
from harness.analysis.timing import Comparison
from harness.analysis.verdicts import Verdict
from harness.plugins.parts import Score
from harness.records.plan import Block, Claim, Plan
from harness.records.record import Record
from harness.records.settings import Measures, Speed
from harness.report.report import report_of
from harness.report.summary import MOST, MOST_BREAK_EVENS, level_sentences, summary_of


def compared(
    level: str, verdict: str, where: str = "here", size: float | None = 2.0, baseline: str = "plain", **others
) -> Finding:
    """A comparison of step times with exactly this ratio."""
    this = replace(block(baseline, level), context={"where": where})
    estimate = None if size is None else Estimate(math.log(size), 0.0, 9, 10)
    return Comparison(
        block=this, level=level, mode="train", metric="step_time", verdict=Verdict(verdict), estimate=estimate, **others
    )


def scored(level: str, verdict: str) -> Finding:
    return LearningComparison(
        block=block("plain", level), level=level, mode="learning", metric="loss", verdict=Verdict(verdict),
        estimate=Estimate(math.log(2), 0.0, 9, 10), score=Score(), seeds=(), values=(), baseline_values=(),
    )  # fmt: skip


def timed(*levels: str, times: dict[str, float], context=None, **speed) -> tuple[Block, list[Record]]:
    this = replace(block(*levels, speed=Speed(**speed)), context=context or {})
    walls = {level: [1e6 * times.get(level, 1.0) * (1 + n / 500) for n in range(10)] for level in levels}
    return this, [record(this, level, n, walls[level]) for level in levels for n in range(5)]


def sentences(catalog, *of: tuple[Block, list[Record]], **plan) -> tuple[str, ...]:
    """The summary without the sentence about much slower levels, which has a test of its own."""
    return tuple(one for one in whole_summary(catalog, *of, **plan) if "To see why: " not in one)


def whole_summary(catalog, *of: tuple[Block, list[Record]], **plan) -> tuple[str, ...]:
    made = Plan("s", "Which?", "what", tuple(this for this, _ in of), **plan)
    return summary_of(find(made, [r for _, records in of for r in records], catalog))


def test_a_much_slower_level_points_to_explain(catalog):
    times = {"b b": 2.5, "c": 2.1, "d": 1.9}
    this, records = timed("a", "b b", "c", "d", times=times)
    assert whole_summary(catalog, (this, records))[-1] == (
        "b b takes 2.5× as long as a, and 1 more level is at least 2× as slow. To see why: add `profile: {}` to "
        "`measure` and run it again; then harness explain s a 'b b'"
    )
    profiled = replace(this, measures=Measures(kinds={**this.measures.kinds, "profile": {}}))
    found = whole_summary(catalog, (profiled, [replace(one, block=profiled.id) for one in records]))
    assert found[-1].endswith("To see why: harness explain s a 'b b'")
    assert not any("To see why" in one for one in whole_summary(catalog, timed("a", "d", times=times)))


def test_one_context(catalog):
    found = sentences(catalog, timed("a", "b", "c", "d", times={"b": 2.0, "c": 0.5}))
    assert found == (
        "b is slower than a: it takes 2.000 times as long for a training step (95 % CI 2.000–2.000).",
        "c is faster than a: it takes 0.500 times as long for a training step (95 % CI 0.500–0.500).",
        "d is equivalent to a: it takes 1.000 times as long for a training step (95 % CI 1.000–1.000).",
    )


def test_summary_separates_contexts_with_different_verdicts(catalog):
    of = [timed("a", "b", times={"b": time}, context={"n": name}) for name, time in (("x", 2), ("y", 3), ("z", 0.5))]
    assert sentences(catalog, *of) == (
        "b is faster than a in z (0.500 times as long for a training step); slower in x and y (2.00 to 3.00 times as "
        "long).",
    )


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ([compared("b", "undecided", size=1.01)], "b is not distinguishable from plain: it takes 1.010 times as long for a training step (95 % CI 1.010–1.010)."),
        ([compared("b", "invalid", size=None, reason="failed: no")], "b is not compared with plain: failed: no."),
        ([compared("b", "insufficient", size=1.0)], "b is compared over too few seeds with plain: it takes 1.000 times as long for a training step (95 % CI 1.000–1.000)."),
        ([compared("b", "unranked")], "b is not ranked against plain: it takes 2.000 times as long for a training step (95 % CI 2.000–2.000)."),
        ([scored("b", "better")], "b is better than plain: its loss is 2.000 times that of plain (95 % CI 2.000–2.000)."),
        (
            [compared("b", "slower", w, 1.5 + n) for n, w in enumerate("wxyz")],
            "b is slower than plain in all 4 contexts: it takes 1.50 to 4.50 times as long for a training step.",
        ),
        (
            [*(compared("b", "slower", w) for w in "wxyz"), compared("b", "faster", "v", 0.5)],
            "b is faster than plain in v (0.500 times as long for a training step); "
            "slower in 4 of 5 contexts (2.00 times as long).",
        ),
        (
            [compared("b", "slower", "x"), compared("b", "slower", "y", baseline="other")],
            "b is slower than the baseline in both contexts: it takes 2.00 times as long for a training step.",
        ),
    ],
)  # fmt: skip
def test_sentences(found, sentence):
    assert level_sentences(found) == [sentence]


def test_break_evens_come_last_and_not_in_a_first_look(catalog):
    for quick in (False, True):
        of = [timed("a", "b", times={"b": 20 / n}, context={"n": str(n)}, quick=quick) for n in (10, 15, 30, 40)]
        found = sentences(catalog, *of)
        assert found[-1].startswith("Along n, b is faster than a above 21.2 (21.2 to 21.2) in train.") != quick
    closed = [timed("a", "b", times={"b": time}, context={"n": str(n)}) for n, time in ((1, 2), (2, 2), (3, 2))]
    assert len(sentences(catalog, *closed)) == 1


def test_first_look_is_labelled(catalog):
    (sentence,) = sentences(catalog, timed("a", "b", times={"b": 2.0}, quick=True))
    assert sentence.startswith("First look, nothing is decided: b is slower than a: it takes 2.000 times")


def test_summary_omits_some_of_many_levels():
    found = level_sentences([compared(f"level {n}", "slower") for n in range(MOST + 2)])
    assert len(found) == MOST + 1
    assert found[-1] == "2 more comparisons are in the tables."


def test_summary_leaves_claims_out(catalog):
    claim = Claim("It pays.", "b", "step_time", "lower", 0.0, "train", {}, "all", "ratio")
    assert sentences(catalog, timed("a", "b", times={"b": 2.0}), claims=(claim,)) == ()
    (found,) = sentences(catalog, timed("a", "b", times={"b": 2.0}, quick=True), claims=(claim,))
    assert found.startswith("First look")


def test_summary_of_learning(catalog):
    this = learning_block("a", "b")
    close = {"a": [0.5, 0.52, 0.49, 0.51, 0.5, 0.5, 0.51, 0.5, 0.49, 0.5], "b": [0.7 + n / 1000 for n in range(10)]}
    records = [r for level, values in close.items() for r in runs(this, level, close=values)]
    (sentence,) = sentences(catalog, (this, records))
    assert sentence.startswith("b is better than a: its close differs by +20.2 points (95 % CI +19.")


def test_summary_of_an_ablation_has_effects(catalog):
    made = plan_of()
    report = report_of(made, speed_records(made.blocks[0], TIMES), catalog, {})
    assert report.summary
    assert all(sentence.startswith("Effects on the time of a training step (ratio, ") for sentence in report.summary)


def test_summary_without_results_and_with_failures_only(catalog):
    this, _ = timed("a", "b", times={})
    assert sentences(catalog, (this, [])) == ("b is not compared with a: not measured.",)
    failed = Record(this.id, "a", "a", "verify", "variant", 0, 1, "failed", "no such file")
    alone = Block({}, this.trials, Measures())
    assert sentences(catalog, (alone, [])) == ("Nothing has been compared yet.",)
    assert sentences(catalog, (alone, [replace(failed, block=alone.id)])) == (
        "Nothing could be compared: no such file.",
    )


def test_large_run_has_a_short_summary(catalog):
    plan = replace(plan_of_many(60, trained=2), claims=())
    found = summary_of(find(plan, list(records_of_many(plan, processes=5)), catalog))
    assert len(found) <= MOST + 1 + MOST_BREAK_EVENS
    assert sum(map(len, found)) < 3000
    assert found[-1].startswith("Along length, ")
    assert " of 60 contexts" in found[0]
