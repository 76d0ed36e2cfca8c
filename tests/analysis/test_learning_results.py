"""Results over all seeds of synthetic runs: corrections, effects, speed against quality, and claims."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from made import learning_block, record, run, runs

from harness.analysis import seed_stats as seeds
from harness.analysis import stats
from harness.analysis.findings import blocks_to_remeasure, find
from harness.analysis.learning import LearningResults, product
from harness.analysis.stats import Estimate
from harness.analysis.timing import measured_of
from harness.records import designs
from harness.records.plan import Block, Claim, Plan
from harness.records.record import Record
from harness.records.settings import Speed
from harness.report.tables.learning import learning_table, pareto_table

NOISE = np.random.default_rng(0)
BASE = 0.5 + NOISE.normal(0, 0.02, 10)


def plan_of(block: Block, *claims: Claim, **design) -> Plan:
    return Plan("s", "q?", "what", (block,), claims=claims, **design)


def claim(level: str, metric: str, expect: str, by: float = 0.0, of: str = "learning", scale="difference") -> Claim:
    return Claim("says", level, metric, expect, by, of, {}, "all", scale)


def times(block: Block, spread: float = 0.0, **ratio: float) -> list[Record]:
    """Five processes in which each level takes the given multiple of the baseline's time, with the given scatter."""
    made = []
    off = np.array([-1, -0.5, 0, 0.5, 1]) * spread
    for number in range(5):
        made.append(record(block, block.baseline.level, number, [1e9] * 10, role="control"))
        for trial in block.trials:
            made.append(record(block, trial.level, number, [1e9 * ratio.get(trial.level, 1) * math.exp(off[number])] * 10)
                        if trial is not block.baseline else record(block, trial.level, number, [1e9] * 10))  # fmt: skip
    return made


def results(block: Block, *records: list[Record], **design) -> LearningResults:
    every = [one for some in records for one in some]
    return LearningResults(plan_of(block, **design), every, measured_of([block], every))


def gain(mean: float, p: float, n: int = 10) -> np.ndarray:
    """Differences with this mean for which the paired t test gives this p."""
    shape = np.random.default_rng(7).normal(0, 1, n)
    shape -= shape.mean()
    t = stats.t_quantile(1 - p / 2, n - 1)
    return mean + shape / shape.std(ddof=1) * math.sqrt(n) * abs(mean) / t


def test_one_of_many_is_flagged():
    """One of ten levels has p = 0.03. Alone it is better; among ten, one such p-value is expected by chance."""
    names = [f"b{number}" for number in range(10)]
    block = learning_block("a", *names)
    null = [run for name in names[1:] for run in runs(block, name, close=BASE + gain(0.001, 0.9))]
    base, clear = runs(block, "a", close=BASE), runs(block, "b0", close=BASE + gain(0.1, 0.03))
    found = results(block, base, clear, null).of(Found(block), "close")
    assert found["b0"].verdict == "better"
    assert found["b0"].estimate.p_value() == pytest.approx(0.03)
    assert found["b0"].adjusted == pytest.approx(0.3)
    assert found["b0"].flags == ("one-of-many",)
    assert found["b1"].flags == ()
    clear = runs(block, "b0", close=BASE + gain(0.1, 0.001))
    assert results(block, base, clear, null).of(Found(block), "close")["b0"].flags == ()


class Found:
    """The learning results that the tables need for a lookup."""

    def __init__(self, block: Block) -> None:
        self.block, self.settings = block, block.measures.learning


def test_a_product_s_interval_covers():
    """Steps of ten seeds and times of five processes, with equal and with very different scatter. The tolerance is
    three standard errors of the simulation. Joint degrees of freedom (13) would cover 91 % in the second case."""
    random, many = np.random.default_rng(3), 1000
    for scatter in (1.0, 4.0, 0.25):
        steps, step_times = random.normal(0.7, 1, (many, 10)), random.normal(-0.2, scatter, (many, 5))
        inside = 0
        for one, other in zip(steps, step_times, strict=True):
            low, high = product(stats.estimate(one.tolist()), stats.estimate(other.tolist())).interval()
            inside += low <= 0.5 <= high
        assert inside / many == pytest.approx(0.95, abs=0.021), scatter


