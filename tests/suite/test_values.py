"""Suites that are given as values, and not as a file."""

import re
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.suite.values import SuiteValues
from harness.suite.yaml_source import read_file, read_text

SMOKE = Path("suites/smoke.yaml")


def test_the_text_of_a_suite_reads_as_the_same_values():
    values = read_file(SMOKE)[1].value
    text, source = SuiteValues("smoke", values).read()
    assert source.value == values == read_text(text, "again").value


def test_places_are_paths_of_values():
    _, source = SuiteValues("mine", {"axes": {"rate": {"values": (0.1, 1)}}}).read()
    assert str(source.place(("axes", "rate", "values", 0))) == "suite mine: axes.rate.values.0"
    assert source.texts == {("axes", "rate", "values", 0): "0.1", ("axes", "rate", "values", 1): "1"}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"base": {1: 2}}, "suite s: base: expected text as a key, found 1"),
        ({"base": {"model": object()}}, "suite s: base.model: a suite cannot hold a value of type object"),
        ({"base": {"model": len}}, "Name a function as a text"),
    ],
)
def test_other_values_are_refused(values, says):
    with pytest.raises(UserError) as raised:
        SuiteValues("s", values).read()
    assert re.search(says, str(raised.value))
