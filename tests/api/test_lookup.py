"""Lookup of axes and levels by name."""

import pytest

from harness.api.lookup import parse_only
from harness.errors import UserError


def test_repeated_axis_gets_both_levels():
    assert parse_only(["cell=lstm", "data=words", "cell=gru,rnn"]) == {
        "cell": ["lstm", "gru", "rnn"],
        "data": ["words"],
    }


@pytest.mark.parametrize("text", ["cell", "cell="])
def test_an_axis_without_levels_is_refused(text):
    with pytest.raises(UserError, match=f"^--only {text}: expected AXIS=LEVEL"):
        parse_only([text])
