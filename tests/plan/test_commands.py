"""Suites of commands: what is planned, and every mistake with its place and what to do."""

from __future__ import annotations

import pytest

from harness.errors import UserError

SUITE = """
question: Which command is faster?
base:
  command: sh -c 'echo acc=0.5'
  dataset: {scores: {acc: {read: 'acc=(.+)', better: higher}, nll: {read: 'nll=(.+)', better: lower, compared: ratio}}}
axes: {command: {old: {}, new: {command: sh -c true}}}
compare: {axis: command, baseline: old}
measure: {speed: {of: program}}
"""


def with_seeds(seeds: int, more: str = "") -> str:
    return SUITE.replace("{of: program}", f"{{of: program}}, learning: {{seeds: {seeds}{more}}}")


def test_a_command_stands_for_a_model_and_a_dataset(planned):
    (block,) = planned(text=SUITE).blocks
    assert block.of_programs
    assert [(t.model.name, t.model.parameters["run"]) for t in block.trials] == [
        ("command", "sh -c 'echo acc=0.5'"), ("command", "sh -c true"),
    ]  # fmt: skip
    assert block.baseline.dataset.name == "program"
    assert {t.changes for t in block.trials} == {"rounding"}  # no remark about another model
    assert (block.measures.speed.looks, block.measures.speed.pooled) == ((5, 10, 20), False)


@pytest.mark.parametrize(
    ("seeds", "looks", "rates"),
    [
        (3, (5, 10, 20), (0.0195, 0.0195, 0.0195)),
        (7, (7, 10, 20), (0.0195, 0.0195, 0.0195)),
        (10, (10, 20), (0.025, 0.025)),
        (30, (30,), (0.05,)),
    ],
)
def test_the_first_look_is_not_before_the_last_seed(planned, seeds, looks, rates):
    (block,) = planned(text=with_seeds(seeds)).blocks
    assert (block.measures.speed.looks, block.measures.speed.rates) == (looks, rates)
    (more,) = planned(text=with_seeds(seeds), seeds=40).blocks
    assert more.measures.speed.looks == looks  # an extended run has looked already
    assert more.measures.learning.extended


def test_scores_are_those_of_the_base(planned):
    (block,) = planned(text=with_seeds(5)).blocks
    learning = block.measures.learning
    assert (learning.metric, learning.of_programs) == ("acc", True)
    assert {name: (of["better"], of["compared"]) for name, of in learning.scores.items()} == {
        "acc": ("higher", "number"), "nll": ("lower", "ratio"),
    }  # fmt: skip


def test_a_missing_seed_is_remarked(planned):
    text = with_seeds(5)
    (remark,) = planned(text=text).remarks
    assert remark == (
        "no command contains {seed}, so the programs get the seed of a run in the variable HARNESS_SEED only."
    )
    assert not planned(text=text.replace("sh -c true", "'SEED={seed} sh -c true'")).remarks


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sh -c true", "slip 1", "6:42: there is no program 'slip'. Did you mean"),
        ("sh -c true", "ls | wc", "6:42: the command 'ls | wc' has '|', which only a shell understands. Let a shell"),
        ("{of: program}", "{}", "a command is measured as a whole, by speed of program. Write measure: {speed: {of: "),
        ("{of: program}", "{of: program}, memory: {}", "memory cannot be measured of a command. Its peak memory and"),
        (
            "{of: program}",
            "{of: program}, learning: {steps: 9}",
            "learning: the runs of a command have their own length.",
        ),
        ("{of: program}", "{of: program}, learning: {metric: f1}", "program has no score 'f1'. Known: acc, nll."),
        (
            "{of: program}",
            "{of: program}, learning: {margin: 2%}",
            "acc is compared by its difference as a number, and the margin is a ratio. Give the margin in its unit",
        ),
        (
            "  dataset: {scores",
            "  use: [descent]\n  dataset: {scores",
            "a command cannot use descent. Give the program an",
        ),
        ("  dataset: {scores", "  device: cuda\n  dataset: {scores", "the device cuda means nothing to a command."),
        ("better: higher", "better: more", "score acc: better is 'more'. Use higher, lower."),
        (", better: higher", "", "score acc lacks better. Example: {read: 'acc=(.+)', better: higher}."),
        ("better: higher", "better: higher, bettr: lower", "score acc has no field 'bettr'. Did you mean better?"),
        ("read: 'acc=(.+)'", "read: acc", "the pattern 'acc' has no group around the number."),
        ("dataset: {scores", "dataset: {folder: nowhere, scores", "there is no folder 'nowhere'."),
    ],
)
def test_mistakes(planned, old, new, message):
    assert old in SUITE
    with pytest.raises(UserError) as caught:
        planned(text=SUITE.replace(old, new))
    assert message in str(caught.value)


def test_only_commands_have_the_mode_program(planned):
    from toy_suite import SUITE as TOY

    with pytest.raises(UserError, match=r"the mode program is for commands only\. Use train, inference, call or fresh"):
        planned(text=TOY.replace("speed: {", "speed: {of: program, "))
