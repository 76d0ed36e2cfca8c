"""Learning settings of a suite and claims about them: errors have a place and a fix."""

from __future__ import annotations

import pytest

from harness.errors import UserError, UserErrors

TEXT = """\
question: Which learns?
base:
  model: linear
  dataset: {name: cloud, batch_size: 8}
  use: [descent]
axes: {what: {plain: {}, other: {use: [shuffled]}}}
compare: {axis: what, baseline: plain}
measure:
  learning: {LEARNING}
claims:
  - says: It learns
    level: other
    CLAIM
"""


def suite(learning: str = "steps: 9", claim: str = "expect: better", more: str = "") -> str:
    return TEXT.replace("LEARNING", learning).replace("CLAIM", claim).replace("claims:", f"{more}claims:")


@pytest.fixture
def claimed(planned):
    """The planned claim."""

    def plan(learning: str, claim: str, more: str = ""):
        (found,) = planned(text=suite(learning, claim, more)).claims
        return found

    return plan


@pytest.mark.parametrize(
    ("claim", "expect", "by", "scale"),
    [
        ("{metric: loss, expect: better}", "lower", 0, "ratio"),
        ("{metric: loss, expect: worse by 5%}", "higher", 0.05, "ratio"),
        ("{metric: close, expect: better by 2 points}", "higher", 0.02, "difference"),
        ("{metric: close, expect: worse}", "lower", 0, "difference"),
        ("{metric: close, expect: lower by 1 point}", "lower", 0.01, "difference"),
        ("{metric: mean_close, expect: higher}", "higher", 0, "difference"),
        ("{metric: mean_loss, expect: equal within 3%}", "equal", 0.03, "ratio"),
        ("{metric: close, expect: equal within .5 points}", "equal", 0.005, "difference"),
        ("{metric: diverged, expect: better by 20 points}", "lower", 0.2, "difference"),
        ("{metric: reached, expect: better}", "higher", 0, "difference"),
        ("{metric: steps_to_target, expect: better by 10%}", "lower", 0.1, "ratio"),
        ("{metric: loss, of: learning, expect: lower}", "lower", 0, "ratio"),
    ],
)
def test_better_and_worse_become_a_direction(claimed, claim, expect, by, scale):
    found = claimed("steps: 9, target: 0.5", claim.strip("{}").replace(", ", "\n    "))
    assert (found.of, found.expect, found.scale) == ("learning", expect, scale)
    assert found.by == pytest.approx(by)


@pytest.mark.parametrize(
    ("learning", "claim", "expect", "by", "scale"),
    [
        ("steps: 9", "metric: close, expect: not worse by 1 point", "not lower", 0.01, "difference"),
        ("steps: 9", "metric: close, expect: at most 3 points worse", "not lower", 0.03, "difference"),
        ("steps: 9", "metric: loss, expect: not worse by 2%", "not higher", 0.02, "ratio"),
        ("steps: 9", "metric: loss, expect: at most 5% more", "not higher", 0.05, "ratio"),
        ("steps: 9", "metric: close, expect: at least 2 points better", "higher", 0.02, "difference"),
        ("steps: 9, metric: close, margin: 2 points", "metric: close, expect: not worse", "not lower", 0.02, "difference"),
        ("steps: 9, metric: close, margin: 2 points", "metric: mean_close, expect: not worse", "not lower", 0.02, "difference"),
        ("steps: 9, margin: 3%", "metric: loss, expect: not worse", "not higher", 0.03, "ratio"),
        ("steps: 9", "metric: close, expect: at least 90%", "at least", 0.9, "value"),
        ("steps: 9", "metric: loss, expect: at most 0.3", "at most", 0.3, "value"),
        ("steps: 9, target: 0.5", "metric: reached, expect: at least 80%", "at least", 0.8, "value"),
        ("steps: 9, target: 0.5", "metric: steps_to_target, expect: at most 8", "at most", 8, "value"),
    ],
)  # fmt: skip
def test_limits_and_values_of_scores(claimed, learning, claim, expect, by, scale):
    found = claimed(learning, claim.replace(", ", "\n    "))
    assert (found.of, found.expect, found.by, found.scale) == ("learning", expect, pytest.approx(by), scale)