def test_product_with_an_exact_factor_keeps_the_interval():
    one, fixed = Estimate(0.3, 0.1, 9, 10), Estimate(-0.1, 0.0, 4, 5)
    assert product(one, fixed) == Estimate(pytest.approx(0.2), pytest.approx(0.1), pytest.approx(9), 5)
    assert product(fixed, fixed) == Estimate(pytest.approx(-0.2), 0.0, 4, 5)


def test_time_to_target_is_steps_times_step_time():
    """Half the steps, each of which takes three times as long."""
    block = learning_block("a", "b", target=0.5, speed=Speed())
    slow = [run(block, "a", s, close=[0.1, 0.2, 0.3, 0.4, 0.6]) for s in range(10)]
    fast = [run(block, "b", s, close=[0.1, 0.2, 0.6, 0.6, 0.6]) for s in range(10)]
    found = results(block, slow, fast, times(block, b=3.0, spread=0.01))
    compared = found.of(Found(block), "time_to_target")["b"]
    assert compared.size == pytest.approx(1.5)
    assert compared.verdict == "worse"
    assert compared.interval == pytest.approx((1.5 * math.exp(-0.0098), 1.5 * math.exp(0.0098)), rel=1e-3)
    assert found.of(Found(block), "steps_to_target")["b"].size == pytest.approx(0.5)
    untimed = results(learning_block("a", "b", target=0.5), slow, fast)
    assert untimed.of(Found(block), "time_to_target") == {}
    # Cheap steps that never reach the target save nothing.
    never = [run(block, "b", s, close=[0.1, 0.1, 0.1, 0.1, 0.1]) for s in range(10)]
    cheap = results(block, slow, never, times(block, b=0.5, spread=0.01)).of(Found(block), "time_to_target")["b"]
    assert (cheap.estimate, cheap.verdict) == (None, "undecided")
    assert cheap.reason == "10 runs did not reach the target"


@pytest.mark.parametrize(
    ("quality", "ratio", "dominated"),
    [
        (0.1, 0.8, {"a": "b"}),  # better and faster
        (-0.1, 1.2, {"b": "a"}),
        (0.1, 1.2, {}),  # better and slower: both are on the Pareto front
        (-0.1, 0.8, {}),
        (0.1, 1.0, {"a": "b"}),  # better at the same speed
        (0.0, 0.8, {"a": "b"}),  # equally good and faster
        (0.0, 1.0, {}),  # equal in both
    ],
)
def test_dominated_levels(catalog, quality, ratio, dominated):
    for metric, sign in (("close", 1), ("error", -1)):
        block = learning_block("a", "b", metric=metric, speed=Speed())
        noise = np.random.default_rng(5).normal(0, 0.01, 10)
        noise -= noise.mean()
        theirs = BASE + sign * quality + (noise if quality else 0)
        records = [*runs(block, "a", **{metric: BASE}), *runs(block, "b", **{metric: theirs}), *times(block, b=ratio)]
        found = find(plan_of(block), records, catalog)
        assert found.learning.dominated == {(block.id, loser): winner for loser, winner in dominated.items()}
        shown = pareto_table(found, found.learning.learned[0])
        assert [row[-1] for row in shown.rows] == [
            f"dominated by {dominated[level]}" if level in dominated else "Pareto front" for level in "ab"
        ]


def test_a_level_that_failed_neither_dominates_nor_is_dominated(catalog):
    block = learning_block("a", "b", "c", speed=Speed())
    failed = replace(run(block, "b", 9, close=0.1), outcome="failed", reason="it broke", data={"seed": 9})
    records = [
        *runs(block, "a", close=BASE), *runs(block, "b", close=BASE[:9] + 0.1), failed,
        *runs(block, "c", close=BASE + 0.2), *times(block, b=0.5, c=0.9),
    ]  # fmt: skip
    found = find(plan_of(block), records, catalog)
    assert found.learning.dominated == {(block.id, "a"): "c"}
    shown = pareto_table(found, found.learning.learned[0])
    assert [row[-1] for row in shown.rows] == ["dominated by c", "-", "Pareto front"]


@pytest.mark.parametrize("timed", [False, True])
def test_interrupted_run_without_results_has_a_report(catalog, timed):
    block = learning_block("a", "b", target=0.5, speed=Speed())
    found = find(plan_of(block, claim("b", "close", "higher")), times(block) if timed else [], catalog)
    assert {c.verdict for c in found.learning.comparisons} == {"invalid"}
    assert found.learning.dominated == {}
    assert [result.answer for result in found.claims] == ["undecided"]
    assert [row[-1] for row in learning_table(found, found.learning.learned[0]).rows] == [
        "baseline", "invalid: not trained",
    ]  # fmt: skip


