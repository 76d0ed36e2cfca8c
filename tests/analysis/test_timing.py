"""Verdicts in the order of the method, flags, and claims."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from made import block, record

from harness.analysis.claims import settle
from harness.analysis.findings import blocks_to_remeasure, find
from harness.analysis.standing import due_levels
from harness.analysis.stats import Estimate, estimate
from harness.analysis.time_verdicts import decide
from harness.analysis.timing import Comparison, Measured, baselines_to_remeasure, floor_of, is_null_biased
from harness.analysis.verdicts import Flag, Verdict
from harness.records.plan import Block, Claim, Plan
from harness.records.record import Record
from harness.records.settings import Speed

STEP = "step_time", lambda samples: samples.seconds


def measured(
    *ratios: float, spread: float = 0.0, changes: str = "rounding", share: float = 1.0, **settings
) -> Comparison:
    """The comparison of processes that each measured one of these ratios."""
    this = block("a", "b", speed=Speed(**settings), changes=changes)
    records = []
    for number, ratio in enumerate(ratios):
        for level, factor in (("a", 1.0), ("b", ratio)):
            noise = np.random.default_rng(number).normal(1, spread, 40) if spread else np.ones(40)
            wall = 1e8 * factor * noise
            records.append(record(this, level, number, wall, wall * share))
    return Measured(this, records, "train").compare(this.trials[1], *STEP, 0.003, False)


def around(mean: float, half_width: float, k: int = 5) -> Estimate:
    """An estimate with this 95 % half-width."""
    return Estimate(mean, half_width / Estimate(0, 1, k - 1, k).half_width(), k - 1, k)


@pytest.mark.parametrize(
    ("estimate", "verdict"),
    [
        (around(0.0, 0.002), "equivalent"),
        (around(0.010, 0.005), "equivalent"),  # beyond the floor but within the margin: equivalent has precedence
        (around(-0.05, 0.01), "faster"),
        (around(0.05, 0.01), "slower"),
        (around(0.0, 0.011), "undecided"),  # wider than half the margin
        (around(0.02, 0.019), "undecided"),  # above 0 but not above the floor
        (around(0.05, 0.06), "undecided"),
        (around(0.0, 0.002, k=4), "invalid"),
        (around(0.5, 0.002, k=4), "invalid"),
    ],
)
def test_the_order_of_verdicts(estimate, verdict):
    assert decide(estimate, Speed(), 0.003)[0] == verdict


def times(this: Block, *ratios_by_level: tuple[float, ...]) -> list[Record]:
    """Records of the baseline and of the other levels, each with these ratios in its processes."""
    return [
        record(this, trial.level, number, [1e8 * ratio] * 10)
        for trial, ratios in zip(this.trials, [(1.0,) * max(map(len, ratios_by_level)), *ratios_by_level], strict=True)
        for number, ratio in enumerate(ratios)
    ]


SPREAD = (1.2, 1.21, 1.22, 1.23, 1.24)  # slower, with an interval of 2 %
NONE = (1.0, 1.01, 1.02, 1.03, 1.04)


@pytest.mark.parametrize(
    ("ratios", "settings", "another"),
    [
        ((), {}, True),
        ((1.0,), {"quick": True}, False),
        ((1.1,) * 4, {}, True),  # there is no look before five processes
        ((1.1,) * 5, {}, False),
        # Only precision counts: a significant difference does not end the measurement.
        (SPREAD, {"until": "precise"}, True),
        (SPREAD, {"until": "decided"}, False),
        (NONE, {"until": "decided"}, True),
        (NONE, {"until": "decided", "budget": 1.0}, False),
        (SPREAD, {"until": "precise", "half_width": 0.001}, False),  # more than 20 processes would be needed
        ((1.1,) * 3, {"pooled": True}, False),
        ((1.1,) * 2, {"pooled": True}, True),
        ((1.0, 1.001, 0.999), {"pooled": True}, True),  # an equivalence needs five processes
        ((1.0, 1.001, 0.999), {"pooled": True, "until": "precise"}, True),
        ((1.1, 1.101, 1.099), {"pooled": True, "until": "precise"}, False),
    ],
)
def test_stopping_rule(ratios, settings, another):
    speed = Speed(**{"until": "decided", **settings})
    this = block("a", "b", speed=speed.as_planned(plain=False) if speed.pooled else speed)
    due = due_levels(this, times(this, ratios) if ratios else [], "train")
    assert due == (["a", "b"] if another else [])


def test_only_levels_that_are_not_settled_are_measured_further():
    this = block("a", "b", "c", speed=Speed(until="decided"))
    records = times(this, SPREAD, NONE)
    assert due_levels(this, records, "train") == ["a", "c"]
    # Between looks, those of the last process go on.
    records += [record(this, level, 5, [1e8] * 10) for level in "ac"]
    assert due_levels(this, records, "train") == ["a", "c"]
    comparison = Measured(this, records, "train").compare(this.trials[1], *STEP, 0.003, False)
    assert (comparison.estimate.k, comparison.verdict) == (5, "slower")


def test_a_level_that_cannot_be_decided_is_not_measured_further():
    """It has another answer, or cores were shared and it has several threads."""
    other = block("a", "b", speed=Speed(until="decided"), changes="answer")
    assert due_levels(other, times(other, NONE), "train") == []
    threads = block("a", "b", speed=Speed(until="decided"))
    threads = replace(threads, trials=tuple(replace(t, environment={"HARNESS_THREADS": "2"}) for t in threads.trials))
    records = [
        record(threads, level, number, np.full(10, 2e8 * ratio), np.full(10, 1e8 * ratio))
        for level, ratios in (("a", (1.0,) * 5), ("b", NONE))
        for number, ratio in enumerate(ratios)
    ]
    assert Measured(threads, records, "train").contended
    assert due_levels(threads, records, "train") == []


def test_levels_of_a_design_stay_together():
    this = block("a", "b", "c", speed=Speed(until="decided"))
    this = replace(this, trials=(this.trials[0], *(replace(trial, on=(trial.level,)) for trial in this.trials[1:])))
    assert due_levels(this, times(this, SPREAD, NONE), "train") == ["a", "b", "c"]
    assert due_levels(this, times(this, SPREAD, SPREAD), "train") == []


def test_the_baseline_alone_is_measured_in_five_processes():
    this = block("a", "b").alone()
    for number in range(6):
        records = [
            record(this, "a", n, [1e8] * 10, role=role) for n in range(number) for role in ("variant", "control")
        ]
        assert due_levels(this, records, "train") == (["a"] if number < 5 else [])


def test_a_control_is_a_second_baseline():
    """It halves the baseline's part of the variance, and changes nothing where the plan is older."""
    rng, records = np.random.default_rng(1), []
    old = block("a", "b")
    new = replace(old, measures=old.measures.with_(speed=Speed().as_planned(plain=True)))
    for number in range(5):
        for level, role in (("a", "variant"), ("a", "control"), ("b", "variant")):
            records.append(record(old, level, number, 1e8 * rng.normal(1, 0.01, 400), role=role))
    before, after = (Measured(this, records, "train").ratios("b") for this in (old, new))
    gain = np.var(np.concatenate([r.series for r in after])) / np.var(np.concatenate([r.series for r in before]))
    assert gain == pytest.approx(0.75, abs=0.03)
    controls = [Measured(this, records, "train").log_ratios("a", "control") for this in (old, new)]
    assert controls[0] == controls[1]


