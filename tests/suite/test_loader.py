"""Parsing of suites: fields, axes, designs, --set, and error messages with their places."""

from __future__ import annotations

import json

import pytest
from toy_suite import SUITE, read

from harness.errors import UserError
from harness.plugins.catalog import core_catalog
from harness.suite.loader import ABSENT, PRESENT
from harness.suite.schema import json_schema


def complaints(text: str, *settings: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        read(text, *settings)
    return str(caught.value).splitlines()


def test_valid_suite_is_parsed():
    suite = read(SUITE)
    assert suite.axis == "what"
    assert [a.path for a in suite.base] == [
        ("model", "name"),
        ("dataset", "name"),
        ("dataset", "batch_size"),
        ("use", "descent"),
    ]
    assert suite.measures.speed.budget == 1.0
    assert suite.measures.speed.half_width == 0.5


@pytest.mark.parametrize(
    ("measure", "modes"),
    [
        ("{memory: {}}", ("train",)),
        ("{speed: {of: [inference, train]}, memory: {}}", ("inference", "train")),
        ("{speed: {of: inference}, memory: {of: [train, train]}}", ("train",)),
    ],
)
def test_memory_and_cost_have_the_modes_of_speed(measure, modes):
    text = SUITE[: SUITE.index("measure:")]
    assert read(f"{text}measure: {measure}").measures.kinds["memory"]["of"] == list(modes)
    assert read(f"{text}measure: {measure.replace('memory', 'cost')}").measures.kinds["cost"]["of"] == list(modes)


def test_every_error_is_reported_at_once_with_its_place():
    text = """question: q
base: {model: linear, dataset: points, us: [descent]}
axes:
  what: {plain: {}, other: {modle: mlp}}
compare: {axis: wht, baseline: plain}
measure: {speed: {budget: 60, half_width: wide, of: trian, visits: 1}}
claims:
  - {says: x, level: other, expect: fastre}
mesure: {}
"""
    assert complaints(text) == [
        "suite.yaml:2:40: there is no field 'us' here. Did you mean use?",
        "suite.yaml:4:29: there is no field 'modle' here. Did you mean model?",
        "suite.yaml:6:53: of: input should be 'train', 'inference', 'call', 'fresh' or 'program'.",
        "suite.yaml:6:43: half_width: expected a share such as 2% or 0.02.",
        "suite.yaml:6:27: budget: expected a duration with its unit, such as 60 s or 2 min.",
        "suite.yaml:6:68: visits: input should be greater than or equal to 5.",
        "suite.yaml:8:37: expect: expected lower, higher, better, worse, faster, slower, less or more, as in: lower by "
        "5%, not worse, at most 5% slower; or equal within 2%; or at least 90%; found 'fastre'. Did you mean faster.",
        "suite.yaml:9:1: there is no field 'mesure' here. Did you mean measure?",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("axis: what", "axis: waht"), "suite.yaml:11:17: there is no axis 'waht'. Did you mean what?"),
        (("baseline: plain", "baseline: plian"), "suite.yaml:11:33: axis what has no level 'plian'. Did you mean plain?"),
        (("    backwards: {use: [reverse]}\n", ""), "axis what has only one level, so there is nothing to compare."),
        (("model: linear", "model: {size: 3}"), "base lacks the name of a model."),
        (("use: [descent]", "use: [descent]\n  drop: [x]"), "base cannot drop anything."),
        (("use: [descent]", "use: [{lr: 1}]"), "an entry of use needs a name."),
        (("model: linear", "model: 3"), "model: expected a name, or a mapping with a name and parameters."),
        (("plain: {}", "because: {}"), "'because' is reserved for skip."),
        (("measure:", "skip: [{what: backwrds, because: no}]\nmeasure:"), "axis what has no level 'backwrds'. Did you mean backwards?"),
        (("measure:", "skip: [{waht: backwards, because: no}]\nmeasure:"), "there is no axis 'waht'. Did you mean what?"),
        (("measure:", "skip: [{what: backwards}]\nmeasure:"), "lacks 'because'"),
        (("measure:", "claims: [{says: s, level: plain, expect: lower}]\nmeasure:"), "'plain' is not a level of what other than its baseline."),
        (("measure:", "claims: [{says: s, level: backwards, expect: lower, where: {what: plain}}]\nmeasure:"), "what is the compared axis"),
        (("plain: {}", "path: modle.x\n    values: [1]"), "'modle.x' is not a path in the base."),
        (("seconds: 10 ms", "seconds: 0 s"), "seconds: input should be greater than 0."),
        (("question: Does the toy work?", ""), "the suite lacks 'question'."),
    ],
)  # fmt: skip
def test_errors(change, message):
    assert change[0] in SUITE
    text = SUITE.replace(*change)
    if "path:" in change[1]:
        text = text.replace("    backwards: {use: [reverse]}\n", "")
    assert any(message in line for line in complaints(text)), complaints(text)


