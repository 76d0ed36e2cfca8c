"""Planning: a suite becomes blocks of trials, and impossible suites are rejected with all errors."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from toy_suite import SUITE, read

from harness.errors import UserError
from harness.plan.estimates import estimated_seconds
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.records.plan import Block, Plan

CONTEXT = SUITE.replace("compare:", "  size: {path: dataset.size, values: [300, 400]}\ncompare:")


def complaint(planned, *arguments, **options) -> str:
    with pytest.raises(UserError) as caught:
        planned(*arguments, **options)
    return str(caught.value)


def test_blocks_are_contexts_and_trials_levels(planned):
    plan = planned(text=CONTEXT)
    assert [block.context for block in plan.blocks] == [{"size": "300"}, {"size": "400"}]
    for block, size in zip(plan.blocks, (300, 400), strict=True):
        assert [trial.level for trial in block.trials] == ["plain", "backwards"]
        assert {trial.dataset.parameters["size"] for trial in block.trials} == {size}
        assert block.baseline.level == "plain"
        assert [spec.name for spec in block.trials[1].use] == ["descent", "reverse"]
    assert plan.blocks[0].id != plan.blocks[1].id


def test_trial_id_depends_on_everything_that_determines_the_trial(planned):
    (block,) = planned().blocks
    plain = block.baseline
    assert plain.model.parameters == {"bias": True}  # defaults resolved
    assert plain.fingerprint == "points 1"
    assert plain.model.version.startswith("sha256:")
    (same,) = planned("backwards: {use: [reverse]}\n    more: {}").blocks
    assert same.baseline.id == plain.id  # other levels are not part of it
    ids = {plain.id}
    for change in (
        "base.model.bias=false", "base.model=mlp", "base.dataset.size=300", "base.dataset.batch_size=16",
        "base.use.descent.lr=1", "base.seed=1", "base.use.picky.amount=2",
    ):  # fmt: skip
        (block,) = planned("", change).blocks
        ids.add(block.baseline.id)
    assert len(ids) == 8


def test_environment_is_not_part_of_the_trial_id(planned):
    (block,) = planned("away: {use: [{name: elsewhere, threads: 2}]}").blocks
    assert block.takes_turns
    assert block.threads == 2
    away = block.trials[1]
    assert away.environment == {"TOY": "1", "HARNESS_THREADS": "2"}
    assert replace(away, environment={}).id == away.id  # its parts and their versions are part of it
    assert Plan.from_json(planned("away: {use: [elsewhere]}").to_json()).blocks[0].takes_turns
    assert not planned().blocks[0].takes_turns


def test_conflicting_environment_variables_are_an_error(planned):
    message = complaint(planned, "away: {use: [elsewhere, contrary]}")
    assert "elsewhere and contrary both set TOY, to '1' and '2'. Drop one." in message
    assert message.startswith("suite.yaml:10:")


def test_a_plan_survives_json(planned):
    plan = planned(text=CONTEXT)
    text = json.dumps(plan.to_json())
    again = Plan.from_json(json.loads(text))
    assert json.dumps(again.to_json()) == text
    assert [block.id for block in again.blocks] == [block.id for block in plan.blocks]


def test_levels_patch_the_base(planned):
    text = SUITE.replace("model: linear", "model: {name: mlp, hidden_size: 5, dropout: 0.5}")
    levels = """
    one: {model: {hidden_size: 6}}
    two: {model: {dropout: ~}}
    three: {model: other, use: [{name: descent, lr: 1}]}
    four: {use: [second_descent], drop: [descent]}"""
    with pytest.raises(UserError) as caught:
        planned(levels, text=text)
    # `other` keeps hidden_size and dropout, which it lacks: the error names level and parameter
    assert "suite.yaml:4:22: model other has no parameter 'hidden_size' (in what three)." in str(caught.value)
    (block,) = planned(levels.replace("model: other, ", ""), text=text).blocks
    models = {trial.level: trial.model.parameters for trial in block.trials}
    assert models["plain"] == {"hidden_size": 5, "dropout": 0.5}
    assert models["one"] == {"hidden_size": 6, "dropout": 0.5}
    assert models["two"] == {"hidden_size": 5, "dropout": 0.1}
    uses = {trial.level: [(spec.name, spec.parameters) for spec in trial.use] for trial in block.trials}
    assert uses["three"] == [("descent", {"lr": 1.0})]
    assert uses["four"] == [("second_descent", {"lr": 0.01})]


@pytest.mark.parametrize(
    ("levels", "changes"),
    [
        ("x: {use: [spin]}", "rounding"),
        ("x: {use: [reverse]}", "order"),
        ("x: {use: [{name: descent, lr: 1}]}", "update"),
        ("x: {use: [spin, reverse, declared_halved]}", "update"),
        ("x: {model: mlp}", "model"),
        ("x: {model: other}", "rounding"),
        ("x: {model: {bias: false}}", "model"),
        ("x: {model: mlp, use: [declared_doubled]}", "answer"),
        ("x: {}", "rounding"),
    ],
)
def test_variant_has_the_strongest_change_of_its_parts(planned, levels, changes):
    (block,) = planned(levels).blocks
    assert block.trials[1].changes == changes


@pytest.mark.parametrize(
    ("levels", "settings", "message"),
    [
        ("x: {model: liner}", (), "suite.yaml:10:16: there is no model named 'liner'. Did you mean linear"),
        ("x: {use: [mlp]}", (), "there is no optimization named 'mlp'. 'mlp' is a model, not an optimization."),
        ("x: {model: spin}", (), "there is no model named 'spin'. 'spin' is an optimization: list it under use."),
        ("x: {model: {bais: true}}", (), "suite.yaml:10:17: model linear has no parameter 'bais' (in what x). Did you mean bias?"),
        ("x: {model: {bias: 3}}", (), "model linear.bias: expected a valid boolean, got 3 (in what x). Its type is bool."),
        ("x: {use: [{name: spin, share: often}]}", (), "optimization spin.share: expected a valid number, got 'often'"),
        ("x: {use: [second_descent]}", (), "descent and second_descent both have the role optimizer, and a trial can have one such part. Add drop: [descent]"),
        ("x: {drop: [descnt]}", (), "there is no optimization 'descnt' to drop. Did you mean descent?"),
        ("x: {drop: [descent]}", (), "training needs an optimizer. Add one to base.use: "),
        ("x: {dataset: {size: 4}}", (), "level 'x' changes the dataset of the baseline"),
        ("x: {dataset: {batch_size: 4}}", (), "level 'x' changes the batch_size of the baseline"),
        ("x: {use: [{name: picky, amount: -1}]}", (), "picky: amount = -1.0 is negative."),
        ("x: {use: [spin]}", ("base.dataset.batch_size=0",), "batch_size must be at least 1."),
        ("x: {use: [spin]}", ("base.device=tpu",), "unknown device 'tpu'. Use cpu, cuda or cuda:1."),
        ("x: {use: [forgetful, reverse]}", (), "reverse replaces order, which forgetful has changed already. Put reverse before forgetful."),
    ],
)  # fmt: skip
def test_errors_have_a_place_and_a_fix(planned, levels, settings, message):
    assert message in complaint(planned, levels, *settings)


def test_all_errors_are_reported_at_once(planned):
    text = complaint(planned, "x: {model: liner}\n    y: {use: [spn]}")
    assert len(text.splitlines()) == 2


def test_two_axes_must_not_set_the_same_leaf(planned):
    text = SUITE.replace("compare:", "  lr: {path: use.descent.lr, values: [1, 2]}\ncompare:")
    levels = "other: {use: [{name: descent, lr: 1}]}"
    assert "axes what and lr both set use.descent.lr, to 1 and 2." in complaint(planned, levels, text=text).replace(
        "axes lr and what both set use.descent.lr, to 2 and 1.", "axes what and lr both set use.descent.lr, to 1 and 2."
    )


def test_incompatible_combinations_are_skipped_with_a_reason(planned):
    plan = planned("a: {use: [plane]}\n    b: {use: [plane], model: mlp}\n    c: {use: [{name: picky, amount: 10}]}")
    assert [trial.level for trial in plan.blocks[0].trials] == ["plain", "a"]
    assert [(s.coordinates["what"], s.because) for s in plan.skipped] == [
        ("b", "plane needs plane, which mlp does not offer"),
        ("c", "more than nine is too much"),
    ]


def test_a_skip_rule_gives_its_reason(planned):
    text = CONTEXT.replace("measure:", "skip: [{size: 300, what: backwards, because: too small}]\nmeasure:")
    plan = planned(text=text)
    assert [block.context["size"] for block in plan.blocks] == ["400"]
    assert plan.skipped[0].because == "too small"
    text = CONTEXT.replace("measure:", "skip: [{what: plain, size: 300, because: no base}]\nmeasure:")
    assert [s.because for s in planned(text=text).skipped] == ["no base", "its baseline is skipped: no base"]


def test_suite_without_trials_is_an_error(planned):
    assert "every trial is skipped: never" in complaint(
        planned, text=SUITE.replace("measure:", "skip: [{what: backwards, because: never}]\nmeasure:")
    )


def test_only_keeps_levels_and_the_baseline(planned):
    levels = "a: {use: [spin]}\n    b: {use: [reverse]}"
    (block,) = planned(levels, only={"what": ["b"]}).blocks
    assert [trial.level for trial in block.trials] == ["plain", "b"]
    assert len(planned(text=CONTEXT, only={"size": ["400"]}).blocks) == 1
    assert "--only what=bb: axis what has no level 'bb'." in complaint(planned, levels, only={"what": ["bb"]})
    assert "leaves only the baseline" in complaint(planned, levels, only={"what": ["plain"]})
    assert "there is no axis 'waht'. Did you mean what?" in complaint(planned, levels, only={"waht": ["b"]})


def test_claims_need_an_interval(catalog):
    claim = "claims: [{says: s, level: backwards, metric: %s, expect: lower%s}]\nmeasure:"
    for metric, more, message in (
        ("step_tiem", "", "there is no metric named 'step_tiem'. Did you mean step_time or update_time?"),
        ("points_per_second", "", "points_per_second has no interval of its own."),
        ("step_time", ", of: inference", "inference is not measured. measure.speed.of is train."),
    ):
        with pytest.raises(UserError) as caught:
            make_plan(read(SUITE.replace("measure:", claim % (metric, more))), catalog)
        assert message in str(caught.value)


def test_quick_run_measures_speed_only(planned, catalog):
    text = SUITE + "  memory: {}\n  cost: {of: [inference]}\n  profile: {}\n"
    (block,) = planned(text=text).blocks
    assert Block.from_json(json.loads(json.dumps(block.to_json()))) == block
    assert block.measures.modes == ("train", "inference")
    (quick,) = planned(text=text, quick=True).blocks
    assert set(quick.measures.kinds) == {"speed"}
    assert quick.id == block.id
    assert estimated_seconds(quick, catalog)[0] < estimated_seconds(block, catalog)[0]


def test_inference_needs_no_optimizer(planned):
    text = SUITE.replace("use: [descent]", "use: []").replace("  speed:", "  memory: {of: inference}\n  #")
    assert planned("", text=text).blocks
    with pytest.raises(UserError, match="training needs an optimizer"):
        planned("", "measure.cost.of=train", text=text)


def test_missing_plugins_are_reported():
    from harness.plugins.manager import Plugins, load_plugins

    plugins: Plugins = load_plugins()
    for plugin in plugins.manager.get_plugins():
        if plugins.manager.get_name(plugin) != "rnn-harness":
            plugins.manager.unregister(plugin)
    with pytest.raises(UserError, match="Is rnn-harness-plugins installed"):
        make_plan(read(SUITE), Catalog(plugins))


# ablation designs

ABLATION = """
question: What does each do?
base: {model: linear, dataset: {name: points, batch_size: 8}, use: [descent]}
axes:
  size: {path: dataset.size, values: [300, 400]}
  turned: {off: {}, on: {use: [spin]}}
  order: {kept: {}, reversed: {use: [reverse]}}
  rate: {low: {}, high: {use: [{name: descent, lr: 1}]}}
