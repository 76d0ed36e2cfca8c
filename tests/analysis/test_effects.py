"""Effects in ablation designs: contrasts recover planted effects, Holm corrects them, and missing trials are reported."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from made_effects import FACTORS, TIMES, block_of, effects, plan_of, speed_records

from harness.analysis import stats
from harness.analysis.effects import Effect
from harness.analysis.findings import blocks_to_remeasure, find
from harness.analysis.verdicts import Flag, Verdict
from harness.records import designs
from harness.records.plan import Block, Claim, Plan, Skipped
from harness.records.record import Record
from harness.records.settings import Measures, Speed
from harness.report.tables.effects import effect_table


def made_up(block: Block, mains: dict, pairs: dict | None = None, replicates: int = 7, noise: float = 0.0) -> dict:
    """Values of each level: the sum of its active effects and interactions, plus a value that all levels of a replicate
    share."""
    random = np.random.default_rng(3)
    shared = random.normal(0, 5, replicates)
    return {
        trial.level: shared
        + noise * random.normal(size=replicates)
        + sum(mains.get(factor, 0.0) for factor in trial.on)
        + sum((pairs or {}).get(pair, 0.0) for pair in itertools.combinations(trial.on, 2))
        for trial in block.trials
    }


def found_by(effects: list[Effect], kind: str) -> dict[str, float]:
    return {effect.level: effect.estimate.mean for effect in effects if effect.kind == kind}


MAINS = {"a": 0.3, "b": -0.2, "c": 0.05}
PAIRS = {("a", "b"): 0.11, ("b", "c"): -0.07}


def test_a_factorial_recovers_main_effects_and_interactions():
    block = block_of("factorial")
    found = effects("factorial", made_up(block, MAINS, PAIRS), block)
    # Averaged over the other factors, each interaction counts half.
    expected = {"a": 0.3 + 0.055, "b": -0.2 + 0.055 - 0.035, "c": 0.05 - 0.035}
    assert found_by(found, designs.AVERAGE) == pytest.approx(expected, abs=1e-12)
    expected = {"a x b": 0.11, "a x c": 0.0, "b x c": -0.07}
    assert found_by(found, designs.INTERACTION) == pytest.approx(expected, abs=1e-12)
    assert len(found) == 6


def test_leave_one_out_effect_has_the_sign_of_the_contribution():
    block = block_of("leave-one-out")
    assert block.baseline.level == "all"
    found = effects("leave-one-out", made_up(block, MAINS, PAIRS), block)
    expected = {"a": 0.3 + 0.11, "b": -0.2 + 0.11 - 0.07, "c": 0.05 - 0.07}
    assert found_by(found, designs.REMOVED) == pytest.approx(expected, abs=1e-12)
    assert len(found) == 3


def shapley(values: dict[frozenset, float], factors) -> dict[str, float]:
    """The definition: the contribution of each factor, averaged over all orders of adding the factors."""
    orders = list(itertools.permutations(factors))
    total = dict.fromkeys(factors, 0.0)
    for order in orders:
        for place, factor in enumerate(order):
            before = frozenset(order[:place])
            total[factor] += (values[before | {factor}] - values[before]) / len(orders)
    return total


@pytest.mark.parametrize("factors", [("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d")])
def test_mirror_mean_is_the_shapley_value(factors):
    """Always for two factors, and for more factors without an interaction of three."""
    mains, pairs = {"a": 0.3, "b": -0.2, "d": 1.0}, {("a", "b"): 0.11, ("b", "c"): -0.07, ("a", "d"): 0.5}
    block, whole = block_of("mirror", factors), block_of("factorial", factors)
    found = effects("mirror", made_up(block, mains, pairs), block)
    every = {frozenset(t.on): float(made_up(whole, mains, pairs)[t.level][0]) for t in whole.trials}
    assert found_by(found, designs.BOTH) == pytest.approx(shapley(every, factors), abs=1e-12)
    added, removed = found_by(found, designs.ADDED), found_by(found, designs.REMOVED)
    assert added == pytest.approx({factor: mains.get(factor, 0.0) for factor in factors}, abs=1e-12)
    assert found_by(found, designs.REST) == pytest.approx({f: removed[f] - added[f] for f in factors}, abs=1e-12)


@pytest.mark.parametrize("design", designs.BASELINES)
def test_contrast_weights_sum_to_zero(design):
    """A value that all trials of a replicate share cancels, since the weights sum to 0."""
    for factors in (("a", "b"), FACTORS, ("a", "b", "c", "d", "e")):
        levels = designs.combinations(design, factors)
        assert len(set(levels.values())) == len(levels)
        assert next(iter(levels)) == designs.BASELINES[design]
        for contrast in designs.contrasts(design, factors):
            assert sum(weight for _, weight in contrast.weights) == pytest.approx(0, abs=1e-12)
            assert contrast.kind in designs.WORDS


def test_single_remaining_factor_has_one_effect():
    """Here --only has turned the other factors into contexts."""
    for design in ("factorial", "leave-one-out"):
        assert len(designs.contrasts(design, ("a",))) == 1
    kinds = [contrast.kind for contrast in designs.contrasts("mirror", ("a",))]
    assert kinds == [designs.ADDED, designs.REMOVED, designs.BOTH]


def test_effect_with_missing_combinations_has_a_reason():
    block = block_of("mirror", without=("all-b",))
    values = made_up(block, MAINS)
    del values["c"]
    found = effects("mirror", values, block, excluded={"c": (Verdict.INVALID, "c failed")})
    lacking = {(e.kind, e.level): e.reason for e in found if e.estimate is None}
    assert lacking == {
        (designs.REMOVED, "b"): "needs all-b, not measured",
        (designs.BOTH, "b"): "needs all-b, not measured",
        (designs.REST, "b"): "needs all-b, not measured",
        (designs.ADDED, "c"): "needs c: c failed",
        (designs.BOTH, "c"): "needs c: c failed",
        (designs.REST, "c"): "needs c: c failed",
    }
    assert all(effect.verdict == "invalid" and effect.size is None for effect in found if effect.estimate is None)
    assert len(found) - len(lacking) == 6


def test_p_values_are_adjusted_over_the_effects_of_a_block():
    block = block_of("factorial")
    found = effects("factorial", made_up(block, MAINS, PAIRS, noise=0.05), block)
    raw = [effect.estimate.p_value() for effect in found]
    order = np.argsort(raw)
    expected = np.minimum(1, np.maximum.accumulate(np.array(raw)[order] * np.arange(6, 0, -1)))
    assert np.array([effect.adjusted for effect in found])[order] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("p_values", [[], [0.01], [0.04, 0.01, 0.03, 0.005], [0.5, 0.9, 0.9], [0.02, 0.02, 0.02]])
def test_holm_adjusted_p_values_agree_with_the_step_down(p_values):
    adjusted = stats.holm_adjusted(p_values)
    for alpha in (0.01, 0.05, 0.1, 0.5):
        decided = [level > 0 for level in stats.holm_levels(p_values, alpha)]
        assert [value <= alpha for value in adjusted] == decided


def decided(estimate: stats.Estimate) -> tuple[Verdict, str]:
    low, high = estimate.interval()
    return Verdict.SLOWER if low > 0 else Verdict.FASTER if high < 0 else Verdict.UNDECIDED, ""


def test_effect_that_is_clear_alone_is_corrected_for_many():
    """p = 0.03 is significant alone, but not as one of six effects."""
    block, random = block_of("factorial"), np.random.default_rng(0)
    values = {trial.level: random.normal(0, 1, 8) for trial in block.trials}
    (a, *_) = effects("factorial", values, block)
    wanted = stats.t_quantile(1 - 0.03 / 2, 7) * a.estimate.error - a.estimate.mean
    values = {trial.level: values[trial.level] + wanted * ("a" in trial.on) for trial in block.trials}
    (a, *_) = effects("factorial", values, block, decided)
    assert a.estimate.p_value() == pytest.approx(0.03)
    assert decided(a.estimate)[0] == "slower"
    assert (a.verdict, a.reason) == ("undecided", "slower on its own, not after correcting for 6 comparisons")
    more = {trial.level: values[trial.level] + 3 * ("a" in trial.on) for trial in block.trials}
    assert effects("factorial", more, block, decided)[0].verdict == "slower"


def test_effect_has_the_flags_of_its_levels():
    block = block_of("leave-one-out")
    values = made_up(block, MAINS, noise=0.001)
    excluded = {"all-b": (Verdict.UNRANKED, "it computes a different answer on purpose")}
    flags = {"all": (Flag.CPU_CLOCK,), "all-a": (Flag.CPU_CLOCK, Flag.CHANGES_UPDATE)}
    a, b, c = effects("leave-one-out", values, block, decided, excluded=excluded, flags=flags)
    assert (a.verdict, a.flags) == ("slower", ("cpu-clock", "changes update"))
    assert (b.verdict, b.reason) == ("unranked", "it computes a different answer on purpose")
    assert (c.verdict, c.flags) == ("slower", ("cpu-clock",))


def test_ratios_and_differences_are_formatted():
    effect = Effect(
        block=block_of("mirror"), level="a", mode="train", metric="m", kind=designs.ADDED,
        estimate=stats.Estimate(0.1, 0.01, 9, 10),
    )  # fmt: skip
    assert effect.size == pytest.approx(math.exp(0.1))
    low, high = effect.interval
    assert math.log(high) - math.log(low) == pytest.approx(2 * 0.01 * stats.t_quantile(0.975, 9))
    assert replace(effect, scale="difference").size == 0.1
    assert replace(effect, estimate=stats.estimate([0.1])).interval is None


@pytest.mark.parametrize("replicates", [5, 10])
def test_holm_over_contrasts_controls_the_family_error(replicates):
    """Nothing is planted. At 5 %, fewer than 6 % of the experiments find an effect. The contrasts are not independent;
    Holm's method does not need that."""
    random = np.random.default_rng(11)
    for design, factors in (("mirror", FACTORS), ("factorial", ("a", "b", "c", "d"))):
        levels = designs.combinations(design, factors).values()
        made = designs.contrasts(design, factors)
        weights = np.array([[dict(contrast.weights).get(on, 0.0) for on in levels] for contrast in made])
        values = random.normal(size=(4000, replicates, len(levels)))
        each = values @ weights.T  # experiments, replicates, effects
        t = np.abs(each.mean(axis=1)) / (each.std(axis=1, ddof=1) / math.sqrt(replicates))
        # Holm finds some effect exactly if it finds the clearest one, whose p-value is multiplied by the number of
        # effects.
        critical = stats.t_quantile(1 - 0.05 / 2 / len(made), replicates - 1)
        assert (t.max(axis=1) > critical).mean() < 0.06, design
        # the part of Holm's method after the first step
        assert (t.max(axis=1) > stats.t_quantile(0.975, replicates - 1)).mean() > 0.3, design
        first = [2 * stats.t_tail(float(x), replicates - 1) for x in t[0]]
        assert (min(stats.holm_adjusted(first)) <= 0.05) == (t[0].max() > critical)


