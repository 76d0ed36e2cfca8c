"""Planning of claims about resources and about growth along an axis."""

from __future__ import annotations

import pytest
from toy_suite import SUITE, read

from harness.analysis.findings import find
from harness.errors import UserError
from harness.plan.planner import make_plan
from harness.records.plan import Claim

SIZES = SUITE.replace("compare:", "  size: {path: dataset.size, values: [64, 128, 256]}\ncompare:") + "  memory: {}\n"


def planned_claim(catalog, fields: str, *settings: str) -> Claim:
    claims = f"claims:\n  - {{says: s, level: backwards, {fields}}}\n"
    return make_plan(read(SIZES + claims, *settings), catalog).claims[0]


@pytest.mark.parametrize(
    ("fields", "settings", "expected"),
    [
        ("metric: kept_bytes, expect: better", (), ("kept_bytes", "train", "lower", "ratio", "", True)),
        ("metric: kept_bytes/points, expect: worse", (), ("kept_bytes/points", "train", "higher", "ratio", "", True)),
        ("metric: peak_bytes, expect: lower, of: inference", ("measure.memory.of=[train, inference]",),
         ("peak_bytes", "inference", "lower", "ratio", "", True)),
        ("metric: kept_bytes, expect: lower", ("measure.memory.of=[inference, train]",),
         ("kept_bytes", "train", "lower", "ratio", "", True)),
        ("metric: flops, expect: equal within 0%", ("measure.cost.of=train",),
         ("flops", "train", "equal", "ratio", "", True)),
        ("metric: kept_bytes, along: size, expect: better", (),
         ("kept_bytes", "train", "lower", "exponent", "size", True)),
        ("metric: peak_bytes, expect: at most 10% more", (),
         ("peak_bytes", "train", "not higher", "ratio", "", True)),
        ("metric: kept_bytes, expect: not worse", (), ("kept_bytes", "train", "not higher", "ratio", "", True)),
        ("metric: kept_bytes, expect: at most 1 MiB", (), ("kept_bytes", "train", "at most", "value", "", True)),
        ("metric: parameters, expect: at most 1e6", (), ("parameters", "train", "at most", "value", "", True)),
        ("along: size, expect: not worse", (), ("step_time", "train", "not higher", "exponent", "size", False)),
        ("along: size, expect: higher", (), ("step_time", "train", "higher", "exponent", "size", False)),
    ],
)  # fmt: skip
def test_resource_and_growth_claims_are_planned(catalog, fields, settings, expected):
    found = planned_claim(catalog, fields, *settings)
    assert (found.metric, found.of, found.expect, found.scale, found.along, found.exact) == expected


