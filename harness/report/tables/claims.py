"""Claims as sentences, and as rows of a table of several suites."""

from __future__ import annotations

from pathlib import Path

from harness.analysis.claims import ClaimResult, is_exact, place_of, size_in_words
from harness.analysis.effects import Effect
from harness.analysis.finding import Finding
from harness.analysis.growth import Growth
from harness.modes import step_name
from harness.report.cells import ANSWERS, confidence_interval, in_words, subject_in_words

#: What follows the size of an effect, by its scale.
UNITS = {"difference": " points", "ratio": "×", "exponent": ""}


def claim_sentence(result: ClaimResult) -> str:
    """The answer and the claim, with the effect where it decides; without an effect, why it is undecided."""
    sentence = f'{ANSWERS[result.answer]}: "{result.claim.says.rstrip(". ")}".'
    finding = result.decisive
    if finding is None or finding.size is None:
        return f"{sentence} {result.reason[:1].upper()}{result.reason[1:]}." if result.reason else sentence
    details = [] if is_exact(result.claim) else [confidence_interval(finding)]
    if result.contexts > 1:
        case = "worst" if result.claim.inside == "all" else "best"
        details.append(f"{case} of {result.contexts} contexts: {place_of(finding)}")
    brackets = f" ({'; '.join(filter(None, details))})" if any(details) else ""
    return f"{sentence} {effect_in_words(finding, _size(result))}{brackets}."


def effect_in_words(finding: Finding, size: str) -> str:
    """What a level does in comparison with the baseline; `size` has its unit."""
    metric, level, baseline = in_words(finding.metric), finding.level, finding.baseline
    if isinstance(finding, Effect):
        return f"The effect of {level} on {subject_in_words(finding)} is {size}"
    if isinstance(finding, Growth):
        what = in_words(finding.quantity)
        return f"Along {finding.axis}, the exponent of {level}'s {what} differs from {baseline}'s by {size}"
    if finding.scale == "difference":
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
        interval = "exact" if is_exact(result.claim) else " to ".join(bounds)
    return result.claim.says, ANSWERS[result.answer].lower(), size, interval, where, Path(suite).stem


def _size(result: ClaimResult) -> str:
    """The size of the effect that decides, with its unit; an exact amount of which the baseline has none has no
    ratio."""
    finding = result.decisive
    if finding is None or finding.size is None:
        return size_in_words(None, result.claim)
    return size_in_words(finding.size, result.claim) + UNITS[finding.scale]