# Ablation designs

ON = {"none": (), "a": ("a",), "b": ("b",), "all": ("a", "b")}
FACTORS = {"design": "factorial", "factors": ("a", "b")}
#: Factor a adds 10 points, b subtracts 5, and their interaction adds 8.
ADDS = {"none": 0.0, "a": 0.10, "b": -0.05, "all": 0.13}


def factorial(**settings) -> tuple[Block, list[Record]]:
    """Seeds differ by far more than factors, and equally for all levels of a seed."""
    block = learning_block(*ON, on=ON, **settings)
    random = np.random.default_rng(2)
    made = []
    for level, adds in ADDS.items():
        made += runs(block, level, close=BASE + adds + random.normal(0, 0.005, 10), error=[1 - adds] * 10)
    return block, made


def test_effects_are_contrasts_per_seed():
    block, made = factorial()
    found = {(e.metric, e.level): e for e in results(block, made, **FACTORS).effects}
    a, b, both = (found["close", name] for name in ("a", "b", "a x b"))
    assert a.size == pytest.approx(0.14, abs=0.005)
    assert b.size == pytest.approx(-0.01, abs=0.005)
    assert both.size == pytest.approx(0.08, abs=0.01)
    assert (a.kind, both.kind, a.scale, a.mode) == (designs.AVERAGE, designs.INTERACTION, "difference", "learning")
    assert (a.verdict, both.verdict) == ("better", "better")
    assert len(a.values) == 10
    assert a.estimate.error < 0.004, "what a seed gives to all its levels cancels"
    assert found["error", "a"].size == pytest.approx(math.sqrt(0.9 * 0.87 / 1.05))
    assert {metric for metric, _ in found} == {
        "loss", "mean_loss", "close", "mean_close", "error", "mean_error", "diverged",
    }  # fmt: skip


def test_a_margin_makes_a_small_effect_equivalent_in_its_own_metric():
    block, made = factorial(margin=0.03, margin_of="difference")
    found = {(e.metric, e.level): e.verdict for e in results(block, made, **FACTORS).effects}
    assert found["close", "b"] == "equivalent"
    assert found["close", "a"] == "better"
    assert found["loss", "a"] == "unranked", "nothing was learned by it"


def test_effects_use_common_seeds():
    block, made = factorial()
    some = [r for r in made if r.data["seed"] < 6 or r.level != "b"]
    effect = next(e for e in results(block, some, **FACTORS).effects if (e.metric, e.level) == ("close", "a"))
    assert len(effect.values) == 6
    failed = replace(run(block, "b", 3, close=0), outcome="failed", reason="it broke", data={"seed": 3})
    broken = [r for r in made if r.level != "b"]
    found = results(block, broken, [failed], **FACTORS).effects
    lacking = next(e for e in found if (e.metric, e.level) == ("close", "a"))
    assert (lacking.verdict, lacking.estimate) == ("invalid", None)
    assert lacking.reason == "needs b: it broke"


@pytest.mark.parametrize(
    ("effect", "expect", "by", "answer"),
    [
        ("a", "higher", 0.12, "holds"),  # the level a alone, 10 points, would make the claim false
        ("a", "lower", 0.0, "fails"),
        ("a x b", "higher", 0.05, "holds"),
        ("b", "equal", 0.03, "holds"),
    ],
)
def test_a_claim_in_a_design_is_about_the_effect_and_not_about_a_level_of_that_name(
    catalog, effect, expect, by, answer
):
    block, made = factorial()
    (result,) = find(plan_of(block, claim(effect, "close", expect, by), **FACTORS), made, catalog).claims
    assert result.answer == answer, result.reason


# Claims


def claimed(catalog, block: Block, records: list[Record], *claims: Claim):
    return [(r.answer, r.reason) for r in find(plan_of(block, *claims), records, catalog).claims]