def test_suite_must_be_a_mapping():
    assert complaints("- a\n- b") == [
        "suite.yaml:1:1: expected a mapping. docs/suites.md explains what a suite contains."
    ]


def test_path_axis_names_levels_by_value():
    text = SUITE.replace("compare:", "  rate: {path: use.descent.lr, values: [0.01, 1e-3, on]}\ncompare:")
    suite = read(text)
    assert list(suite.axes["rate"]) == ["0.01", "0.001", "on"]
    first = suite.axes["rate"]["0.01"]
    assert [(a.path, a.value) for a in first] == [(("use", "descent"), PRESENT), (("use", "descent", "lr"), 0.01)]


def test_where_and_skip_accept_numbers_and_lists():
    text = SUITE.replace("compare:", "  rate: {path: use.descent.lr, values: [1, 2, 3]}\ncompare:").replace(
        "measure:", "skip: [{rate: [1, 2], because: few}]\nmeasure:"
    )
    assert read(text).skip == (({"rate": ["1", "2"]}, "few"),)


def test_drop_comes_before_use():
    text = SUITE.replace("backwards: {use: [reverse]}", "other: {use: [second_descent], drop: [descent]}")
    assert [(a.path[1], a.value) for a in read(text).axes["what"]["other"]] == [
        ("descent", ABSENT),
        ("second_descent", PRESENT),
    ]


@pytest.mark.parametrize(
    ("setting", "path", "expected"),
    [
        ("base.model.bias=false", ("model", "bias"), False),
        ("base.dataset.batch_size=4", ("dataset", "batch_size"), 4),
        ("base.use.descent.lr=1e-3", ("use", "descent", "lr"), 0.001),
        ("base.use.picky.amount=2", ("use", "picky", "amount"), 2),
        ("base.model={name: mlp, hidden_size: 3}", ("model", "hidden_size"), 3),
        ("base.seed=7", ("seed",), 7),
    ],
)
def test_set_overrides_any_field(setting, path, expected):
    found = {a.path: a for a in read(SUITE, setting).base}
    assert found[path].value == expected
    assert str(found[path].where).startswith("--set")


def test_set_errors_name_the_option():
    assert complaints(SUITE, "base.modl=mlp") == [
        "--set base.modl=mlp: there is no field 'modl' here. Did you mean model?"
    ]
    assert complaints(SUITE, "question") == [
        "--set question: expected path=value. For example --set base.model.hidden_size=64."
    ]
    assert "question is a single value and has no fields" in complaints(SUITE, "question.x=1")[0]
    assert "budget: expected a duration with its unit" in complaints(SUITE, "measure.speed.budget=3")[0]


def test_the_json_schema_knows_every_field():
    schema = json_schema(core_catalog())
    json.dumps(schema)
    assert set(schema["properties"]) == {
        "question", "base", "axes", "compare", "design", "measure", "claims", "presets", "skip",
    }  # fmt: skip
    assert "in" in schema["$defs"]["ClaimSchema"]["properties"]
    assert schema["additionalProperties"] is False


# ablation designs

ABLATION = """
question: What does each do?
base: {model: linear, dataset: {name: points, batch_size: 8}, use: [descent]}
axes:
  clipping: {off: {}, norm: {use: [spin]}}
  bias: {without: {model: {bias: false}}, with: {}}
  size: {path: dataset.size, values: [300, 400, 500]}
design: {kind: factorial, factors: [bias, clipping]}
measure: {speed: {}}
"""