def test_higher_floor_removes_verdicts():
    assert decide(around(0.05, 0.02), Speed(), 0.003)[0] == "slower"
    assert decide(around(0.05, 0.02), Speed(), 0.04)[0] == "undecided"


def test_undecided_has_a_reason_and_an_estimate():
    result = measured(1.0, 1.1, 0.9, 1.05, 0.95)
    assert result.verdict == "undecided"
    assert re.fullmatch(r"interval is ±\d+\.\d %, target ±1\.0 %", result.reason)
    assert result.needs == math.ceil(5 * (result.estimate.half_width() / 0.01) ** 2)


def test_four_processes_give_no_verdict():
    result = measured(2.0, 2.0, 2.0, 2.0)
    assert (result.verdict, result.reason) == ("invalid", "4 of at least 5 processes")


def test_quick_run_has_wide_intervals_and_no_verdict():
    result = measured(1.001, quick=True)
    assert result.estimate.k == 1
    assert 0.008 < result.estimate.half_width() < 0.009  # 2.02 x 0.4 %


def test_different_answer_is_never_ranked():
    result = measured(2.0, 2.0, 2.0, 2.0, 2.0, changes="answer")
    assert (result.verdict, result.size) == ("unranked", pytest.approx(2.0))


@pytest.mark.parametrize(
    ("changes", "flag"),
    [("model", Flag.CHANGES_MODEL), ("update", Flag.CHANGES_UPDATE), ("order", Flag.CHANGES_ORDER)],
)
def test_change_of_order_or_model_is_ranked_and_flagged(changes, flag):
    result = measured(2.0, 2.0, 2.0, 2.0, 2.0, changes=changes)
    assert (result.verdict, result.flags) == ("slower", (flag,))


