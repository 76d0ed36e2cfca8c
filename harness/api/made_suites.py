"""What suites that are made from options have in common: names, and claims from an expectation."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.errors import UserError
from harness.suite.expect import Expectation, parse_expect

#: What a name of a folder is not made of.
OTHERS = re.compile(r"[^\w.+-]+")
#: The most characters of such a name.
LONGEST = 60


def made_suite_name(kind: str, of: str) -> str:
    """The name under which the runs of a comparison are stored, such as ab-softmax."""
    return OTHERS.sub("-", f"{kind}-{of}").strip("-.")[:LONGEST]


def expectation(text: str) -> Expectation:
    """What the option --expect says. Raises UserError."""
    try:
        return parse_expect(text)
    except ValueError as error:
        raise UserError(f"{error}.", where="--expect") from None


def expected_claims(levels: Sequence[str], mode: str, text: str) -> list[dict[str, str]]:
    """A claim for each level that it is as expected; none without an expectation. Raises UserError."""
    if not text:
        return []
    expectation(text)
    return [{"says": f"{level} is {text}", "level": level, "of": mode, "expect": text} for level in levels]