def test_a_design_needs_no_compare_and_names_its_factors():
    suite = read(ABLATION)
    assert (suite.design, suite.factors) == ("factorial", ("clipping", "bias"))  # in the order of the axes
    assert (suite.axis, suite.baseline) == ("factors", "none")
    two = ABLATION.replace("  size: {path: dataset.size, values: [300, 400, 500]}\n", "")
    assert read(two.replace("{kind: factorial, factors: [bias, clipping]}", "mirror")).factors == ("clipping", "bias")
    assert read(two.replace("{kind: factorial, factors: [bias, clipping]}", "leave-one-out")).baseline == "all"
    assert read(SUITE).design == read(SUITE + "design: grid").design == "grid"


def test_effect_of_a_claim_ignores_factor_order():
    claims = "claims: [{says: s, effect: bias x clipping, expect: lower}, {says: s, effect: bias, expect: lower}]"
    assert [claim.level for claim in read(ABLATION + claims).claims] == ["clipping x bias", "bias"]


def test_all_errors_of_a_design_are_reported_at_once():
    text = (
        ABLATION.replace("[bias, clipping]", "[bias, clpping, bias, size]")
        + """
compare: {axis: clipping, baseline: off}
claims:
  - {says: x, level: clipping, expect: lower}
  - {says: x, effect: bais, expect: lower}
  - {says: x, expect: lower}
  - {says: x, effect: bias, level: bias, expect: lower}
  - {says: x, effect: bias, where: {size: 300, bias: with}, expect: lower}
"""
    )
    assert complaints(text) == [
        "suite.yaml:8:43: there is no axis 'clpping'. Did you mean clipping?",
        "suite.yaml:8:52: factor bias is listed twice. Remove one.",
        "suite.yaml:7:3: a factor has two levels, off and then on; axis size has 3. If it is a context, list the "
        "factors: design: {kind: factorial, factors: [...]}.",
        "suite.yaml:11:1: a factorial design always has the baseline none: all factors off. Remove compare.",
        "suite.yaml:13:15: a claim in a factorial design must be about an effect. Use effect. Known: bias, bias x size, size.",
        "suite.yaml:14:23: 'bais' is not an effect of this factorial design. Did you mean bias?",
        "suite.yaml:15:5: the claim lacks 'effect'. Known: bias, bias x size, size.",
        "suite.yaml:16:29: a claim in a factorial design must be about an effect. Remove level.",
        "suite.yaml:17:37: size is a factor; where may only name the other axes.",
        "suite.yaml:17:48: bias is a factor; where may only name the other axes.",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("{kind: factorial, factors: [bias, clipping]}", "factoral"), "suite.yaml:8:9: kind: input should be 'grid', 'leave-one-out', 'mirror' or 'factorial'."),
        (("{kind: factorial, factors: [bias, clipping]}", "3"), "suite.yaml:8:9: design: expected a design's name, or a mapping with kind and factors."),
        (("kind: factorial, ", ""), "suite.yaml:8:9: design lacks 'kind'."),
        (("factors:", "factor:"), "suite.yaml:8:27: there is no field 'factor' here. Did you mean factors?"),
        (("kind: factorial", "kind: grid"), "suite.yaml:8:22: a grid has no factors. Remove them, or choose one of leave-one-out, mirror, factorial."),
        (("{kind: factorial, factors: [bias, clipping]}", "grid"), "suite.yaml:2:1: the suite lacks 'compare'."),
        (("[bias, clipping]", "[bias]"), "suite.yaml:8:9: factorial needs 2 to 5 factors; this suite has 1."),
        (("kind: factorial, factors: [bias, clipping]", "kind: mirror, factors: [bias]"), "mirror needs at least 2 factors; this suite has 1."),
        (("  clipping:", "  all:"), "suite.yaml:5:3: a factor cannot be named 'all'"),
        (("bias:", "a+b:"), "suite.yaml:6:3: a factor cannot be named 'a+b'"),
    ],
)  # fmt: skip
def test_errors_in_a_design(change, message):
    assert change[0] in ABLATION
    text = ABLATION.replace(*change)
    for name in ("all", "a+b"):
        if f"  {name}:" in text:
            text = text.replace("[bias, clipping]", f"[bias, clipping, {name}]")
    assert any(message in line for line in complaints(text)), complaints(text)


def test_a_grid_has_no_effects():
    text = SUITE + "claims: [{says: s, effect: backwards, expect: lower}, {says: s, expect: lower}]"
    assert complaints(text) == [
        "suite.yaml:14:20: a grid compares levels; it has no effects. Use level, or choose another design.",
        "suite.yaml:14:55: the claim lacks 'level'. Name a level of what.",
    ]