def test_a_shared_core_is_flagged():
    assert measured(2.0, 2.0, 2.0, 2.0, 2.0, share=0.8).flags == ("cpu-clock",)


def test_scattered_processes_are_flagged():
    this = block("a", "b")
    records = [
        record(this, level, number, [1e6] * 10, flags=["not_stationary"] if number < 3 else [])
        for number in range(5)
        for level in "ab"
    ]
    assert Measured(this, records, "train").compare(this.trials[1], *STEP, 0.003, False).flags == ("not-stationary",)


def test_slow_tail_is_flagged():
    this = block("a", "b")
    slow = [1e6] * 35 + [2e6] * 5
    records = [record(this, level, n, slow if level == "b" else [1e6] * 40) for n in range(5) for level in "ab"]
    result = Measured(this, records, "train").compare(this.trials[1], *STEP, 0.003, False)
    assert result.size == pytest.approx(1.0)
    assert result.ratio_of_means == pytest.approx(1.125)
    assert result.verdict == "undecided"  # not equivalent
    assert result.flags == ("tail-effect",)


def test_failed_trial_is_invalid():
    this = block("a", "b")
    records = [record(this, level, n, [1e6] * 10) for n in range(5) for level in "ab"]
    records.append(Record(this.id, "b", "b", "speed.train", "variant", 5, 1, "failed", "it raised"))
    result = Measured(this, records, "train").compare(this.trials[1], *STEP, 0.003, False)
    assert (result.verdict, result.reason) == ("invalid", "failed: it raised")


def test_floor_comes_from_the_controls():
    assert floor_of([]) == 0.003
    assert floor_of([0.01, -0.01]) == 0.003
    assert floor_of([0.01, 0.012]) == pytest.approx(0.011)
    assert not is_null_biased([0.001, 0.0012, 0.0011, 0.001, 0.0009])  # significant and too small to matter
    assert not is_null_biased([0.05, -0.04, 0.03, -0.02, 0.04])
    assert is_null_biased([0.010, 0.011, 0.009, 0.0105, 0.0095])


def test_biased_control_decides_nothing(catalog):
    this = block("a", "b")
    records = []
    for number in range(5):
        jitter = 1 + 0.0001 * number
        for level, role, factor in (("a", "variant", 1), ("a", "control", 1.02 * jitter), ("b", "variant", 2)):
            records.append(record(this, level, number, [factor * 1e6] * 10, role=role))
    plan = Plan("s", "q", "what", (this,), claims=(claim(),))
    found = find(plan, records, catalog)
    assert found.null_biased
    (comparison,) = found.of(this, "train").values()
    assert (comparison.verdict, comparison.flags) == ("undecided", ("null-biased",))
    assert found.claims[0].answer == "undecided"

    # The baseline is measured again, alone. The run is worthless only if it differs from itself again.
    (alone,) = baselines_to_remeasure(plan, records)
    assert [trial.level for trial in alone.trials] == ["a"]

    def with_fresh_controls(factor: float) -> bool:
        again = [
            record(alone, "a", number, [time] * 10, role=role)
            for number in range(5)
            for role, time in (("variant", 1e6), ("control", factor * (1 + 0.0001 * number) * 1e6))
        ]
        return find(plan, records + again, catalog).null_biased

    assert with_fresh_controls(1.02)
    assert not with_fresh_controls(1.0)