@pytest.mark.parametrize(
    ("claim", "expect", "by", "scale"),
    [
        ("expect: faster", "lower", 0, "ratio"),
        ("expect: at least 5% faster", "lower", 0.05, "ratio"),
        ("expect: at most 5% slower", "not higher", 0.05, "ratio"),
        ("expect: not slower", "not higher", 0.04, "ratio"),  # the margin of the suite
        ("expect: not slower by 0%", "not higher", 0, "ratio"),
        ("metric: update_time, expect: at most 20 ms", "at most", 0.02, "value"),
    ],
)
def test_limits_and_values_of_times(claimed, claim, expect, by, scale):
    found = claimed("steps: 9", claim.replace(", ", "\n    "), "  speed: {margin: 4%}\n")
    assert (found.of, found.expect, found.by, found.scale) == ("train", expect, pytest.approx(by), scale)


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ("expect: at most 5%", "step_time is a time above 0 with its unit: us, ms, s, min, h. Example: at most 20 ms. A difference to the baseline has a direction: at most 5% slower."),
        ("expect: at most 0.3", "step_time is a time above 0 with its unit: us, ms, s, min, h. Example: at most 20 ms. A difference to the baseline has a direction: at most 5% slower."),
        ("metric: close, expect: at most 5 ms", "close is not given in ms. Use a share, such as at most 90%."),
        ("metric: loss, expect: at most 5%", "loss is not given in %. Use a number: at most 0.3."),
        ("metric: loss, expect: at most 0", "loss is above 0, so the value must be too."),
        ("metric: loss, expect: not worse", "not worse needs an amount, since loss has no margin. Example: not worse by 2%."),
        ("metric: mean_close, expect: not worse", "not worse needs an amount, since mean_close has no margin. Example: not worse by 1 point."),
        ("metric: close, expect: at most 5% slower", "close is compared by its difference: use points, such as 1 point."),
        ("metric: close, expect: not slower", "close is not a time. Use not worse."),
        ("metric: close, expect: faster", "close is not a time. Use better."),
        ("metric: time_to_target, expect: at most 5 s", "time_to_target has an interval only against the baseline. Claim a value of steps_to_target, or a difference: at least 5% better."),
    ],
)  # fmt: skip
def test_impossible_limits_and_values_are_errors(claimed, claim, message):
    with pytest.raises(UserErrors) as caught:
        claimed("steps: 9, target: 0.5", claim.replace(", ", "\n    "), "  speed: {}\n")
    assert str(caught.value).split(": ", 1)[1] == message
    line, column = str(caught.value).split(": ")[0].split(":")[1:]
    assert (line, column) == (str(14 + claim.count(",")), "13")


def test_claims_may_be_about_speed_and_learning(claimed):
    speed = "  speed: {budget: 1 s}\n"
    assert claimed("steps: 9", "expect: better", speed).of == "train"
    assert claimed("steps: 9", "expect: better", speed).expect == "lower"
    assert claimed("steps: 9", "metric: loss\n    expect: better", speed).of == "learning"
    timed = claimed("steps: 9, target: 0.5", "metric: time_to_target\n    expect: better", speed)
    assert (timed.of, timed.expect, timed.scale) == ("learning", "lower", "ratio")


