"""The answer to the question of a suite, in one sentence: what every report shows first."""

from __future__ import annotations

from harness.analysis.claims import ClaimResult, is_about
from harness.analysis.explain import Explanation, largest
from harness.analysis.finding import Finding
from harness.analysis.findings import Findings
from harness.analysis.verdicts import Answer
from harness.report.level_sentences import level_sentence
from harness.report.summary import UNDECIDED_YET
from harness.report.tables.claims import decisive_effect


def answer_of(findings: Findings, others: tuple[str, ...]) -> str:
    """The answer: that of the claim which answers the question, with yes or no; or else what the first claim is about;
    or else the first of the `others`, the sentences of the summary."""
    about = leading_claim(findings)
    leading = about if about and about.claim.answers else None
    sentence = sentence_about(about, findings) if about else ""
    if not sentence:
        return others[0] if others else ""
    if findings.is_quick:
        return f"{UNDECIDED_YET}{sentence}."
    return f"{word_of(leading)}: {sentence}." if leading else f"{sentence}."


def word_of(result: ClaimResult) -> str:
    """The answer in one or two words. A claim about several contexts may be true in some of them only."""
    if result.answer == Answer.HOLDS:
        return "Yes"
    if 0 < len(result.true_in) < result.contexts:
        return "It depends on the context"
    if result.answer == Answer.FAILS:
        return "No"
    return f"Not decided ({result.remarks})" if result.remarks else "Not decided"


def sentence_about(result: ClaimResult, findings: Findings) -> str:
    """What was found about the level of a claim, over all contexts of the claim; empty where nothing was."""
    claim = result.claim
    ids = {block.id for block in claim.blocks_in(findings.plan.blocks)}
    found: list[Finding] = [*findings.comparisons, *findings.learning.comparisons]
    about = [one for one in found if one.block.id in ids and is_about(one, claim)]
    if not about or findings.plan.factors or claim.is_value or claim.along:
        return decisive_effect(result)
    return level_sentence(about)


def leading_claim(findings: Findings) -> ClaimResult | None:
    """The claim that answers the question, or else the first one."""
    return next((one for one in findings.claims if one.claim.answers), next(iter(findings.claims), None))


def explanation_of(findings: Findings) -> Explanation | None:
    """The explanation of the level that the answer is about, where it differs most; otherwise the largest one."""
    leading = leading_claim(findings)
    about = [one for one in findings.explained if leading and one.level == leading.claim.level]
    return next(iter([*largest(about, 1), *largest(findings.explained, 1)]), None)
