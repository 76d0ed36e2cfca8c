"""Strings and labels of the dataset, checked by removing adjacent pairs of brackets until none is left."""

import re
from random import Random

import pytest
from guest_data.dyck import FIRST, answers, dyck, string

from harness.testing import cases

OPEN, CLOSE = "([{", ")]}"
PAIRS = re.compile(r"\(\)|\[\]|\{\}")


def text(tokens, kinds):
    return "".join((OPEN[:kinds] + CLOSE[:kinds])[token - FIRST] for token in tokens)


def without_pairs(brackets):
    while PAIRS.search(brackets):
        brackets = PAIRS.sub("", brackets)
    return brackets


@pytest.mark.parametrize(("kinds", "depth"), [(1, 1), (2, 3), (3, 9)])
def test_strings_are_well_formed_and_no_deeper_than_allowed(kinds, depth):
    deepest = 0
    for seed in range(50):
        brackets = text(string(Random(seed), kinds, depth, 30), kinds)
        assert len(brackets) == 30
        assert without_pairs(brackets) == ""
        deepest = max(deepest, *(len(without_pairs(brackets[:n])) for n in range(31)))
    assert deepest == depth or depth > 8
    assert deepest <= depth


def test_label_is_the_innermost_open_bracket():
    tokens = string(Random(3), 3, 5, 40)
    for n, answer in enumerate(answers(tokens, 3), 1):
        left = without_pairs(text(tokens[:n], 3))
        assert answer == (1 + OPEN.index(left[-1]) if left else 0)


def test_impossible_length_is_refused():
    with pytest.raises(ValueError, match="no room for a pair"):
        dyck(length=1)


@pytest.mark.parametrize("case", cases("guest-data"), ids=str)
def test_keeps_its_promises(case):
    case.check()