@pytest.mark.parametrize(
    ("fields", "settings", "field", "message"),
    [
        ("metric: flops, expect: lower", (), "metric", "flops is not measured. Add measure.cost."),
        ("metric: kept_bites, expect: lower", (), "metric", "there is no metric named 'kept_bites'. Did you mean kept_bytes or peak_bytes?"),
        ("metric: step_tiem, expect: lower", (), "metric", "there is no metric named 'step_tiem'. Did you mean step_time"),
        ("metric: parameters/points, expect: lower", (), "metric", "there is no metric named 'parameters/points'. Did you mean parameters"),
        ("metric: resident_rise, expect: lower", (), "metric", "resident_rise is neither exact nor does it have an interval, so it cannot decide a claim. Use a time, or an exact quantity such as kept_bytes."),
        ("metric: kept_bytes, of: inference, expect: lower", (), "of", "inference is not measured. measure.memory.of is train."),
        ("metric: kept_bytes, of: inference, expect: lower", ("measure.memory.of=[train, inference]",), "metric",
         "inference has no kept_bytes. Use of: train."),
        ("metric: kept_bytes, expect: lower", ("measure.memory.of=inference",), "metric", "inference has no kept_bytes. Add train to measure.memory.of."),
        ("metric: kept_bytes, expect: lower by 1 point", (), "expect", "kept_bytes is compared by its ratio: use %."),
        ("metric: kept_bytes, expect: not slower", (), "expect", "kept_bytes is not a time. Use not worse."),
        ("metric: kept_bytes, expect: at most 20 ms", (), "expect", "kept_bytes is not given in ms. Example: at most 100 MB."),
        ("metric: parameters, expect: at most 20%", (), "expect", "parameters is not given in %. Example: at most 1000."),
        ("along: size, expect: not slower", (), "expect", "not slower may mean a time or its growth. Use lower or higher: the exponent of the level against the baseline's."),
        ("along: size, expect: at most 2", (), "expect", "a difference of exponents has no amount: it is neither a share of a ratio nor points. Use lower or higher."),
        ("along: sise, expect: lower", (), "along", "there is no axis 'sise'. Did you mean size?"),
        ("along: what, expect: lower", (), "along", "what is the compared axis. Name another axis, whose levels are numbers."),
        ("along: size, expect: lower", ("axes.size.values=[64, few, 256]",), "along", "the level 'few' of size is not a number above zero. Growth needs an axis whose levels are numbers."),
        ("along: size, expect: lower", ("axes.size.values=[64, 128]",), "along", "size has 2 levels; an exponent needs at least 3. Add levels to it."),
        ("along: size, where: {size: 64}, expect: lower", (), "where", "the exponent is along size. An exponent uses all levels of its axis: remove it from where."),
        ("along: size, metric: update_time, expect: lower", (), "metric", "no exponent of update_time is fitted. Did you mean step_time?"),
        ("along: size, of: learning, expect: lower", (), "of", "exponents are fitted to single steps. Use of: train, or of: inference."),
        ("along: size, metric: flops, expect: lower", (), "metric", "flops is not measured. Add measure.cost."),
        ("along: size, expect: lower by 5%", (), "expect", "a difference of exponents has no amount: it is neither a share of a ratio nor points. Use lower without an amount."),
        ("along: size, expect: equal within 1 point", (), "expect", "a difference of exponents has no amount: it is neither a share of a ratio nor points. Use lower or higher."),
    ],
)  # fmt: skip
def test_impossible_resource_claims_are_errors(catalog, fields, settings, field, message):
    with pytest.raises(UserError) as caught:
        planned_claim(catalog, fields, *settings)
    column = len("  - {says: s, level: backwards, ") + fields.index(f"{field}: ") + len(f"{field}: ") + 1
    line = SIZES.count("\n") + 2
    assert f"suite.yaml:{line}:{column}: {message}" in str(caught.value)


def test_ablation_design_allows_neither_claim(catalog):
    text = """
question: Does either matter?
base: {model: linear, dataset: {name: points, batch_size: 8}, use: [descent]}
axes:
  turned: {off: {}, on: {use: [reverse]}}
  spun: {off: {}, on: {use: [spin]}}
  size: {path: dataset.size, values: [64, 128, 256]}
design: {kind: factorial, factors: [turned, spun]}
measure: {speed: {}, memory: {}}
claims: [{says: s, effect: turned, metric: kept_bytes, expect: lower}, {says: s, effect: spun, along: size, expect: lower}]
"""
    value = text.replace("metric: kept_bytes, expect: lower", "expect: at most 20 ms")
    with pytest.raises(UserError, match="10:44: an effect is a difference, so it has no value of its own"):
        read(value)
    with pytest.raises(UserError) as caught:
        make_plan(read(text), catalog)
    assert str(caught.value).splitlines() == [
        "suite.yaml:10:44: an ablation design estimates no effects on kept_bytes. Use a grid, which compares levels.",
        "suite.yaml:10:103: an ablation design fits no exponents. Use a grid, which compares levels.",
    ]


def test_fewer_levels_on_the_command_line_leave_growth_undecided(catalog):
    claims = "claims: [{says: s, level: backwards, metric: kept_bytes, along: size, expect: lower}]\n"
    plan = make_plan(read(SIZES + claims), catalog, only={"size": ["64", "128"]})
    (result,) = find(plan, [], catalog).claims
    assert (result.answer, result.reason[:24]) == ("undecided", "no exponent up to 128: i")
