"""Claims in words: the threshold that was tested, the sizes that were found, and what to write instead."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from harness.analysis.finding import Finding, exact_in_words, scaled_in_words
from harness.analysis.growth import Growth
from harness.analysis.level_values import value_in_words
from harness.analysis.verdicts import LIMITED, Verdict
from harness.plugins.scores import scores_of
from harness.records.plan import LEARNING, Claim


def expected_in_words(claim: Claim, floor: float) -> str:
    """The threshold that was tested. A difference without an amount must exceed the floor."""
    if claim.is_value:
        return f"{claim.expect} {value_in_words(claim.by, claim.unit)}"
    if claim.along:
        return {
            "lower": "a lower exponent",
            "higher": "a higher exponent",
            "not lower": "an exponent that is not lower",
            "not higher": "an exponent that is not higher",
        }[claim.expect]
    if claim.expect == "equal":
        return f"equal within {amount_in_words(claim)}"
    word = direction_in_words(claim)
    if claim.is_limit and not claim.by:
        return f"not {word}"
    if claim.is_limit:
        return f"at most {amount_in_words(claim)} {word}"
    if claim.by:
        return f"at least {amount_in_words(claim)} {word}"
    return f"{word} by more than {100 * math.expm1(floor):.2g} %" if floor else word


def direction_in_words(claim: Claim) -> str:
    """The direction of a difference or of a limit."""
    word = claim.expect.removeprefix("not ")
    return {"lower": Verdict.FASTER, "higher": Verdict.SLOWER}[word] if claim.about_time else word


def amount_in_words(claim: Claim) -> str:
    """The claimed amount: % of a ratio, or points of a difference."""
    amount = f"{100 * claim.by:.4g}"
    return f"{amount} point{'s' * (amount != '1')}" if claim.scale == "difference" else f"{amount} %"


def hint_if_better(claim: Claim, against: Sequence[Finding]) -> str:
    """What to write in place of `equal`, where the level is better in all contexts that contradict it; else empty."""
    if not against:
        return ""
    better, worse = (Verdict.FASTER, Verdict.SLOWER) if claim.about_time else (Verdict.BETTER, Verdict.WORSE)
    for finding in against:
        assert finding.estimate is not None
        lower_is_better = True
        if claim.of == LEARNING:
            settings = finding.block.measures.learning
            score = scores_of(settings, timed=True).get(claim.metric) if settings else None
            lower_is_better = score is None or score.better == "lower"
        if (finding.estimate.mean < 0) != lower_is_better and finding.verdict not in LIMITED:
            return ""
    allowed = amount_in_words(claim).replace(" %", "%")
    limited = any(finding.verdict in LIMITED for finding in against)
    word, to = (f"not {worse}", "claim") if limited else (better, "allow")
    return f"; it is {word}: to {to} that, expect at most {allowed} {worse}"


def place_of(finding: Finding) -> str:
    """The context of a finding in words."""
    if isinstance(finding, Growth):
        return " · ".join([*named_levels(finding.context), f"along {finding.axis}"])
    return " · ".join(named_levels(finding.context)) or finding.block.name


def named_levels(context: Mapping[str, str]) -> list[str]:
    """The levels of a context; a number has the name of its axis before it."""
    return [f"{axis} {level}" if _is_number(level) else level for axis, level in context.items()]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def size_in_words(size: float | None, claim: Claim) -> str:
    """The size of what a claim is about."""
    if size is None:
        return "-"
    if claim.is_value:
        return value_in_words(size, claim.unit)
    return exact_in_words(size) if claim.is_exact else scaled_in_words(size, claim.scale)