def test_quiet_control_is_not_measured_again():
    this = block("a", "b")
    records = [record(this, "a", n, [1e6 + n] * 10, role=role) for n in range(5) for role in ("variant", "control")]
    assert baselines_to_remeasure(Plan("s", "q", "what", (this,)), records) == []


def test_one_difference_among_many_is_flagged(catalog):
    """A difference that is barely significant alone is not significant among twenty."""
    wobble = [0.97, 1.02, 1.01, 0.98, 1.02]
    just = [1.02, 1.045, 1.01, 1.035, 1.03]

    def compared(others: int) -> list[Comparison]:
        this = block("a", "x", *(f"none{i}" for i in range(others)))
        records = []
        for number in range(5):
            records.append(record(this, "a", number, [1e6] * 10))
            records.append(record(this, "x", number, [1e6 * just[number]] * 10))
            records += [record(this, f"none{i}", number, [1e6 * wobble[number]] * 10) for i in range(others)]
        return list(find(Plan("s", "q", "what", (this,)), records, catalog).of(this, "train").values())

    (alone,) = compared(0)
    assert alone.verdict == "slower"
    assert alone.flags == ()
    assert alone.adjusted < 0.05
    among = compared(20)[0]
    assert among.interval == alone.interval
    assert among.flags == ("one-of-many",)
    assert among.adjusted > 0.05


def test_early_stopping_widens_intervals():
    """A difference that is barely significant at 95 % is undecided if any of three looks could have found it."""
    just = estimate([0.01, 0.034, 0.003, 0.03, 0.028])
    assert decide(just, Speed(), 0.003)[0] == "slower"
    plain = Speed().as_planned(plain=True)
    assert decide(replace(just, share=plain.share(5)), plain, 0.003)[0] == "undecided"
    assert Speed(until_decided=True) == Speed(until="decided", rates=plain.rates)  # as in older plans


# claims


def comparison(this: Block, values, verdict: Verdict) -> Comparison:
    return Comparison(
        block=this, level="b", mode="train", metric="step_time", verdict=verdict, estimate=estimate(values),
        values=tuple(values),
    )  # fmt: skip


def claim(expect="lower", by=0.05, level="b", inside="all", **where) -> Claim:
    return Claim("says", level, "step_time", expect, by, "train", where, inside)


def answer(claims: list[Claim], *ratios_by_block: list[float], **options) -> list[str]:
    return [result.answer for result in settled(claims, *ratios_by_block, **options)]


def settled(claims: list[Claim], *ratios_by_block: list[float], quick: bool = False, null_biased: bool = False):
    comparisons, blocks = [], []
    for number, ratios in enumerate(ratios_by_block):
        this = block("a", "b", speed=Speed(quick=quick))
        this = type(this)({"data": str(number)}, this.trials, this.measures)
        blocks.append(this)
        values = np.log(ratios)
        comparisons.append(comparison(this, values, Verdict.UNDECIDED))
    plan = Plan("s", "q", "what", tuple(blocks), claims=tuple(claims))
    return settle(plan, comparisons, 0.003, null_biased)


FAST, SLOW, SAME = [0.80, 0.81, 0.79, 0.80, 0.80], [1.2, 1.21, 1.19, 1.2, 1.2], [1.0, 1.001, 0.999, 1.0, 1.0]
VAGUE = [0.9, 1.0, 0.95, 1.05, 0.85]


@pytest.mark.parametrize(
    ("expect", "by", "ratios", "expected"),
    [
        ("lower", 0.05, FAST, "holds"), ("lower", 0.05, SLOW, "fails"), ("lower", 0.05, SAME, "fails"),
        ("lower", 0.05, VAGUE, "undecided"), ("lower", 0.2, FAST, "undecided"),
        ("lower", 0.0, FAST, "holds"), ("lower", 0.0, SLOW, "fails"), ("lower", 0.0, SAME, "undecided"),
        ("higher", 0.0, SAME, "undecided"), ("higher", 0.1, SLOW, "holds"), ("higher", 0.1, FAST, "fails"),
        ("equal", 0.02, SAME, "holds"), ("equal", 0.02, SLOW, "fails"), ("equal", 0.02, VAGUE, "undecided"),
    ],
)  # fmt: skip
def test_a_claim_is_settled_by_an_interval(expect, by, ratios, expected):
    assert answer([claim(expect, by)], ratios) == [expected]


