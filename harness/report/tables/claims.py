"""Claims as sentences, and as rows of a table of several suites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.claim_words import place_of, size_in_words
from harness.analysis.claims import ClaimResult
from harness.analysis.effects import Effect
from harness.analysis.finding import Finding
from harness.analysis.growth import Growth
from harness.analysis.level_values import LevelValue
from harness.analysis.verdicts import Answer
from harness.modes import step_name
from harness.report.cells import ANSWERS, confidence_interval, every_context, in_words, listed, subject_in_words

#: What follows the size of an effect, by its scale: in a sentence, and in a table.
UNITS = {"difference": " points", "number": "", "ratio": " times", "exponent": ""}
TABLE_UNITS = {**UNITS, "ratio": "×"}
#: So many contexts are named.
MOST_PLACES = 3


@dataclass(frozen=True)
class ClaimLine:
    """A claim as every format shows it. `says` is the claim in the words of the suite, `words` its answer in one word.

    `effect` is a sentence with the size and the interval in the context that decides, `tested` the threshold, `places`
    in how many contexts the claim is true (empty where it is about one), `reason` why it is undecided and which flags
    it has. Sentences have no full stop."""

    says: str
    answer: Answer
    effect: str
    tested: str
    places: str
    reason: str

    @property
    def words(self) -> str:
        """True, False or Undecided."""
        return ANSWERS[self.answer]

    @property
    def details(self) -> str:
        """Everything beside the claim and its answer, in sentences."""
        # The effect begins with the name of a level, which keeps its case.
        parts = (self.effect, *map(capitalised, (f"tested: {self.tested}", self.places, self.reason)))
        return ". ".join(filter(None, parts))

    def sentence(self) -> str:
        """All of it in one text."""
        return f'{self.words}: "{self.says}". {self.details}.'


def capitalised(text: str) -> str:
    """The text with a capital letter at its beginning."""
    return text[:1].upper() + text[1:]


def claim_line(result: ClaimResult) -> ClaimLine:
    """The line of one claim."""
    effect = decisive_effect(result)
    return ClaimLine(
        result.claim.says.rstrip(". "), result.answer, effect, result.expected, places_in_words(result),
        result.remarks,
    )  # fmt: skip


def decisive_effect(result: ClaimResult) -> str:
    """The effect in the context that decides; empty where there is none."""
    finding = result.decisive
    if finding is None or finding.size is None:
        return ""
    interval = "exact" if result.claim.is_exact else confidence_interval(finding)
    where = ""
    if result.contexts > 1:
        case = "least" if result.claim.inside == "all" else "most"
        where = f" in {place_of(finding)}, the {case} favourable of {result.contexts} contexts"
    return f"{effect_in_words(finding, *_size(result, UNITS))}{f' ({interval})' if interval else ''}{where}"


def places_in_words(result: ClaimResult) -> str:
    """In how many contexts a claim is true and in how many it is false; empty where it is about one."""
    if result.contexts < 2:
        return ""
    counts = []
    for names, words in ((result.true_in, "true"), (result.false_in, "false")):
        if len(names) == result.contexts:
            # Undecided only after the correction for the number of claims, which the reason says.
            return "" if result.answer == Answer.UNDECIDED else f"{words} in {every_context(result.contexts)}"
        if names:
            counts.append(f"{words} in {len(names)} of {result.contexts}: {listed(names, MOST_PLACES)}")
    return "; ".join(counts) or f"neither true nor false in any of {result.contexts} contexts"


def effect_in_words(finding: Finding, number: str, unit: str) -> str:
    """What a level does in comparison with the baseline."""
    size, metric, level, baseline = number + unit, in_words(finding.metric), finding.level, finding.baseline
    if isinstance(finding, Effect):
        amount = f"a factor of {number}" if finding.scale == "ratio" else size
        return f"The effect of {level} on {subject_in_words(finding)} is {amount}"
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
        size = "".join(_size(result, TABLE_UNITS))
        bounds = (size_in_words(bound, result.claim) for bound in finding.interval or ())
        interval = "exact" if result.claim.is_exact else " to ".join(bounds)
        if (result.claim.is_limit or result.claim.is_value) and not result.claim.is_exact:
            interval += f" ({100 * finding.confidence:.3g} %)"
    return result.claim.says, ANSWERS[result.answer].lower(), result.expected, size, interval, where, Path(suite).stem


def _size(result: ClaimResult, units: Mapping[str, str]) -> tuple[str, str]:
    """The size of the effect that decides, and its unit; an exact amount of which the baseline has none has no
    ratio."""
    finding = result.decisive
    if finding is None or finding.size is None:
        return size_in_words(None, result.claim), ""
    return size_in_words(finding.size, result.claim), "" if result.claim.is_value else units[finding.scale]