def test_claims_about_points_and_ratios(catalog):
    block = learning_block("a", "b")
    theirs = BASE + gain(0.05, 1e-6)
    made = runs(block, "a", close=BASE, error=BASE, loss=BASE) + runs(
        block, "b", close=theirs, error=BASE * np.exp(gain(-0.2, 1e-6)), loss=BASE
    )
    answers = claimed(
        catalog, block, made,
        claim("b", "close", "higher", 0.03),
        claim("b", "close", "higher", 0.08),
        claim("b", "close", "equal", 0.08),
        claim("b", "error", "lower", 0.1, scale="ratio"),
        claim("b", "error", "lower", 0.3, scale="ratio"),
        claim("b", "loss", "lower", scale="ratio"),  # the same in every seed
    )  # fmt: skip
    assert [answer for answer, _ in answers] == ["holds", "fails", "holds", "holds", "fails", "fails"]
    low, high = (100 * bound for bound in stats.estimate((theirs - BASE).tolist()).interval())
    assert answers[0][1] == f"+5.0 points [{low:+.1f}, {high:+.1f}]"
    assert answers[3][1].startswith("0.819 [")


def test_failure_rates_decide_claims_by_their_interval(catalog):
    block = learning_block("a", "b")
    made = runs(block, "a", close=BASE) + [run(block, "b", s, diverged_at=1, close=[0.1]) for s in range(10)]
    low = seeds.failure_difference([False] * 10, [True] * 10)[1]
    answers = claimed(
        catalog, block, made, claim("b", "diverged", "higher", low - 0.1), claim("b", "diverged", "higher", low + 0.1)
    )
    assert [answer for answer, _ in answers] == ["holds", "undecided"]


def test_claims_about_speed_and_learning_are_one_family(catalog):
    """Each claim has p = 0.03. Alone, each is true; of two, both are true only if one p-value is below 2.5 %."""
    block = learning_block("a", "b", speed=Speed())
    made = runs(block, "a", close=BASE) + runs(block, "b", close=BASE + gain(0.05, 0.03))
    spread = gain(math.log(1.1) - stats.FLOOR, 0.03, 5) + stats.FLOOR
    for number in range(5):
        made += [
            record(block, "a", number, [1e9] * 10, role="control"), record(block, "a", number, [1e9] * 10),
            record(block, "b", number, [1e9 * math.exp(spread[number])] * 10),
        ]  # fmt: skip
    learns = claim("b", "close", "higher")
    slows = claim("b", "step_time", "higher", of="train", scale="ratio")
    assert claimed(catalog, block, made, learns)[0][0] == "holds"
    assert claimed(catalog, block, made, slows)[0][0] == "holds"
    assert [answer for answer, _ in claimed(catalog, block, made, learns, slows)] == ["undecided", "undecided"]
    clearer = [r for r in made if r.measure != "learning" or r.level == "a"]
    clearer += runs(block, "b", close=BASE + gain(0.05, 0.02))
    assert [answer for answer, _ in claimed(catalog, block, clearer, learns, slows)] == ["holds", "holds"]


def test_few_seeds_or_failures_decide_nothing(catalog):
    block = learning_block("a", "b")
    few = runs(block, "a", close=BASE[:4]) + runs(block, "b", close=BASE[:4] + 0.3)
    wanted = claim("b", "close", "higher")
    assert claimed(catalog, block, few, wanted) == [("undecided", "too few seeds decide no claim")]
    failed = replace(run(block, "b", 3, close=0.1), outcome="failed", reason="it broke", data={"seed": 3})
    broken = [*few[:4], failed]
    assert claimed(catalog, block, broken, wanted) == [("undecided", "no verdict for all: failed: it broke")]


def test_failed_learning_claim_is_not_measured_again(catalog):
    """A false claim about learning is not measured again: its seeds would give the same values."""
    block = learning_block("a", "b", speed=Speed())
    made = runs(block, "a", close=BASE) + runs(block, "b", close=BASE - 0.1) + times(block, b=1.5)
    learns, rushes = claim("b", "close", "higher"), claim("b", "step_time", "lower", of="train", scale="ratio")
    assert blocks_to_remeasure(plan_of(block, learns), made, catalog) == []
    (again,) = blocks_to_remeasure(plan_of(block, learns, rushes), made, catalog)
    both = find(plan_of(block, learns, rushes), made + times(again, b=1.5), catalog).claims
    assert [result.answer for result in both] == ["fails", "fails"]
    assert "measured again" not in both[0].reason
    assert "measured again" in both[1].reason
