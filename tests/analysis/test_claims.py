"""Answers to claims: limits, values of single levels, differences of exactly zero, flags, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from made import block, learning_block, record, run, runs
from made_runs import plan, timed

from harness.analysis.claims import ClaimResult, settle
from harness.analysis.findings import blocks_to_remeasure, find
from harness.analysis.stats import estimate
from harness.analysis.timing import Comparison
from harness.analysis.verdicts import FORBID_EQUIVALENCE, Flag, Verdict
from harness.records.plan import Block, Claim
from harness.suite.expect import parse_expect

TIMED = block("a", "b")
FAST, SLOW, SAME = [0.69, 0.70, 0.68, 0.69, 0.69], [1.2, 1.21, 1.19, 1.2, 1.2], [1.0, 1.001, 0.999, 1.0, 1.0]
JUST_BELOW = [1.010, 1.025, 1.017, 1.018, 1.015]  # its 90 % interval ends at 1.022, its 95 % interval at 1.024


def claim(text: str, metric="step_time", of="train", scale="", level="b", **more) -> Claim:
    """The planned claim: `text` has its direction as lower or higher."""
    expected = parse_expect(text)
    return Claim(
        "says", level, metric, expected.expect, expected.by, of, {}, "all", expected.scale or scale or "ratio",
        unit=expected.unit, **more,
    )  # fmt: skip


def compared(ratios: Sequence[float], verdict=Verdict.UNDECIDED, flags=(), this: Block = TIMED) -> Comparison:
    values = np.log(ratios)
    return Comparison(
        block=this, level="b", mode="train", metric="step_time", verdict=verdict, estimate=estimate(values),
        values=tuple(values), flags=flags,
    )  # fmt: skip


def answered(text: str, ratios: Sequence[float], verdict=Verdict.UNDECIDED, flags=()) -> ClaimResult:
    (result,) = settle(plan(TIMED, claims=(claim(text),)), [compared(ratios, verdict, flags)], 0.003, False)
    return result


# limits


@pytest.mark.parametrize(
    ("text", "ratios", "answer", "words"),
    [
        ("at most 2% higher", SAME, "holds", "1.000 [0.999, 1.001] (90 % interval)"),
        ("at most 2% higher", FAST, "holds", "0.690 [0.683, 0.697] (90 % interval)"),
        ("at most 2% higher", SLOW, "fails", "all: 1.200 [1.193, 1.207] (90 % interval)"),
        ("at most 20% higher", SLOW, "undecided", "the effect is about as large as the threshold: 1.200 [1.193, 1.207] (90 % interval)"),
        ("at most 2.3% higher", JUST_BELOW, "holds", "1.017 [1.012, 1.022] (90 % interval)"),
        ("equal within 2.3%", JUST_BELOW, "holds", "1.017 [1.010, 1.024]"),
        ("at most 2% lower", FAST, "fails", "all: 0.690 [0.683, 0.697] (90 % interval)"),
        ("at most 2% lower", SLOW, "holds", "1.200 [1.193, 1.207] (90 % interval)"),
        ("at least 5% lower", FAST, "holds", "0.690 [0.681, 0.699]"),
        ("at least 5% lower", SAME, "fails", "all: 1.000 [0.999, 1.001]"),
    ],
)  # fmt: skip
def test_limit_is_one_sided(text, ratios, answer, words):
    result = answered(text, ratios)
    assert (result.answer, result.reason) == (answer, words)


def test_limit_follows_from_equal_and_contradicts_its_opposite():
    """A claim never holds together with one that rules it out, at any significance level."""
    random = np.random.default_rng(3)
    for _ in range(200):
        ratios = np.exp(random.normal(0.02, 0.01, 5))
        equal, limit, beyond = (answered(t, ratios).answer for t in (
            "equal within 2%", "at most 2% higher", "at least 2% higher"
        ))  # fmt: skip
        assert limit == "holds" or equal != "holds"
        assert limit == "fails" or beyond != "holds"
        assert limit == "holds" or beyond != "fails"


def test_every_claim_states_the_tested_threshold():
    stated = {
        "lower": "faster by more than 0.3 %", "lower by 5%": "at least 5 % faster", "equal within 2%": "equal within 2 %",
        "not higher by 0.5%": "at most 0.5 % slower", "not higher by 0%": "not slower", "at most 20 ms": "at most 20 ms", "at least 1.5 s": "at least 1.5 s",
    }  # fmt: skip
    assert {text: answered(text, SAME).expected for text in stated} == stated


# levels that do not differ at all


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("lower", "fails"), ("higher", "fails"), ("lower by 5%", "fails"), ("higher by 5%", "fails"),
        ("equal within 2%", "holds"), ("not higher by 0%", "holds"), ("not lower by 1%", "holds"),
    ],
)  # fmt: skip
def test_times_that_agree_exactly_are_decided(text, answer):
    assert answered(text, [1.0] * 5).answer == answer


@pytest.mark.parametrize(
    ("text", "answer", "reason"),
    [
        ("higher", "fails", "all: +0.0 points [+0.0, +0.0]"),
        ("lower", "fails", "all: +0.0 points [+0.0, +0.0]"),
        ("higher by 1 point", "fails", "all: +0.0 points [+0.0, +0.0]"),
        ("equal within 1 point", "holds", "+0.0 points [+0.0, +0.0]"),
        ("not lower by 1 point", "holds", "+0.0 points [+0.0, +0.0] (90 % interval)"),
        ("not lower by 0 points", "holds", "+0.0 points [+0.0, +0.0] (90 % interval)"),
    ],
)
@pytest.mark.parametrize("margin", [None, "1 point"])
def test_scores_that_agree_in_every_seed_are_decided(catalog, text, answer, reason, margin):
    """The curves may differ: only the score after the last step agrees."""
    this = learning_block("a", "b", margin=margin)
    curves = [[0.1, 0.2, 0.3, 0.4, end] for end in np.linspace(0.5, 0.7, 10)]
    others = [[0.1, 0.25, 0.35, 0.45, end] for end in np.linspace(0.5, 0.7, 10)]
    records = [*runs(this, "a", close=curves), *runs(this, "b", close=others)]
    found = find(plan(this, claims=(claim(text, "close", "learning", "difference"),)), records, catalog)
    (comparison,) = (c for c in found.learning.comparisons if c.metric == "close")
    assert (comparison.estimate.mean, comparison.estimate.error) == (0, 0)
    assert (found.claims[0].answer, found.claims[0].reason) == (answer, reason)


@pytest.mark.parametrize(("text", "answer"), [
    ("higher by 1 point", "holds"), ("higher by 2 points", "fails"), ("equal within 1 point", "holds"),
    ("not higher by 1 point", "holds"), ("higher", "holds"), ("lower", "fails"),
])  # fmt: skip
def test_difference_that_is_the_same_in_every_seed_is_decided(catalog, text, answer):
    """0.91 - 0.9 is 0.010000000000000009: rounding must not decide."""
    this = learning_block("a", "b")
    records = [*runs(this, "a", close=[0.9] * 10), *runs(this, "b", close=[0.91] * 10)]
    found = find(plan(this, claims=(claim(text, "close", "learning", "difference"),)), records, catalog)
    assert found.claims[0].answer == answer


def test_rates_of_zero_are_not_exact(catalog):
    """No seed diverged with either level: the rates may differ all the same."""
    this = learning_block("a", "b")
    records = [*runs(this, "a", close=[0.9] * 10), *runs(this, "b", close=[0.91] * 10)]
    found = find(plan(this, claims=(claim("lower", "diverged", "learning", "difference"),)), records, catalog)
    assert found.claims[0].answer == "undecided"


# values of single levels


@pytest.mark.parametrize(
    ("text", "metric", "answer", "reason"),
    [
        ("at least 80%", "close", "holds", "90.15 % [89.14 %, 91.16 %] (90 % interval)"),
        ("at least 90%", "close", "undecided", "the effect is about as large as the threshold: 90.15 % [89.14 %, 91.16 %] (90 % interval)"),
        ("at least 0.95", "close", "fails", "all: 0.9015 [0.8914, 0.9116] (90 % interval)"),
        ("at most 95%", "close", "holds", "90.15 % [89.14 %, 91.16 %] (90 % interval)"),
        ("at most 0.3", "error", "holds", "0.2 [0.1894, 0.2111] (90 % interval)"),
        ("at most 0.15", "error", "fails", "all: 0.2 [0.1894, 0.2111] (90 % interval)"),
        ("at most 30%", "diverged", "holds", "0 % [0 %, 25.89 %] (90 % interval)"),
        ("at most 20%", "diverged", "undecided", "about 10 seeds in all should decide: 0 % [0 %, 25.89 %] (90 % interval)"),
    ],
)  # fmt: skip
def test_values_of_scores(catalog, text, metric, answer, reason):
    this = learning_block("a", "b")
    steps = np.linspace(-1, 1, 10)
    close, error = 0.9015 + 0.026 * steps, 0.2 * np.exp(0.139 * steps)
    records = [*runs(this, "a", close=close - 0.5, error=error * 5), *runs(this, "b", close=close, error=error)]
    found = find(plan(this, claims=(claim(text, metric, "learning"),)), records, catalog)
    assert (found.claims[0].answer, found.claims[0].reason) == (answer, reason)


def test_value_may_be_of_the_baseline_and_too_few_seeds_decide_nothing(catalog):
    this = learning_block("a", "b")
    records = [*runs(this, "a", close=[0.9] * 10), *runs(this, "b", close=[0.5] * 4)]
    claims = claim("at least 80%", "close", "learning", level="a"), claim("at least 80%", "close", "learning")
    first, second = find(plan(this, claims=claims), records, catalog).claims
    assert (first.answer, first.reason) == ("holds", "90 % [90 %, 90 %] (90 % interval)")
    assert (second.answer, second.reason) == ("undecided", "too few seeds decide no claim")


def test_value_of_a_level_whose_seeds_diverged_is_flagged(catalog):
    this = learning_block("a", "b")
    records = [*runs(this, "a", close=[0.9] * 10), *runs(this, "b", close=[0.9] * 9)]
    records.append(run(this, "b", 9, diverged_at=7, close=[0.1, 0.1]))
    result = find(plan(this, claims=(claim("at least 99%", "close", "learning"),)), records, catalog).claims[0]
    assert result.answer == "fails"
    assert result.reason.endswith("; flags: diverged")


@pytest.mark.parametrize(
    ("text", "level", "answer"),
    [
        ("at most 5 ms", "other", "holds"), ("at most 1.5 ms", "other", "fails"), ("at most 2.02 ms", "other", "undecided"),
        ("at least 1900 us", "other", "holds"), ("at most 1.1 ms", "plain", "holds"), ("at least 2 ms", "plain", "fails"),
    ],
)  # fmt: skip
def test_values_of_times(catalog, text, level, answer):
    this = block("plain", "other")
    records = timed(this, {"other": 2.0}, noise=0.01)
    made = plan(this, claims=(claim(text, level=level),))
    (result,) = find(made, records, catalog).claims
    assert result.answer == answer
    assert result.contexts == 1
    assert [one.id for one in blocks_to_remeasure(made, records, catalog)] == [this.again().id] * (answer == "fails")


def test_false_value_of_a_time_is_measured_again(catalog):
    this = block("plain", "other")
    made = plan(this, claims=(claim("at most 1.5 ms", level="other"),))
    first = timed(this, {"other": 2.0})
    (again,) = blocks_to_remeasure(made, first, catalog)
    twice = find(made, first + timed(again, {"other": 2.0}, seed=1), catalog).claims[0]
    assert (twice.answer, twice.reason.count(" ms [")) == ("fails", 2)
    assert "; measured again: all: " in twice.reason
    other = find(made, first + timed(again, {"other": 1.2}, seed=1), catalog).claims[0]
    assert (other.answer, other.reason[:15]) == ("undecided", "failed at first")


def test_value_of_a_time_is_the_mean_of_all_samples(catalog):
    """Every tenth step takes twice as long. The trimmed time of a step is 1.0 ms, its mean is 1.1 ms."""
    this = block("a", "b")
    wall = [2e6 if n % 10 == 9 else 1e6 for n in range(40)]
    records = [
        record(this, level, n, [(1 + 1e-5 * n) * x for x in wall], role=role)
        for n in range(5) for level, role in (("a", "variant"), ("a", "control"), ("b", "variant"))
    ]  # fmt: skip
    made = plan(this, claims=(claim("at most 1.05 ms"), claim("at most 1.2 ms")))
    found = find(made, records, catalog)
    assert found.numbers[this.id, "b", "train", "step_time"] == pytest.approx(1e-3, rel=1e-4)
    assert [result.answer for result in found.claims] == ["fails", "holds"]


def test_value_of_a_time_is_undecided_where_other_programs_used_the_core(catalog):
    this = block("plain", "other")
    made = plan(this, claims=(claim("at most 5 ms", level="other"),))
    (result,) = find(made, timed(this, {"other": 2.0}, share=0.5), catalog).claims
    assert (result.answer, result.reason[:16]) == ("undecided", "all: contended: ")


# flags


def test_tail_effect_forbids_equivalence():
    assert Flag.TAIL_EFFECT in FORBID_EQUIVALENCE


@pytest.mark.parametrize("flag", sorted(FORBID_EQUIVALENCE))
@pytest.mark.parametrize(
    ("text", "ratios", "verdict", "answer"),
    [
        ("equal within 2%", SAME, Verdict.UNDECIDED, "undecided"),
        ("at most 2% higher", SAME, Verdict.UNDECIDED, "undecided"),
        ("at most 2% higher", SLOW, Verdict.SLOWER, "fails"),
        ("at most 50% higher", SLOW, Verdict.SLOWER, "undecided"),
        ("at most 2% higher", FAST, Verdict.FASTER, "holds"),
        ("at most 2% lower", FAST, Verdict.FASTER, "fails"),
        ("equal within 2%", SLOW, Verdict.SLOWER, "fails"),
        ("lower by 5%", FAST, Verdict.FASTER, "holds"),
    ],
)
def test_flag_that_forbids_equivalence_forbids_claims_of_it(flag, text, ratios, verdict, answer):
    result = answered(text, ratios, verdict, (flag,))
    assert result.answer == answer
    assert flag in result.reason
    if answer == "undecided":
        assert result.reason.startswith(f"all: {flag}: {flag.meaning}: ")
        assert answered(text, ratios, verdict).answer == "holds"


@pytest.mark.parametrize("flag", [Flag.CONTENDED, Flag.NULL_BIASED])
@pytest.mark.parametrize("text", ["lower by 5%", "higher by 5%", "at most 2% higher", "equal within 2%"])
def test_flag_that_forbids_decisions_leaves_every_claim_undecided(flag, text):
    assert answered(text, FAST, Verdict.UNDECIDED, (flag,)).answer == "undecided"


def test_contended_block_leaves_claims_undecided(catalog):
    """With two threads, CPU time cannot replace wall time, so a shared core leaves nothing to decide by."""
    this = block("plain", "other")
    threads = {"HARNESS_THREADS": "2"}
    this = replace(this, trials=tuple(replace(trial, environment=threads) for trial in this.trials))
    made = plan(this, claims=(claim("higher by 5%", level="other"),))
    found = find(made, timed(this, {"other": 2.0}, share=0.5), catalog)
    (comparison,) = found.of(this, "train").values()
    assert (comparison.verdict, comparison.flags) == ("undecided", ("contended",))
    assert found.claims[0].answer == "undecided"
    assert find(made, timed(this, {"other": 2.0}), catalog).claims[0].answer == "holds"


@pytest.mark.parametrize(
    ("flag", "named"),
    [(Flag.NOT_STATIONARY, True), (Flag.CPU_CLOCK, True), (Flag.CHANGES_MODEL, False), (Flag.ONE_OF_MANY, False)],
)
def test_other_flags_are_named_beside_the_answer(flag, named):
    result = answered("lower by 5%", FAST, Verdict.FASTER, (flag,))
    assert (result.answer, result.reason.endswith(f"; flags: {flag}")) == ("holds", named)


# what to write instead


def test_false_equality_of_a_better_level_says_what_to_write():
    result = answered("equal within 2%", FAST)
    assert (result.answer, result.improved) == ("fails", True)
    assert result.reason.endswith("; it is faster: to allow that, expect at most 2% slower")
    worse = answered("equal within 2%", SLOW)
    assert (worse.answer, worse.improved, "to allow" in worse.reason) == ("fails", False, False)


@pytest.mark.parametrize(
    ("metric", "scale", "text", "change", "improved"),
    [
        ("close", "difference", "equal within 1 point", {"close": 0.2}, True),
        ("close", "difference", "equal within 1 point", {"close": -0.2}, False),
        ("error", "ratio", "equal within 5%", {"error": -0.1}, True),
        ("error", "ratio", "equal within 5%", {"error": 0.1}, False),
    ],
)
def test_better_depends_on_the_score(catalog, metric, scale, text, change, improved):
    this = learning_block("a", "b")
    base, noise = np.linspace(0.4, 0.6, 10), np.random.default_rng(1).normal(0, 0.001, 10)
    other = base + noise + change[metric]
    records = [*runs(this, "a", **{metric: base}), *runs(this, "b", **{metric: other})]
    (result,) = find(plan(this, claims=(claim(text, metric, "learning", scale),)), records, catalog).claims
    assert (result.answer, result.improved) == ("fails", improved)
    assert ("it is better: to allow that, expect at most" in result.reason) == improved


# several claims


def test_limits_and_values_are_members_of_the_family(catalog):
    """p = 0.04 decides a limit alone, but not beside a claim without any evidence."""
    alone = answered("at most 2.25% higher", JUST_BELOW)
    assert alone.answer == "holds"
    crowd = (claim("at most 2.25% higher"), claim("at most 20 ms", level="nobody"))
    first, second = settle(plan(TIMED, claims=crowd), [compared(JUST_BELOW)], 0.003, False)
    assert (first.answer, second.answer) == ("undecided", "undecided")
    assert first.reason == f"true on its own, not after correcting for 2 claims: {alone.reason}"


@pytest.mark.parametrize(
    ("ratios", "why", "places"),
    [
        # Where the other context is clearly on the other side of the threshold, or not.
        ([FAST, SAME], "", (("one",), ("two",))),
        ([FAST, [1.0, 1.0, 0.9, 1.1, 0.97, 1.06]], "depends on the context", (("one",), ())),
        ([FAST, [0.8, 0.9, 0.99, 0.7, 0.95, 0.98]], "about 22 processes in all should decide", (("one",), ())),
    ],
)
def test_claim_says_in_which_contexts_it_is_true(ratios, why, places):
    blocks = [replace(block("a", "b"), context={"where": where}) for where in ("one", "two")]
    found = [compared(those, this=b) for b, those in zip(blocks, ratios, strict=True)]
    (result,) = settle(plan(*blocks, claims=(claim("lower by 5%"),)), found, 0.003, False)
    assert (result.true_in, result.false_in) == places
    assert result.remarks == why
