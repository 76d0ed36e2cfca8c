"""The words of `expect`: every form, and what an error says."""

from __future__ import annotations

import re

import pytest
from toy_suite import SUITE, read

from harness.errors import UserError
from harness.suite.expect import PATTERN, Expectation, parse_expect

FORMS = [
    ("lower", Expectation("lower")),
    ("worse by 5%", Expectation("worse", 0.05, "ratio")),
    ("better by 1 point", Expectation("better", 0.01, "difference")),
    ("faster by .5 %", Expectation("faster", 0.005, "ratio")),
    ("equal within 2%", Expectation("equal", 0.02, "ratio")),
    ("equal within 0%", Expectation("equal", 0.0, "ratio")),
    ("not slower", Expectation("not slower")),
    ("not worse by 1 point", Expectation("not worse", 0.01, "difference")),
    ("not worse by 2%", Expectation("not worse", 0.02, "ratio")),
    ("at most 5% slower", Expectation("not slower", 0.05, "ratio")),
    ("at most 3 points worse", Expectation("not worse", 0.03, "difference")),
    ("at most 10% more", Expectation("not more", 0.1, "ratio")),
    ("at least 5% faster", Expectation("faster", 0.05, "ratio")),
    ("at least 90%", Expectation("at least", 0.9, "value", "%")),
    ("at least 29%", Expectation("at least", 0.29, "value", "%")),
    ("at most 0.3", Expectation("at most", 0.3, "value")),
    ("at least -1.5", Expectation("at least", -1.5, "value")),
    ("at most 1e6", Expectation("at most", 1e6, "value")),
    ("at most 20 ms", Expectation("at most", 0.02, "value", "ms")),
    ("at most 1.5 s", Expectation("at most", 1.5, "value", "s")),
    ("at most 64 MiB", Expectation("at most", 64 * 2**20, "value", "MiB")),
]


@pytest.mark.parametrize(("text", "expected"), FORMS)
def test_every_form_is_understood(text, expected):
    assert parse_expect(text) == expected
    assert re.fullmatch(PATTERN, text), "editors must accept it as well"


def test_two_ways_to_say_the_same_are_one_claim():
    assert parse_expect("at least 5% faster") == parse_expect("faster by 5%")
    assert parse_expect("at most 5% slower") == parse_expect("not slower by 5%") == parse_expect(" not  slower by 5%")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("equal", "equal needs a margin, as in: equal within 2%, or: equal within 1 point; found 'equal'"),
        ("equal to 2%", "equal needs a margin, as in: equal within 2%, or: equal within 1 point; found 'equal to 2%'"),
        ("lower 5%", "an amount follows lower with by, as in: lower by 5%, or: lower by 1 point; found 'lower 5%'"),
        ("not worse than 5%", "an amount follows worse with by, as in: worse by 5%, or: worse by 1 point; found 'not worse than 5%'"),
        ("at most 1 point", "'at most 1 point' needs a direction, as in: at most 1 point worse"),
        ("at least 2 points", "'at least 2 points' needs a direction, as in: at least 2 points better"),
        ("at most fast", "at most needs an amount with a direction, or a value, as in: at most 5% slower, or: at most 20 ms; found 'at most fast'"),
        ("at most 5 ns", "at most needs an amount with a direction, or a value, as in: at most 5% slower, or: at most 20 ms; found 'at most 5 ns'"),
        ("at least", "at least needs an amount with a direction, or a value, as in: at least 5% faster, or: at least 90%; found 'at least'"),
        ("slowr", "expected lower, higher, better, worse, faster, slower, less or more, as in: lower by 5%, not worse, at most 5% slower; or equal within 2%; or at least 90%; found 'slowr'. Did you mean slower or lower"),
        ("not equal", "expected lower, higher, better, worse, faster, slower, less or more, as in: lower by 5%, not worse, at most 5% slower; or equal within 2%; or at least 90%; found 'not equal'"),
        ("< 5%", "expected lower, higher, better, worse, faster, slower, less or more, as in: lower by 5%, not worse, at most 5% slower; or equal within 2%; or at least 90%; found '< 5%'"),
    ],
)  # fmt: skip
def test_error_says_what_was_found_and_gives_an_example(text, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_expect(text)
    assert not re.fullmatch(PATTERN, text)


def test_error_has_a_place():
    with pytest.raises(UserError) as caught:
        read(SUITE + "claims:\n  - {says: s, level: backwards, expect: at most 1 point}\n")
    line = SUITE.count("\n") + 2
    expected = f"suite.yaml:{line}:41: expect: 'at most 1 point' needs a direction, as in: at most 1 point worse."
    assert str(caught.value) == expected


def test_only_a_value_may_be_of_the_baseline():
    text = SUITE + "claims:\n  - {says: s, level: plain, expect: EXPECT}\n"
    assert read(text.replace("EXPECT", "at most 20 ms")).claims[0].level == "plain"
    with pytest.raises(UserError, match="'plain' is not a level of what other than its baseline"):
        read(text.replace("EXPECT", "at most 5% slower"))
    with pytest.raises(UserError, match=r"'plian' is not a level of what. Did you mean plain\?"):
        read(text.replace("EXPECT", "at most 20 ms").replace("level: plain", "level: plian"))