# within the findings of a run


def claim(effect: str, expect: str, by: float) -> Claim:
    return Claim("says", effect, "step_time", expect, by, "train", {}, "all")


def test_effects_on_speed_are_ratios_with_a_verdict(catalog):
    plan = plan_of(claims=(claim("a", "higher", 0.5), claim("a x b", "higher", 0.02), claim("b", "higher", 0.0)))
    found = find(plan, speed_records(plan.blocks[0], TIMES), catalog)
    a, b, both = found.effects_in(plan.blocks[0], "train")
    assert a.size == pytest.approx(2.0 * math.sqrt(1.05), rel=2e-3)
    assert b.size == pytest.approx(0.9 * math.sqrt(1.05), rel=2e-3)
    assert (both.level, both.kind) == ("a x b", designs.INTERACTION)
    assert both.size == pytest.approx(1.05, rel=3e-3)
    assert [effect.verdict for effect in (a, b, both)] == ["slower", "faster", "slower"]
    assert all(effect.interval[0] < effect.size < effect.interval[1] for effect in (a, b, both))
    assert [result.answer for result in found.claims] == ["holds", "holds", "fails"]
    assert found.claims[2].against == (plan.blocks[0].id,)


def test_claim_in_a_mirror_is_about_the_average_effect(catalog):
    plan = plan_of("mirror", claims=(claim("b", "lower", 0.07),))
    found = find(plan, speed_records(plan.blocks[0], TIMES), catalog)
    sizes = {effect.kind: effect.size for effect in found.effects_in(plan.blocks[0], "train") if effect.level == "b"}
    assert sizes == pytest.approx(
        {designs.ADDED: 0.9, designs.REMOVED: 0.945, designs.BOTH: 0.9 * math.sqrt(1.05), designs.REST: 1.05}, rel=3e-3
    )
    assert found.claims[0].answer == "holds"  # relative to "full", "removed" has 0.945: the claim would fail
    assert "0.922" in found.claims[0].reason