def test_claims_about_all_and_any_contexts():
    assert answer([claim()], FAST, FAST) == ["holds"]
    assert answer([claim()], FAST, SAME) == ["fails"]
    assert answer([claim()], FAST, VAGUE) == ["undecided"]
    assert answer([claim(inside="any")], FAST, VAGUE) == ["holds"]
    assert answer([claim(inside="any")], SAME, SLOW) == ["fails"]
    assert answer([claim(inside="any")], SAME, VAGUE) == ["undecided"]


def test_reason_of_a_claim_names_the_clearest_context():
    slower = [1.5 * ratio for ratio in SLOW]
    assert settled([claim()], SAME, slower, SLOW)[0].reason.startswith("data 1: 1.800 [")
    assert settled([claim("higher")], SLOW, SAME, FAST)[0].reason.startswith("data 2: 0.800 [")
    assert settled([claim("equal", 0.02)], FAST, slower, SAME)[0].reason.startswith("data 1: 1.800 [")
    assert settled([claim(inside="any")], VAGUE, [0.5 * ratio for ratio in FAST], FAST)[0].reason.startswith(
        "data 1: 0.400"
    )


def test_a_claim_that_fails_is_measured_once_more_and_must_fail_twice(catalog):
    """In the second of two contexts, the evidence against the claim does not repeat when it is measured again."""
    blocks = tuple(replace(block("a", "b"), context={"data": name}) for name in "xy")
    plan = Plan("s", "q", "what", blocks, claims=(claim(),))

    def records_of(this: Block, ratios: list[float]) -> list[Record]:
        times = [("a", [1.0] * 5), ("b", ratios)]
        return [record(this, level, n, [1e6 * ratio[n]] * 10) for level, ratio in times for n in range(5)]

    first = records_of(blocks[0], FAST) + records_of(blocks[1], SLOW)
    found = find(plan, first, catalog)
    assert found.claims[0].answer == "fails"
    assert found.claims[0].against == (blocks[1].id,)
    (again,) = blocks_to_remeasure(plan, first, catalog)
    assert again.series == 1
    assert again.id not in {one.id for one in blocks}
    assert Block.from_json(again.to_json()).id == again.id

    twice = find(plan, first + records_of(again, SLOW), catalog)
    assert twice.claims[0].answer == "fails"
    assert "measured again: y: 1.200" in twice.claims[0].reason
    # the table keeps its verdict
    assert twice.of(blocks[1], "train")["b"].values == found.of(blocks[1], "train")["b"].values
    once = find(plan, first + records_of(again, FAST), catalog)
    assert once.claims[0].answer == "undecided"
    assert once.claims[0].reason.startswith("failed at first, y: 1.200")
    assert once.claims[0].against == ()


def test_where_selects_contexts():
    assert answer([claim(data=("0",))], FAST, SLOW) == ["holds"]
    assert answer([claim(data=("1",))], FAST, SLOW) == ["fails"]
    assert answer([claim(data=("7",))], FAST, SLOW) == ["undecided"]


def test_claims_are_corrected_for_their_number():
    """A claim that is barely true alone is undecided among twenty."""
    just = [0.93, 0.945, 0.92, 0.94, 0.935]
    assert answer([claim()], just) == ["holds"]
    assert answer([claim()] + [claim(data=("1",))] * 19, just, VAGUE)[0] == "undecided"


def test_quick_run_and_biased_control_decide_no_claim():
    assert answer([claim()], FAST, quick=True) == ["undecided"]
    assert answer([claim()], FAST, null_biased=True) == ["undecided"]


def test_context_without_a_verdict_leaves_an_all_claim_undecided():
    this = block("a", "b")
    other = type(this)({"data": "1"}, this.trials, this.measures)
    values = np.log(FAST)
    good = comparison(this, values, Verdict.FASTER)
    plan = Plan("s", "q", "what", (this, other), claims=(claim(),))
    (result,) = settle(plan, [good], 0.003, False)
    assert (result.answer, result.reason) == ("undecided", "no verdict for 1")
