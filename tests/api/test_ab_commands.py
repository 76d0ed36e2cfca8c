"""From command lines and options to a suite that compares them."""

from __future__ import annotations

import pytest

from harness.api.ab_commands import CommandComparison, command_name, is_command, level_names
from harness.errors import UserError
from harness.plugins.command_line import CommandLine

ACC = r"acc=([\d.]+)"


def suite(*commands: str, **options: object) -> dict:
    return dict(CommandComparison(commands or ("sleep 1", "sleep 2"), **options).suite().values)  # type: ignore[arg-type]


def test_two_commands():
    values = suite("sleep 1", "sleep  2", budget="15 s", margin="5%")
    assert values == {
        "question": "Which command is better: sleep 1 or sleep 2?",
        "base": {"command": "sleep 1"},
        "axes": {"command": {"sleep 1": {}, "sleep 2": {"command": "sleep  2"}}},
        "compare": {"axis": "command", "baseline": "sleep 1"},
        "measure": {
            "speed": {"of": "program", "seconds": "500 ms", "budget": "15 s", "margin": "5%"},
            "limit": "1 h",
        },
    }  # fmt: skip


def test_scores_over_seeds():
    values = suite(metrics=[ACC, "json:loss"], better="acc=higher,loss=lower", seeds=7, margin="1 point")
    assert values["base"]["dataset"]["scores"] == {
        "acc": {"read": ACC, "better": "higher", "compared": "share"},
        "loss": {"read": "json:loss", "better": "lower", "compared": "number"},
    }
    assert values["measure"]["learning"] == {"metric": "acc", "seeds": 7, "margin": "1 point"}
    assert "margin" not in values["measure"]["speed"]
    assert suite(metrics=[ACC], better="higher")["measure"]["learning"] == {"metric": "acc", "seeds": 10}


@pytest.mark.parametrize(
    ("margin", "compared"), [("2%", "ratio"), ("1 point", "share"), ("0.5", "number"), ("", "number")]
)
def test_the_margin_says_how_a_score_is_compared(margin, compared):
    values = suite(metrics=[ACC], better="higher", margin=margin)
    assert values["base"]["dataset"]["scores"]["acc"]["compared"] == compared


def test_expectations_are_about_time_or_about_the_score():
    (claim,) = suite(expect="at most 5% slower")["claims"]
    assert claim == {
        "says": "sleep 2: at most 5% slower",
        "level": "sleep 2",
        "expect": "at most 5% slower",
        "of": "program",
    }
    (claim,) = suite(expect="not worse by 1 point", metrics=[ACC], better="higher", margin="1 point")["claims"]
    assert (claim["of"], claim["metric"]) == ("learning", "acc")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ["acc"], "better": "higher"}, "--metric acc: the pattern 'acc' has no group around the number."),
        (
            {"metrics": [ACC]},
            "--metric: the direction of acc is not known. Say which values of acc are better: --better hi",
        ),
        ({"metrics": [ACC], "better": "more"}, "--better more: the direction of acc is not known."),
        ({"metrics": [ACC], "better": "f1=lower"}, "--better f1=lower: there is no score 'f1'. Known: acc."),
        ({"metrics": [ACC, ACC], "better": "higher"}, "two scores have the name acc. Name the group of one of them"),
        ({"seeds": 5}, "--seeds: there is no score to compare. Say how the score is read, as in: --metric"),
        ({"better": "lower"}, "--better: there is no score to compare."),
        (
            {"expect": "better"},
            "--expect: no score is read that could be better or worse. Use faster or slower, or add",
        ),
        ({"expect": "quick"}, "--expect: expected lower, higher,"),
    ],
)
def test_mistakes(options, message):
    with pytest.raises(UserError) as caught:
        suite(**options)
    assert message in str(caught.value)


def test_a_program_that_is_not_there_is_said_at_once():
    with pytest.raises(UserError, match=r"slepp 1: there is no program 'slepp'\."):
        suite("sleep 1", "slepp 1")
    with pytest.raises(UserError, match="ab compares at least two commands"):
        suite("sleep 1")


def test_names_of_levels_and_runs():
    assert level_names(["a  b", "a b", "c"]) == ["a b", "a b (2)", "c"]
    (long,) = level_names(["python train.py " + "--option " * 20])
    assert len(long) <= 100
    assert [command_name(CommandLine.parse(text)) for text in ("python -u train.py --x", "./a.out", "A=1 sleep 2")] == [
        "train", "a", "sleep",
    ]  # fmt: skip


def test_what_is_a_command():
    assert is_command("python train.py")
    assert is_command("true")
    assert not is_command("bench.py:old")
    assert not is_command("package.module:name")
    assert not is_command("qqzzqq")
