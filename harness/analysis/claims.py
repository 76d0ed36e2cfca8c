"""Claims of a suite: settled by intervals, as one Holm family, or by exact numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.analysis import stats
from harness.analysis.finding import Finding, exact_in_words, scaled_in_words
from harness.analysis.grouping import FEWEST, groups_along
from harness.analysis.growth import Growth, growth_metric
from harness.analysis.timing import alpha_of
from harness.analysis.verdicts import EXCLUDED, Answer
from harness.records.plan import LEARNING, Claim, Plan

#: How far an exact ratio may miss the claimed one by rounding, in log units.
ROUNDING = 1e-12


@dataclass(frozen=True)
class ClaimResult:
    """The answer to a claim. If it fails, `against` are the ids of the blocks whose times contradict it, which can be
    measured once more. `decisive` is the worst case among the `contexts` that the claim is about; for a claim about any
    context, the best case."""

    claim: Claim
    answer: Answer
    reason: str
    against: tuple[str, ...] = ()
    decisive: Finding | None = None
    contexts: int = 0


def settle(plan: Plan, findings: Sequence[Finding], floor: float, null_biased: bool) -> list[ClaimResult]:
    """Answer the suite's claims. Holm's step-down gives the significance level of each. Claims about exact amounts
    involve no chance, so they are not part of the family."""
    cases = [_Case(claim, plan, findings, floor, null_biased) for claim in plan.claims]
    alpha = min((alpha_of(block.measures.speed) for block in plan.blocks), default=0.05)
    family = [stats.smallest_alpha(case.decided) for case in cases if not is_exact(case.claim)]
    levels = iter(stats.holm_levels(family, alpha))
    return [case.result(alpha if is_exact(case.claim) else next(levels)) for case in cases]


def is_exact(claim: Claim) -> bool:
    """Whether one number settles the claim. An exponent has an interval, also that of an exact amount."""
    return claim.exact and not claim.along


def confirmed(first: ClaimResult, second: ClaimResult) -> ClaimResult:
    """The answer to a claim that was false, after the blocks against it were measured again: false if it is false
    again. Training repeats exactly under the same seeds, so the first answer about learning stays."""
    if first.answer != Answer.FAILS or first.claim.of == LEARNING or not first.against:
        return first
    if second.answer == Answer.FAILS:
        return replace(first, reason=f"{first.reason}; measured again: {second.reason}")
    reason = f"failed at first, {first.reason}, but not when measured again, {second.reason}"
    return replace(first, answer=Answer.UNDECIDED, reason=reason, against=())


class _Case:
    """A claim with the findings that it is about. Growth is about groups of contexts, each represented by one block."""

    def __init__(self, claim: Claim, plan: Plan, findings: Sequence[Finding], floor: float, null_biased: bool) -> None:
        # The control and the floor are about clocks and ratios: not about learning, exact amounts or exponents.
        timed = claim.of != LEARNING and not claim.exact
        self.claim, self.null_biased = claim, null_biased and timed
        self.floor = floor if timed and not claim.along else 0.0
        #: The claimed size, in the estimate's units.
        self.size = 0.0 if claim.expect == "equal" else self.floor
        if claim.by and claim.scale == "difference":
            self.size = claim.by
        elif claim.by:
            self.size = -math.log1p(-claim.by) if claim.expect == "lower" else math.log1p(claim.by)
        self.slack = ROUNDING if is_exact(claim) and claim.by else 0.0
        self.blocks = claim.blocks_in(plan.blocks)
        if claim.along:
            self.blocks = [group[-1] for group in groups_along(claim.along, self.blocks)]
        ids = {block.id for block in self.blocks}
        wanted = (claim.level, claim.of, growth_metric(claim.metric, claim.along) if claim.along else claim.metric)
        there = [one for one in findings if (one.level, one.mode, one.metric) == wanted and one.block.id in ids]
        self.findings = [one for one in there if one.estimate is not None and one.verdict not in EXCLUDED]
        #: Why other findings about the claim have no verdict.
        self.excluded = {one.block.id: one.reason for one in there if one.verdict in EXCLUDED and one.reason}
        self.quick = any(block.measures.quick for block in self.blocks)
        if claim.of == LEARNING:
            self.quick = any(one.estimate is None or one.estimate.k < stats.MIN_REPLICATES for one in self.findings)
        self.undecidable = self.quick or self.null_biased or not self.findings

    def result(self, level: float) -> ClaimResult:
        """The result at this significance level; at 0 nothing is decided."""
        answer, reason = self.answer(level) if level else (Answer.UNDECIDED, self.why_not())
        remeasured = not (self.claim.exact or self.claim.along or self.claim.of == LEARNING)
        against = self.failing(level) if answer == Answer.FAILS and remeasured else ()
        worst = max if self.claim.inside == "all" else min
        decisive = worst(self.findings, key=self.distance, default=None)
        blocks = tuple(one.block.id for one in against)
        return ClaimResult(self.claim, answer, reason, blocks, decisive, len(self.blocks))

    def decided(self, alpha: float) -> bool:
        return self.answer(alpha)[0] != Answer.UNDECIDED

    def answer(self, alpha: float) -> tuple[Answer, str]:
        """Holds, fails or undecided at this level, with the reason."""
        if self.undecidable:
            return Answer.UNDECIDED, self.why_not()
        every = self.claim.inside == "all"
        holding, failing = self.holding(alpha), self.failing(alpha)
        if every and failing:
            worst = max(failing, key=self.distance)
            return Answer.FAILS, f"{place_of(worst)}: {self.in_words(worst)}"
        if every and len(holding) == len(self.blocks):
            return Answer.HOLDS, self.range_in_words()
        if not every and holding:
            best = min(holding, key=self.distance)
            return Answer.HOLDS, f"{place_of(best)}: {self.in_words(best)}"
        if not every and len(failing) == len(self.blocks):
            return Answer.FAILS, self.range_in_words()
        return Answer.UNDECIDED, self.why_not()

    def holding(self, alpha: float) -> list[Finding]:
        """The findings that support the claim. Where one of n is enough, each is tried at alpha / n."""
        share = alpha if self.claim.inside == "all" else alpha / len(self.findings)
        return [one for one in self.findings if self.holds(one, share)]

    def failing(self, alpha: float) -> list[Finding]:
        """The findings that contradict it, with the same correction."""
        share = alpha / len(self.findings) if self.claim.inside == "all" else alpha
        return [one for one in self.findings if self.fails(one, share)]

    def distance(self, finding: Finding) -> float:
        """How far the finding points away from the claim, in the estimate's units."""
        assert finding.estimate is not None
        mean = finding.estimate.mean
        return {"lower": mean, "higher": -mean, "equal": abs(mean)}[self.claim.expect]

    def interval(self, finding: Finding, confidence: float) -> tuple[float, float]:
        """The interval, mirrored for "higher", so that the claimed direction is always down."""
        assert finding.estimate is not None
        low, high = finding.estimate.interval(confidence)
        return (-high, -low) if self.claim.expect == "higher" else (low, high)

    def holds(self, finding: Finding, alpha: float) -> bool:
        if self.claim.expect == "equal":
            low, high = self.interval(finding, max(0.0, 1 - 2 * alpha))
            return low >= -self.size - self.slack and high <= self.size + self.slack
        return self.interval(finding, 1 - alpha)[1] < -self.size + self.slack

    def fails(self, finding: Finding, alpha: float) -> bool:
        low, high = self.interval(finding, 1 - alpha)
        if (self.claim.exact or self.claim.along) and low == high:
            return not self.holds(finding, alpha)  # an interval without width always decides
        if self.claim.expect == "equal":
            return low > self.size or high < -self.size
        return low > (-self.size if self.claim.by else self.floor)

    def why_not(self) -> str:
        if self.quick:
            return "too few seeds decide no claim" if self.claim.of == LEARNING else "a first look decides no claim"
        if not self.blocks:
            return "no planned context matches the claim"
        if self.null_biased:
            return "the baseline differs from itself"
        if len(self.findings) < len(self.blocks):
            have = {one.block.id for one in self.findings}
            missing = ", ".join(block.name for block in self.blocks if block.id not in have)
            if self.claim.along:
                return f"no exponent up to {missing}: it takes {FEWEST} contexts with both levels measured in each"
            if self.claim.exact:
                return f"{self.claim.metric} is not known for {missing}"
            reasons = dict.fromkeys(why for block, why in self.excluded.items() if block not in have)
            return f"no verdict for {missing}{': ' * bool(reasons)}{'; '.join(reasons)}"
        return f"the intervals allow both answers: {self.range_in_words()}"

    def range_in_words(self) -> str:
        lowest, highest = (pick(self.findings, key=lambda one: one.size or 0.0) for pick in (min, max))
        words = self.in_words(lowest)
        if len(self.findings) == 1:
            return words
        if is_exact(self.claim) and lowest.size == highest.size:
            return f"{words} in all {len(self.findings)}"
        return f"from {words} ({place_of(lowest)}) to {self.in_words(highest)} ({place_of(highest)})"

    def in_words(self, finding: Finding) -> str:
        """The size of a finding, with its interval."""
        size = size_in_words(finding.size, self.claim)
        if is_exact(self.claim):
            if finding.size is None:
                return "more than the baseline's 0" if self.distance(finding) else "0, as the baseline"
            return f"exactly {size}"
        if finding.interval is None:
            return "no interval"
        low, high = (size_in_words(bound, self.claim) for bound in finding.interval)
        words = f"{size}{' points' if self.claim.scale == 'difference' else ''} [{low}, {high}]"
        if isinstance(finding, Growth) and finding.base:
            both = f"{finding.exponent.mean:.2f} and {finding.base.mean:.2f}"
            return f"exponent {words} relative to the baseline's ({both})"
        return words


def place_of(finding: Finding) -> str:
    """The context of a finding in words."""
    if isinstance(finding, Growth):
        return " · ".join([*finding.context.values(), f"along {finding.axis}"])
    return finding.block.name


def size_in_words(size: float | None, claim: Claim) -> str:
    """The size of what a claim is about."""
    if size is None:
        return "-"
    return exact_in_words(size) if is_exact(claim) else scaled_in_words(size, claim.scale)