def test_a_claim_about_an_effect_must_fail_twice(catalog):
    plan = plan_of(claims=(claim("b", "higher", 0.0),))
    first = speed_records(plan.blocks[0], TIMES)
    (again,) = blocks_to_remeasure(plan, first, catalog)
    assert find(plan, first + speed_records(again, TIMES), catalog).claims[0].answer == "fails"
    other = speed_records(again, {**TIMES, "b": 1.2, "all": 2.4})
    assert find(plan, first + other, catalog).claims[0].answer == "undecided"


def test_few_processes_or_a_first_look_decide_no_effect(catalog):
    plan = plan_of()
    (this,) = plan.blocks

    def verdicts(records: list[Record], plan: Plan = plan) -> set[tuple[str, str]]:
        found = find(plan, records, catalog).effects_in(plan.blocks[0], "train")
        assert len(found) == 3
        return {(effect.verdict, effect.reason) for effect in found}

    assert verdicts(speed_records(this, TIMES, processes=4)) == {("invalid", "4 of at least 5 processes")}
    biased = [
        replace(r, data={**r.data, "wall": [2 * x for x in r.data["wall"]], "cpu": [2 * x for x in r.data["cpu"]]})
        if r.role == "control" else r
        for r in speed_records(this, TIMES)
    ]  # fmt: skip
    assert ("undecided", "the baseline differs from itself") in verdicts(biased)
    quick = replace(plan, blocks=(replace(this, measures=Measures.of(speed=Speed(quick=True))),))
    assert verdicts(speed_records(this, TIMES, processes=1), quick) == {("undecided", "one process")}
    table = effect_table("t", find(quick, speed_records(this, TIMES, processes=1), catalog).effects)
    assert [row[-1] for row in table.rows] == ["first look: undecided"] * 3


