"""What a claim expects, in the words of a suite, such as `lower by 5%`, `at most 5% slower` or `at least 90%`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from harness.errors import did_you_mean
from harness.records.value_types import AMOUNT, UNITS, VALUE, amount_scale, amount_value

#: The words for a direction. The planner replaces them by lower or higher.
DIRECTIONS = ("lower", "higher", "better", "worse", "faster", "slower", "less", "more")
_DIRECTION = "|".join(DIRECTIONS)
_DIFFERENCE = rf"(?P<direction>{_DIRECTION})( by (?P<amount>{AMOUNT}))?"
_AT_LEAST = rf"at least (?P<amount>{AMOUNT}) (?P<direction>{_DIRECTION})"
_NOT = rf"not (?P<direction>{_DIRECTION})( by (?P<amount>{AMOUNT}))?"
_AT_MOST = rf"at most (?P<amount>{AMOUNT}) (?P<direction>{_DIRECTION})"
_EQUAL = rf"equal within (?P<amount>{AMOUNT})"
_VALUE = rf"(?P<bound>at least|at most) (?P<value>{VALUE})"
#: The pattern of every form, for editors.
PATTERN = re.sub(r"\?P<\w+>", "", f"^({'|'.join((_DIFFERENCE, _AT_LEAST, _NOT, _AT_MOST, _EQUAL, _VALUE))})$")


@dataclass(frozen=True)
class Expectation:
    """The parts of `expect`: see `harness.records.plan.Claim`, whose fields have the same names."""

    expect: str
    by: float = 0.0
    scale: Literal["ratio", "difference", "number", "value", ""] = ""
    unit: str = ""


def parse_expect(text: str) -> Expectation:
    """What a claim expects. `at least 5% faster` is `faster by 5%`, and `at most 5% slower` is `not slower by 5%`.
    Raises ValueError, which says what was found and gives an example."""
    text = " ".join(text.split())
    if match := re.fullmatch(_VALUE, text):
        unit = next(unit for unit in sorted(UNITS, key=len, reverse=True) if match["value"].endswith(unit))
        number = float(match["value"].removesuffix(unit))
        # Dividing gives the float nearest to 0.29 for 29 %; multiplying by 0.01 does not.
        return Expectation(match["bound"], number / 100 if unit == "%" else number * UNITS[unit], "value", unit)
    for pattern, words in ((_EQUAL, "equal"), (_DIFFERENCE, ""), (_AT_LEAST, ""), (_NOT, "not"), (_AT_MOST, "not")):
        if match := re.fullmatch(pattern, text):
            word = " ".join(filter(None, (words, match.groupdict().get("direction"))))
            amount = match["amount"]
            return Expectation(word, amount_value(amount), amount_scale(amount)) if amount else Expectation(word)
    raise ValueError(_what_is_wrong(text))


def _what_is_wrong(text: str) -> str:
    """What was expected, with an example, and what was found."""
    first, _, rest = text.partition(" ")
    bound = " ".join(text.split()[:2])
    word = rest.partition(" ")[0] if first == "not" else first
    if first == "equal":
        expected = "equal needs a margin, as in: equal within 2%, or: equal within 1 point"
    elif bound in ("at least", "at most"):
        at_most = bound == "at most"
        if re.fullmatch(AMOUNT, text.removeprefix(bound).strip()):  # an amount that is no value: points
            return f"{text!r} needs a direction, as in: {text} {'worse' if at_most else 'better'}"
        example = "at most 5% slower, or: at most 20 ms" if at_most else "at least 5% faster, or: at least 90%"
        expected = f"{bound} needs an amount with a direction, or a value, as in: {example}"
    elif word in DIRECTIONS:
        expected = f"an amount follows {word} with by, as in: {word} by 5%, or: {word} by 1 point"
    else:
        words = f"{', '.join(DIRECTIONS[:-1])} or {DIRECTIONS[-1]}"
        expected = (
            f"expected {words}, as in: lower by 5%, not worse, at most 5% slower; or equal within 2%; or at least 90%"
        )
    near = did_you_mean(word, DIRECTIONS).rstrip("?")
    return f"{expected}; found {text!r}{'. ' + near if near.startswith('Did') and word not in DIRECTIONS else ''}"
