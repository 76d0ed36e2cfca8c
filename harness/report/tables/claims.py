"""Claims as sentences, and as rows of a table of several suites."""

from __future__ import annotations

from pathlib import Path

from harness.analysis.claim_words import place_of, size_in_words
from harness.analysis.claims import ClaimResult
from harness.analysis.effects import Effect
from harness.analysis.finding import Finding
from harness.analysis.growth import Growth
from harness.analysis.level_values import LevelValue
from harness.modes import step_name
from harness.report.cells import ANSWERS, confidence_interval, in_words, subject_in_words

#: What follows the size of an effect, by its scale.
UNITS = {"difference": " points", "number": "", "ratio": "×", "exponent": ""}


def claim_sentence(result: ClaimResult) -> str:
    """The answer and the claim, with the effect where it decides; without an effect, why it is undecided."""
    sentence = f'{ANSWERS[result.answer]}: "{result.claim.says.rstrip(". ")}".'
    finding = result.decisive
    expected = f"expected: {result.expected}"
    if finding is None or finding.size is None:
        return f"{sentence} {result.reason[:1].upper()}{result.reason[1:]} ({expected})." if result.reason else sentence
    details = [expected, "" if result.claim.is_exact else confidence_interval(finding)]
    if result.contexts > 1:
        case = "worst" if result.claim.inside == "all" else "best"
        details.append(f"{case} of {result.contexts} contexts: {place_of(finding)}")
    return f"{sentence} {effect_in_words(finding, _size(result))} ({'; '.join(filter(None, details))})."


def tested_reason(result: ClaimResult) -> str:
    """The threshold that was tested, and the reason of the answer."""
    return f"expected: {result.expected}; {result.reason}"


def effect_in_words(finding: Finding, size: str) -> str:
    """What a level does in comparison with the baseline; `size` has its unit."""
    metric, level, baseline = in_words(finding.metric), finding.level, finding.baseline
    if isinstance(finding, Effect):
        return f"The effect of {level} on {subject_in_words(finding)} is {size}"
    if isinstance(finding, Growth):
        what = in_words(finding.quantity)
        return f"Along {finding.axis}, the exponent of {level}'s {what} differs from {baseline}'s by {size}"
    if isinstance(finding, LevelValue):
        return f"The {metric} of {level} is {size}"
    if finding.scale in ("difference", "number"):
        return f"{level} differs from {baseline} by {size} in {metric}"
    if finding.metric == "step_time":
        return f"{level} takes {size} as long as {baseline} for {step_name(finding.mode)}"
    step = step_name(finding.mode)
    return f"{level} has {size} the {metric} of {baseline}{f' for {step}' if step else ''}"


def claim_row(suite: str, result: ClaimResult) -> tuple[str, ...]:
    """One claim, with the file of its suite. Where nothing decides, the reason replaces the context."""
    finding, size, interval, where = result.decisive, "", "", result.reason
    if finding is not None:
        where = f"{finding.block.name} ({in_words(finding.metric)})"
        where += f", of {result.contexts}" if result.contexts > 1 else ""
        size = _size(result)
        bounds = (size_in_words(bound, result.claim) for bound in finding.interval or ())
        interval = "exact" if result.claim.is_exact else " to ".join(bounds)
        if (result.claim.is_limit or result.claim.is_value) and not result.claim.is_exact:
            interval += f" ({100 * finding.confidence:.3g} %)"
    return result.claim.says, ANSWERS[result.answer].lower(), result.expected, size, interval, where, Path(suite).stem


def _size(result: ClaimResult) -> str:
    """The size of the effect that decides, with its unit; an exact amount of which the baseline has none has no
    ratio."""
    finding = result.decisive
    if finding is None or finding.size is None:
        return size_in_words(None, result.claim)
    unit = "" if result.claim.is_value else UNITS[finding.scale]
    return size_in_words(finding.size, result.claim) + unit