def test_effects_with_missing_combinations_are_listed(catalog):
    three = ("a", "b", "c")
    plan = plan_of("mirror", three, skipped=(Skipped({designs.AXIS: "all-b"}, "no time"),), without=("all-b",))
    times = {trial.level: 1.0 for trial in plan.blocks[0].trials}
    records = speed_records(plan.blocks[0], times)
    broken = [record for record in records if record.level != "c"]
    broken.append(Record(plan.blocks[0].id, "c", "c", "verify", "variant", 0, 1, "failed", "it raised"))
    table = effect_table("all · train", find(plan, broken, catalog).effects_in(plan.blocks[0], "train"))
    assert table.title == "all · train: effects"
    assert [row[:2] for row in table.rows] == [
        ("a", designs.ADDED), ("a", designs.REMOVED), ("a", designs.BOTH), ("a", designs.REST),
        ("b", designs.ADDED), ("c", designs.REMOVED),
    ]  # fmt: skip
    assert table.notes[1:] == (
        "Not estimated: removed from full of b, average of both of b, interaction with the rest of b (needs all-b: no time).",
        "Not estimated: added to base of c, average of both of c, interaction with the rest of c "
        "(needs c: failed: it raised).",
    )


def test_the_header_names_the_estimand(catalog):
    plan = plan_of("leave-one-out")
    times = {"all": 2.0, "all-a": 1.0, "all-b": 2.0}
    table = effect_table(
        "t", find(plan, speed_records(plan.blocks[0], times, wobble=0), catalog).effects_in(plan.blocks[0], "train")
    )
    assert table.title == "t: effects, removed from full"
    assert table.headers == ("factors", "ratio", "95 % interval", "p (Holm)", "verdict")
    assert table.rows[0][:2] == ("a", "2.000")
    assert (table.rows[0][-1], table.rows[1][-1]) == ("slower", "equivalent")
    assert effect_table("t", []) is None
