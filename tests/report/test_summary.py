"""The answer in sentences says what the verdicts say, no more, and is short however large a run is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made import block, learning_block, record, runs
from made_effects import TIMES, plan_of, speed_records
from many import plan_of_many, records_of_many

from harness.analysis.findings import find
from harness.records.plan import Block, Claim, Plan
from harness.records.record import Record
from harness.records.settings import Measures, Speed
from harness.report.report import report_of
from harness.report.summary import MOST, TOLD, Told, answer_of, of_levels


def told(level: str, verdict: str, where: str = "here", size: float | None = 2.0, **others) -> Told:
    given = {"baseline": "plain", "by": "", "number": f"{size:.3f}" if size else "", "unit": "times as long"}
    return Told(level=level, where=where, verdict=verdict, size=size, interval="1.9 to 2.1", **{**given, **others})


def timed(*levels: str, times: dict[str, float], context=None, **speed) -> tuple[Block, list[Record]]:
    this = replace(block(*levels, speed=Speed(**speed)), context=context or {})
    walls = {level: [1e6 * times.get(level, 1.0) * (1 + n / 500) for n in range(10)] for level in levels}
    return this, [record(this, level, n, walls[level]) for level in levels for n in range(5)]


def sentences(catalog, *of: tuple[Block, list[Record]], **plan) -> tuple[str, ...]:
    made = Plan("s", "Which?", "what", tuple(this for this, _ in of), **plan)
    return answer_of(find(made, [r for _, records in of for r in records], catalog))


def test_one_context(catalog):
    found = sentences(catalog, timed("a", "b", "c", "d", times={"b": 2.0, "c": 0.5}))
    assert found == (
        "b is slower than a (2.000 times as long, 2.000 to 2.000).",
        "c is faster than a (0.500 times as long, 0.500 to 0.500).",
        "d is equivalent to a (1.000 times as long, 1.000 to 1.000).",
    )


def test_verdicts_that_differ_between_contexts_are_told_apart(catalog):
    of = [timed("a", "b", times={"b": time}, context={"n": name}) for name, time in (("x", 2), ("y", 3), ("z", 0.5))]
    assert sentences(catalog, *of) == (
        "b is faster than a in z (0.500 times as long, 0.500 to 0.500); slower in x and y "
        "(from 2.000 times as long in x to 3.000 in y).",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ([told("b", "undecided", size=1.01)], "b is not told apart from plain (1.010 times as long, 1.9 to 2.1)."),
        ([told("b", "invalid", size=None, reason="failed: no")], "b is not compared with plain (failed: no)."),
        ([told("b", "insufficient", size=1.0)], "b is seen under too few seeds to be told from plain (1.000 times as long, 1.9 to 2.1)."),
        ([told("b", "unranked")], "b is not ranked against plain (2.000 times as long, 1.9 to 2.1)."),
        ([told("b", "better", by="loss", unit="times as much")], "By loss, b is better than plain (2.000 times as much, 1.9 to 2.1)."),
        (
            [told("b", "slower", w, 1.5 + n) for n, w in enumerate("wxyz")],
            "b is slower than plain in all 4 contexts (from 1.500 times as long in w to 4.500 in z).",
        ),
        (
            [*(told("b", "slower", w) for w in "wxyz"), told("b", "faster", "v", 0.5)],
            "b is faster than plain in v (0.500 times as long, 1.9 to 2.1); "
            "slower in 4 of 5 contexts (from 2.000 times as long in w to 2.000 in z).",
        ),
        (
            [told("b", "slower", "x"), told("b", "slower", "y", baseline="other")],
            "b is slower than the baseline in both contexts (from 2.000 times as long in x to 2.000 in y).",
        ),
    ],
)  # fmt: skip
def test_sentences(found, sentence):
    assert of_levels(found) == (sentence,)


def test_break_evens_are_told_last_and_not_at_a_first_look(catalog):
    for quick in (False, True):
        of = [timed("a", "b", times={"b": 20 / n}, context={"n": str(n)}, quick=quick) for n in (10, 15, 30, 40)]
        found = sentences(catalog, *of)
        assert found[-1].startswith("Along n, b is faster than a above 21.2 (21.2 to 21.2) in train.") != quick
    closed = [timed("a", "b", times={"b": time}, context={"n": str(n)}) for n, time in ((1, 2), (2, 2), (3, 2))]
    assert len(sentences(catalog, *closed)) == 1


def test_a_first_look_says_that_it_is_one(catalog):
    (sentence,) = sentences(catalog, timed("a", "b", times={"b": 2.0}, quick=True))
    assert sentence.startswith("A first look, which decides nothing: b is slower than a (2.000 times")


def test_many_levels_are_not_all_told():
    found = of_levels([told(f"level {n}", "slower") for n in range(MOST + 2)])
    assert len(found) == MOST + 1
    assert found[-1] == "2 more comparisons are in the tables."


def test_claims_answer_for_themselves(catalog):
    claims = tuple(
        Claim(says, "b", "step_time", expect, 0.0, "train", {}, "all", "ratio")
        for says, expect in (("It pays.", "lower"), ("It costs", "higher"))
    )
    assert sentences(catalog, timed("a", "b", times={"b": 2.0}), claims=claims) == (
        "Holds: It costs (2.000 times, 2.000 to 2.000).", "Fails: It pays (2.000 times, 2.000 to 2.000)."
    )  # fmt: skip


def test_where_no_claim_is_decided_the_comparisons_are_told_too(catalog):
    claim = Claim("It pays", "b", "step_time", "lower", 0.0, "train", {}, "all", "ratio")
    found = sentences(catalog, timed("a", "b", times={"b": 2.0}, quick=True), claims=(claim,))
    assert found[0].startswith("Undecided: It pays (2.000 times, 1.9")
    assert found[1].startswith("A first look")


def test_what_was_learned(catalog):
    this = learning_block("a", "b")
    close = {"a": [0.5, 0.52, 0.49, 0.51, 0.5, 0.5, 0.51, 0.5, 0.49, 0.5], "b": [0.7 + n / 1000 for n in range(10)]}
    records = [r for level, values in close.items() for r in runs(this, level, close=values)]
    (sentence,) = sentences(catalog, (this, records))
    assert sentence.startswith("By close, b is better than a (+20.2 points, +19.")


def test_an_ablation_tells_effects(catalog):
    made = plan_of()
    report = report_of(made, speed_records(made.blocks[0], TIMES), catalog, {})
    assert report.answer
    assert all(sentence.startswith("Effects on step time (ratio, ") for sentence in report.answer)


def test_nothing_measured_yet_and_nothing_that_worked(catalog):
    this, _ = timed("a", "b", times={})
    assert sentences(catalog, (this, [])) == ("b is not compared with a (not measured).",)
    failed = Record(this.id, "a", "a", "verify", "variant", 0, 1, "failed", "no such file")
    alone = Block({}, this.trials, Measures())
    assert sentences(catalog, (alone, [])) == ("Nothing has been compared yet.",)
    assert sentences(catalog, (alone, [replace(failed, block=alone.id)])) == (
        "Nothing could be compared: no such file.",
    )


def test_a_large_run_has_a_short_answer(catalog):
    plan = replace(plan_of_many(60, trained=2), claims=())
    found = answer_of(find(plan, list(records_of_many(plan, processes=5)), catalog))
    assert len(found) <= MOST + 1 + TOLD
    assert sum(map(len, found)) < 3000
    assert found[-1].startswith("Along length, ")
    assert " of 60 contexts" in found[0]