@pytest.mark.parametrize(
    ("learning", "claim", "message"),
    [
        ("steps: 9", "metric: clse\n    expect: better", "13:13: there is no metric named 'clse'. Did you mean close"),
        (
            "steps: 9",
            "{metric: clse, of: learning, expect: better}",
            "13:13: cloud has no score 'clse'. Did you mean close",
        ),
        ("steps: 9", "{metric: loss, expect: better by 1 point}", "14:13: loss is compared by its ratio: use %."),
        (
            "steps: 9",
            "{metric: close, expect: equal within 2%}",
            "14:13: close is compared by its difference: use points, such as 1 point.",
        ),
        ("steps: 9", "{metric: close, expect: equal}", "14:13: expect: equal needs a margin, as in: equal within 2%"),
        ("steps: 9", "{metric: close, expect: beter}", "14:13: expect: expected lower, higher, better, worse, faster"),
        (
            "steps: 9",
            "{metric: close, expect: better by 1.2.3%}",
            "14:13: expect: an amount follows better with by, as in",
        ),
        (
            "steps: 9, seeds: 4",
            "{metric: close, expect: better}",
            "11:11: 4 seeds are too few to decide a claim. Set measure.learning.seeds to at least 5; 10 is the default.",
        ),
        (
            "steps: 9",
            "{metric: steps_to_target, of: learning, expect: better}",
            "13:13: cloud has no score 'steps_to_target'. Set measure.learning.target.",
        ),
        (
            "steps: 9",
            "{metric: reached, expect: better}",
            "13:13: cloud has no score 'reached'. Set measure.learning.target.",
        ),
        (
            "steps: 9, target: 0.5",
            "{metric: time_to_target, expect: better}",
            "13:13: cloud has no score 'time_to_target'. Measure the speed of training too.",
        ),
        ("steps: 9", "{metric: step_time, expect: better}", "13:13: step_time is not measured"),
        ("steps: 9", "{metric: close, of: train, expect: better}", "14:9: close is a score of learning. Remove of."),
        ("steps: 9, metric: clse", "{metric: close, expect: better}", "9:32: cloud has no score 'clse'. Did you mean"),
        (
            "steps: 9, margin: 1 point",
            "{metric: close, expect: better}",
            "9:32: loss is compared by its ratio, and the margin is a difference. Give the margin in %, such as 2%.",
        ),
        (
            "steps: 9, metric: close, margin: 2%",
            "{metric: close, expect: better}",
            "9:47: close is compared by its difference, and the margin is a ratio. Give the margin in points, such as 1 point.",
        ),
        (
            "steps: 9, margin: 1",
            "{metric: close, expect: better}",
            "9:32: loss is compared by its ratio, and the margin is a nu",
        ),
        ("steps: 9, margin: -1", "{metric: close, expect: better}", "9:32: margin: expected an amount such as 2% (of"),
        ("steps: 9, margin: 1..2%", "{metric: close, expect: better}", "9:32: margin: expected an amount such as 2%"),
        (
            "steps: 9, epochs: 2",
            "{metric: close, expect: better}",
            "9:13: learning: expected exactly one of steps, epochs",
        ),
        (
            "seeds: 9",
            "{metric: close, expect: better}",
            "9:13: learning: expected exactly one of steps, epochs and seconds",
        ),
        (
            "steps: 9, seeds: 0",
            "{metric: close, expect: better}",
            "9:31: seeds: expected a number of seeds, such as 10",
        ),
        ("steps: 9, seeds: [1, 1]", "{metric: close, expect: better}", "9:31: seeds: expected a number of seeds"),
        ("step: 9", "{metric: close, expect: better}", "9:14: there is no field 'step' here. Did you mean steps"),
    ],
)
def test_errors_have_a_place_and_a_fix(planned, learning, claim, message):
    with pytest.raises((UserError, UserErrors)) as caught:
        planned(text=suite(learning, claim.strip("{}").replace(", ", "\n    ")))
    assert f"suite.yaml:{message}" in str(caught.value)


def test_learning_claim_without_learning_is_an_error(planned):
    text = suite("steps: 9", "of: learning\n    expect: better").replace("learning: {steps: 9}", "speed: {}")
    with pytest.raises(UserErrors, match=r"suite.yaml:13:9: learning is not measured. Add measure.learning."):
        planned(text=text)


def test_effect_cannot_combine_steps_and_times(planned):
    text = suite("steps: 9, target: 0.5", "metric: time_to_target\n    expect: better", "  speed: {}\n")
    text = text.replace("{what: {plain: {}, other: {use: [shuffled]}}}", "{a: {o: {}, i: {}}, b: {o: {}, i: {}}}")
    text = text.replace("compare: {axis: what, baseline: plain}", "design: factorial").replace(
        "level: other", "effect: a"
    )
    with pytest.raises(UserErrors, match=r"14:13: cloud has no score 'time_to_target'. Use steps_to_target."):
        planned(text=text)


def test_seeds_are_a_number_or_a_list(planned):
    for text, seeds in (("5", (0, 1, 2, 3, 4)), ("[7, 3, 9, 1, 4]", (7, 3, 9, 1, 4))):
        (block,) = planned(text=suite(f"steps: 9, seeds: {text}", "metric: loss\n    expect: better")).blocks
        assert block.measures.learning.seeds == seeds
        assert not block.measures.learning.extended


def test_quick_run_uses_two_seeds(planned):
    (block,) = planned(text=suite("steps: 9", "metric: loss\n    expect: better"), quick=True).blocks
    assert block.measures.learning.seeds == (0, 1)
    assert not block.measures.learning.extended


def test_evaluations_are_at_most_steps(planned):
    (block,) = planned(text=suite("steps: 9", "metric: loss\n    expect: better")).blocks
    assert block.measures.learning.evaluations == 9
    assert list(block.measures.learning.scores) == ["loss", "close"]
