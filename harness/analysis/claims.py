"""Claims of a suite: settled by intervals, as one Holm family, or by exact numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from harness.analysis import stats
from harness.analysis.claim_tests import ClaimTest
from harness.analysis.claim_words import (
    expected_in_words,
    hint_if_better,
    place_of,
    size_in_words,
)
from harness.analysis.finding import Finding
from harness.analysis.grouping import FEWEST, groups_along
from harness.analysis.growth import Growth, growth_metric
from harness.analysis.level_values import LevelValue
from harness.analysis.verdicts import (
    BESIDE_CLAIMS,
    DIFFERENT,
    EXCLUDED,
    FORBID_DECISION,
    FORBID_EQUIVALENCE,
    LIMITED,
    Answer,
    Flag,
    Verdict,
)
from harness.records.plan import LEARNING, Claim, Plan


@dataclass(frozen=True)
class ClaimResult:
    """The answer to a claim. `expected` states the threshold that was tested. If the claim fails, `against` are the ids
    of the blocks whose times contradict it, which can be measured once more; `improved` says whether it is a claim of
    no difference, and the level is better. `decisive` is the least favourable case among the `contexts` that the claim
    is about; for a claim about any context, the most favourable one. `true_in` and `false_in` are the contexts in which
    it is true or false. `remarks` is the reason without sizes: why it is undecided, or the flags of a decided claim and
    what to write instead."""

    claim: Claim
    answer: Answer
    reason: str
    against: tuple[str, ...] = ()
    decisive: Finding | None = None
    contexts: int = 0
    expected: str = ""
    improved: bool = False
    true_in: tuple[str, ...] = ()
    false_in: tuple[str, ...] = ()
    remarks: str = ""


def settle(plan: Plan, findings: Sequence[Finding], floor: float, null_biased: bool) -> list[ClaimResult]:
    """Answer the suite's claims. Holm's step-down gives the significance level of each. Claims about exact amounts
    involve no chance, so they are not part of the family."""
    cases = [_Case(claim, plan, findings, floor, null_biased) for claim in plan.claims]
    alpha = 0.05
    family = [stats.smallest_alpha(case.decided) for case in cases if not case.claim.is_exact]
    levels = iter(stats.holm_levels(family, alpha))
    return [
        case.result(alpha if case.claim.is_exact else next(levels), alone=alpha, claims=len(family)) for case in cases
    ]


def confirmed(first: ClaimResult, second: ClaimResult) -> ClaimResult:
    """The answer to a claim that was false, after the blocks against it were measured again: false if it is false
    again. Training repeats exactly under the same seeds, so the first answer about learning stays."""
    if first.answer != Answer.FAILS or first.claim.of == LEARNING or not first.against:
        return first
    if second.answer == Answer.FAILS:
        again = f"measured again: {second.reason}"
        remarks = "; ".join(filter(None, (first.remarks, again)))
        return replace(first, reason=f"{first.reason}; {again}", remarks=remarks)
    reason = f"failed at first, {first.reason}, but not when measured again, {second.reason}"
    return replace(first, answer=Answer.UNDECIDED, reason=reason, remarks=reason, against=())


class _Case:
    """A claim with the findings that it is about. Growth is about groups of contexts, each represented by one block."""

    def __init__(self, claim: Claim, plan: Plan, findings: Sequence[Finding], floor: float, null_biased: bool) -> None:
        # The control and the floor are about ratios of times: not about scores, exact amounts, exponents or values.
        self.claim, self.null_biased = claim, null_biased and claim.about_time and not claim.is_value
        self.floor = floor if claim.about_time and not (claim.along or claim.is_value) else 0.0
        self.blocks = claim.blocks_in(plan.blocks)
        if claim.along:
            self.blocks = [group[-1] for group in groups_along(claim.along, self.blocks)]
        ids = {block.id for block in self.blocks}
        self.all = [one for one in findings if one.block.id in ids and is_about(one, claim)]
        self.findings = [one for one in self.all if one.estimate is not None and one.verdict not in EXCLUDED]
        if claim.is_limit or claim.is_value:  # the interval that decides at 5 %
            self.findings = [replace(one, confidence=2 * one.confidence - 1) for one in self.findings]
        self.test = ClaimTest.of(claim, self.floor, on_logs=any(one.scale == "ratio" for one in self.findings))
        self.quick = any(block.measures.quick for block in self.blocks)
        if claim.of == LEARNING:
            self.quick = any(one.estimate is None or one.estimate.k < stats.MIN_REPLICATES for one in self.findings)
        self.undecidable = self.quick or self.null_biased or not self.findings

    def result(self, level: float, alone: float, claims: int) -> ClaimResult:
        """The result at this significance level; at 0 nothing is decided. `alone` is the level of a claim that is not
        one of several `claims`."""
        answer, why, sizes = self.answer(level or alone)
        if not level and answer != Answer.UNDECIDED:
            on_its_own = {Answer.HOLDS: "true", Answer.FAILS: "false"}[answer]
            why, answer = f"{on_its_own} on its own, not after correcting for {claims} claims", Answer.UNDECIDED
        claim, improved = self.claim, False
        against = self.failing(level) if answer == Answer.FAILS else []
        remarks = "" if answer == Answer.UNDECIDED else self.flags_in_words()
        if claim.expect == "equal" and answer != Answer.HOLDS:
            hint = hint_if_better(claim, against or self.improved())
            improved = bool(against and hint)
            remarks += hint
        reason = ": ".join(filter(None, (why, sizes))) + remarks
        remeasured = claim.about_time and not claim.along
        worst = max if claim.inside == "all" else min
        return ClaimResult(
            claim,
            answer,
            reason,
            against=tuple(one.block.id for one in against if remeasured),
            decisive=worst(self.findings, key=self.distance, default=None),
            contexts=len(self.blocks),
            expected=expected_in_words(claim, self.floor),
            improved=improved,
            true_in=self.places(self.holding, level or alone),
            false_in=self.places(self.failing, level or alone),
            remarks=(why + remarks).removeprefix("; "),
        )

    def places(self, those: Callable[[float], list[Finding]], alpha: float) -> tuple[str, ...]:
        """The contexts of these findings; none where nothing can be decided."""
        return () if self.undecidable else tuple(place_of(one) for one in those(alpha))

    def improved(self) -> list[Finding]:
        """The findings that do not support the claim, if all of them show that the level is not worse or slower."""
        if self.undecidable:
            return []
        holding = self.holding(0.05)
        others = [one for one in self.findings if one not in holding]
        good = LIMITED | {Verdict.BETTER, Verdict.FASTER}
        return others if all(one.verdict in good for one in others) else []

    def decided(self, alpha: float) -> bool:
        return self.answer(alpha)[0] != Answer.UNDECIDED

    def answer(self, alpha: float) -> tuple[Answer, str, str]:
        """Holds, fails or undecided at this level, why it is undecided, and the sizes that were found."""
        if self.undecidable:
            return Answer.UNDECIDED, *self.why_not()
        every = self.claim.inside == "all"
        holding, failing = self.holding(alpha), self.failing(alpha)
        if every and failing:
            worst = max(failing, key=self.distance)
            return Answer.FAILS, "", f"{place_of(worst)}: {self.in_words(worst)}"
        if every and len(holding) == len(self.blocks):
            return Answer.HOLDS, "", self.range_in_words()
        if not every and holding:
            best = min(holding, key=self.distance)
            return Answer.HOLDS, "", f"{place_of(best)}: {self.in_words(best)}"
        if not every and len(failing) == len(self.blocks):
            return Answer.FAILS, "", self.range_in_words()
        return Answer.UNDECIDED, *self.why_not()

    def holding(self, alpha: float) -> list[Finding]:
        """The findings that support the claim. Where one of n is enough, each is tried at alpha / n."""
        share = alpha if self.claim.inside == "all" else alpha / len(self.findings)
        return [one for one in self.findings if self.test.holds(one.estimate, share) and not self.forbidding(one)]  # type: ignore[arg-type]  # they have one

    def failing(self, alpha: float) -> list[Finding]:
        """The findings that contradict it, with the same correction."""
        share = alpha / len(self.findings) if self.claim.inside == "all" else alpha
        decisive = [one for one in self.findings if not FORBID_DECISION.intersection(one.flags)]
        return [one for one in decisive if self.test.fails(one.estimate, share)]  # type: ignore[arg-type]  # they have one

    def forbidding(self, finding: Finding) -> set[Flag]:
        """The flags of a finding with which the claim cannot be true. A limit can be true with a flag that forbids
        equivalence, if the level clearly differs in the other direction."""
        forbidden = FORBID_DECISION
        if self.claim.expect == "equal" or (self.claim.is_limit and not self.differs_otherwise(finding)):
            forbidden = FORBID_DECISION | FORBID_EQUIVALENCE
        return set(forbidden.intersection(finding.flags))

    def differs_otherwise(self, finding: Finding) -> bool:
        """Whether the verdict is a difference in the direction that a limit does not restrict."""
        assert finding.estimate is not None
        above = finding.estimate.mean > 0
        return finding.verdict in DIFFERENT and above == (self.claim.expect == "not lower")

    def distance(self, finding: Finding) -> float:
        """How far the finding is from what is claimed, in the estimate's units."""
        assert finding.estimate is not None
        return self.test.distance(finding.estimate)

    def flags_in_words(self) -> str:
        """The flags to know beside an answer."""
        flags = dict.fromkeys(flag for one in self.findings for flag in one.flags if flag not in BESIDE_CLAIMS)
        return f"; flags: {', '.join(flags)}" if flags else ""

    def why_not(self) -> tuple[str, str]:
        """Why nothing is decided, and the sizes that were found, if that is the reason."""
        if self.quick:
            return (
                "too few seeds decide no claim" if self.claim.of == LEARNING else "a first look decides no claim"
            ), ""
        if not self.blocks:
            return "no planned context matches the claim", ""
        if self.null_biased:
            return "the baseline differs from itself", ""
        if len(self.findings) < len(self.blocks):
            return self.why_missing(), ""
        for one in self.findings:
            for flag in self.forbidding(one):
                return f"{place_of(one)}: {flag}: {flag.meaning}", self.in_words(one)
        return self.why_open(), self.range_in_words()

    def why_open(self) -> str:
        """Why the intervals decide nothing: the effect is too small to matter, or about as large as the threshold, or
        it depends on the context, or more processes or seeds are needed."""
        alpha = 0.05
        holding = self.holding(alpha)
        others = [one for one in self.findings if one not in holding]
        if all(one.verdict == Verdict.EQUIVALENT for one in others):
            return "too small to matter, since it is within the margin"
        if holding and self.claim.inside == "all" and any(self.distance(one) > 0 for one in others):
            return "depends on the context"
        needed, unit = max(map(self.needed, others)), "seeds" if self.claim.of == LEARNING else "processes"
        if needed <= stats.MOST_REPLICATES:
            return f"about {needed} {unit} in all should decide"
        if self.claim.by:
            return "the effect is about as large as the threshold"
        return f"the effect is too small for {stats.MOST_REPLICATES} {unit} to show"

    def needed(self, finding: Finding) -> float:
        """With how many processes or seeds the interval should lie on one side of the threshold, if the estimate and
        the spread stay as they are."""
        assert finding.estimate is not None
        distance = abs(self.distance(finding))
        half = finding.estimate.half_width(finding.confidence)
        return stats.processes_needed(finding.estimate.k, half, distance) if distance else math.inf

    def why_missing(self) -> str:
        """Which contexts have no number to decide by."""
        have = {one.block.id for one in self.findings}
        missing = ", ".join(block.name for block in self.blocks if block.id not in have)
        if self.claim.along:
            return f"no exponent up to {missing}: it takes {FEWEST} contexts with both levels measured in each"
        if self.claim.exact:
            return f"{self.claim.metric} is not known for {missing}"
        reasons = dict.fromkeys(one.reason for one in self.all if one.block.id not in have and one.reason)
        return f"no verdict for {missing}{': ' * bool(reasons)}{'; '.join(reasons)}"

    def range_in_words(self) -> str:
        lowest, highest = (pick(self.findings, key=lambda one: one.size or 0.0) for pick in (min, max))
        words = self.in_words(lowest)
        if len(self.findings) == 1:
            return words
        if self.claim.is_exact and lowest.size == highest.size:
            return f"{words} in all {len(self.findings)}"
        return f"from {words} ({place_of(lowest)}) to {self.in_words(highest)} ({place_of(highest)})"

    def in_words(self, finding: Finding) -> str:
        """The size of a finding, with its interval."""
        size = size_in_words(finding.size, self.claim)
        assert finding.estimate is not None
        if self.claim.is_exact:
            if finding.size is None:
                return "more than the baseline's 0" if finding.estimate.mean else "0, as the baseline"
            return f"exactly {size}"
        if finding.interval is None:
            return "no interval"
        low, high = (size_in_words(bound, self.claim) for bound in finding.interval)
        words = f"{size}{' points' if self.claim.scale == 'difference' else ''} [{low}, {high}]"
        if self.claim.is_limit or self.claim.is_value:
            words += f" ({100 * finding.confidence:.3g} % interval)"
        if isinstance(finding, Growth) and finding.base:
            both = f"{finding.exponent.mean:.2f} and {finding.base.mean:.2f}"
            return f"exponent {words} relative to the baseline's ({both})"
        return words


def is_about(finding: Finding, claim: Claim) -> bool:
    """Whether a claim is about a finding, where it is about the finding's context."""
    metric = growth_metric(claim.metric, claim.along) if claim.along else claim.metric
    if (finding.level, finding.mode, finding.metric) != (claim.level, claim.of, metric):
        return False
    unit = finding.unit if isinstance(finding, LevelValue) else None
    return unit == (claim.unit if claim.is_value else None)
