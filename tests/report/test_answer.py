"""The answer to the question of a suite: one sentence, with yes or no where a claim answers the question."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made import block, record
from made_runs import plan

from harness.analysis.verdicts import Answer
from harness.records.plan import Block, Claim
from harness.records.record import Record
from harness.records.settings import Speed
from harness.report.answer import word_of
from harness.report.report import Report, report_of

SLOWER = "b is slower than a in both contexts: it takes 2.00 to 3.00 times as long for a training step."


def timed(where: str, ratio: float, **speed) -> tuple[Block, list[Record]]:
    this = replace(block("a", "b", speed=Speed(**speed)), context={"where": where})
    walls = {"a": 1e6, "b": 1e6 * ratio}
    records = [
        record(this, level, n, [wall * (1 + i / 500) for i in range(10)]) for level, wall in walls.items()
        for n in range(5)
    ]  # fmt: skip
    return this, records


def reported(catalog, ratios, claims, **speed) -> Report:
    found = [timed(where, ratio, **speed) for where, ratio in zip(("one", "two"), ratios, strict=False)]
    made = plan(*(this for this, _ in found), claims=claims)
    return report_of(made, [each for _, records in found for each in records], catalog, {})


def claim(expect: str, *, answers: bool = True) -> Claim:
    return Claim("b pays", "b", "step_time", expect, 0.05, "train", {}, "all", "ratio", answers=answers)


@pytest.mark.parametrize(
    ("expect", "ratios", "answer"),
    [
        ("lower", (2.0, 3.0), f"No: {SLOWER}"),
        ("higher", (2.0, 3.0), f"Yes: {SLOWER}"),
        (
            "lower",
            (0.5, 3.0),
            "It depends on the context: b is faster than a in one (0.500 times as long for a training step); slower in "
            "two (3.000 times as long).",
        ),
        ("lower", (2.0,), "No: b is slower than a: it takes 2.000 times as long for a training step (95 % CI 2.000–2.000)."),
    ],
)  # fmt: skip
def test_the_claim_that_answers_the_question_gives_yes_or_no(catalog, expect, ratios, answer):
    report = reported(catalog, ratios, (claim("higher", answers=False), claim(expect)))
    assert report.answer == answer


def test_an_answer_that_is_not_decided_says_why(catalog):
    report = reported(catalog, (), (claim("lower"),))
    found = replace(report.findings.claims[0], answer=Answer.UNDECIDED, true_in=(), remarks="about 9 seeds decide")
    assert word_of(found) == "Not decided (about 9 seeds decide)"


def test_without_such_a_claim_the_answer_is_what_the_first_claim_is_about(catalog):
    assert reported(catalog, (2.0, 3.0), (claim("lower", answers=False),)).answer == SLOWER


def test_a_first_look_answers_nothing(catalog):
    report = reported(catalog, (2.0, 3.0), (claim("lower"),), quick=True)
    assert report.answer.startswith("First look, nothing is decided: b is slower than a in both contexts")


def test_the_answer_is_not_repeated_in_the_summary(catalog):
    report = reported(catalog, (2.0, 3.0), ())
    assert report.answer == SLOWER
    assert SLOWER not in report.summary


def test_a_claim_names_the_least_favourable_context_and_where_it_is_true(catalog):
    (line,) = reported(catalog, (0.5, 3.0), (claim("lower"),)).claims
    assert line.sentence() == (
        'False: "b pays". b takes 3.000 times as long as a for a training step (95 % CI 3.000–3.000) in two, the least '
        "favourable of 2 contexts. Tested: at least 5 % faster. True in 1 of 2: one; false in 1 of 2: two."
    )