design: {kind: mirror, factors: [turned, order, rate]}
measure: {speed: {}}
"""
TWO = ABLATION.replace("turned, order, rate", "turned, order").replace("  rate:", "  #")


def test_a_design_s_trials_are_named_combinations(planned):
    plan = planned(text=ABLATION)
    assert (plan.design, plan.factors, plan.axis) == ("mirror", ("turned", "order", "rate"), "factors")
    assert [block.context for block in plan.blocks] == [{"size": "300"}, {"size": "400"}]
    (block, _) = plan.blocks
    on = {trial.level: trial.on for trial in block.trials}
    assert on == {
        "none": (), "turned": ("turned",), "order": ("order",), "rate": ("rate",), "all-turned": ("order", "rate"),
        "all-order": ("turned", "rate"), "all-rate": ("turned", "order"), "all": ("turned", "order", "rate"),
    }  # fmt: skip
    assert block.baseline.level == "none"
    uses = {trial.level: [spec.name for spec in trial.use] for trial in block.trials}
    assert uses["all-rate"] == ["descent", "spin", "reverse"]
    promises = {trial.level: trial.changes for trial in block.trials}
    assert (promises["turned"], promises["all-rate"], promises["all"]) == ("rounding", "order", "update")
    assert block.trials[-1].id == replace(block.trials[-1], on=()).id  # the level is not part of the trial


@pytest.mark.parametrize(
    ("design", "levels"),
    [
        ("mirror", ["none", "turned", "order", "all"]),  # of two factors, one alone equals all without the other
        ("factorial", ["none", "turned", "order", "all"]),
        ("leave-one-out", ["all", "all-turned", "all-order"]),
    ],
)
def test_a_combination_is_measured_once(planned, design, levels):
    (block, _) = planned(text=TWO.replace("mirror", design)).blocks
    assert [trial.level for trial in block.trials] == levels


def test_factorial_has_every_combination(planned):
    (block, _) = planned(text=ABLATION.replace("mirror", "factorial")).blocks
    assert [trial.level for trial in block.trials] == [
        "none", "turned", "order", "rate", "turned+order", "turned+rate", "order+rate", "all"
    ]  # fmt: skip


def test_a_design_survives_json(planned):
    plan = planned(text=ABLATION)
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again.blocks == plan.blocks
    assert (again.design, again.factors) == (plan.design, plan.factors)
    old = planned().to_json()
    for key in ("design", "factors"):
        del old[key]
    for trial in old["blocks"][0]["trials"]:
        del trial["on"]
    assert Plan.from_json(old).design == "grid"  # a plan from a version without designs


def test_a_skipped_combination_leaves_the_rest(planned):
    rule = "skip: [{turned: on, order: reversed, because: they clash}]\nmeasure:"
    plan = planned(text=ABLATION.replace("measure:", rule), only={"size": ["300"]})
    assert [trial.level for trial in plan.blocks[0].trials] == [
        "none", "turned", "order", "rate", "all-turned", "all-order"
    ]  # fmt: skip
    assert [(s.coordinates, s.because) for s in plan.skipped] == [
        ({"size": "300", "factors": "all-rate"}, "they clash"),
        ({"size": "300", "factors": "all"}, "they clash"),
    ]


def test_factor_with_one_level_becomes_a_context(planned):
    plan = planned(text=ABLATION, only={"rate": ["high"], "size": ["300"]})
    assert plan.factors == ("turned", "order")
    (block,) = plan.blocks
    assert block.context == {"size": "300", "rate": "high"}
    assert [trial.level for trial in block.trials] == ["none", "turned", "order", "all"]
    assert {trial.use[0].parameters["lr"] for trial in block.trials} == {1.0}
    (block,) = planned(text=TWO.replace("mirror", "leave-one-out"), only={"turned": ["off"], "size": ["300"]}).blocks
    assert [trial.level for trial in block.trials] == ["all", "all-order"]
    fixed = {"turned": ["on"], "order": ["kept"]}
    assert "--only leaves no factor with two levels." in complaint(planned, text=TWO, only=fixed)


def test_factor_keeps_the_examples_and_an_error_is_reported_once(planned):
    text = ABLATION.replace("factors: [turned, order, rate]", "factors: [turned, order, rate, small]").replace(
        "design:", "  small: {no: {}, yes: {dataset: {batch_size: 4}}}\ndesign:"
    )
    assert complaint(planned, text=text) == (
        "suite.yaml:9:3: factor small changes the batch_size of the baseline, so they cannot be compared on the same "
        "examples. Remove it from design.factors; it is then a context."
    )
    message = complaint(planned, text=ABLATION.replace("[spin]", "[spn]").replace("lr: 1", "lr: often"))
    assert [line.split(": ")[0] for line in message.splitlines()] == ["suite.yaml:6:32", "suite.yaml:8:48"]
