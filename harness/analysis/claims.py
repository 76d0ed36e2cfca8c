"""Claims: sentences of a suite that intervals settle, answered as one Holm family, or numbers that are exact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from harness.analysis import stats
from harness.analysis.growth import FEWEST, Growth, groups_along, name_of
from harness.analysis.resources import ratio_in_words
from harness.analysis.stats import Estimate
from harness.analysis.timing import alpha_of
from harness.records.plan import LEARNING, Block, Claim, Plan, spoken_of

Answer = Literal["holds", "fails", "undecided"]

#: What is lower by 20% exactly may miss the bound by so much, in log units, by rounding alone.
ROUNDING = 1e-12


class Evidence(Protocol):
    """All that a claim asks of a comparison, an effect, a quantity or a growth: what an interval says of `level` in one
    block."""

    @property
    def block(self) -> Block:
        """Where it was measured."""

    @property
    def level(self) -> str:
        """What it is about, as the claim calls it."""

    @property
    def mode(self) -> str:
        """Of which mode."""

    @property
    def metric(self) -> str:
        """By which metric."""

    @property
    def estimate(self) -> Estimate | None:
        """In log units, or of an exponent; None where there is nothing to estimate."""

    @property
    def verdict(self) -> str:
        """One that is invalid or unranked settles nothing."""

    @property
    def ratio(self) -> float | None:
        """As people read it."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the ratio."""


@dataclass(frozen=True)
class ClaimResult:
    """What became of a claim."""

    claim: Claim
    answer: Answer
    reason: str
    #: The ids of the blocks whose times speak against it, where it fails. These can be measured once more.
    against: tuple[str, ...] = ()
    #: What decides, of the `contexts` that the claim speaks of: where it fails or nearly does, or holds best for "any".
    decisive: Evidence | None = None
    contexts: int = 0

    @property
    def size(self) -> str:
        """What was found where it decides, in words, without its interval."""
        return "" if self.decisive is None else size_in_words(self.decisive.ratio, self.claim)

    @property
    def interval(self) -> str:
        """The 95 % interval of that, in words."""
        if self.decisive is not None and is_certain(self.claim):
            return "exactly"
        bounds = self.decisive.interval if self.decisive else None
        return "" if bounds is None else " to ".join(size_in_words(bound, self.claim) for bound in bounds)


def settle(plan: Plan, comparisons: Sequence[Evidence], floor: float, null_biased: bool) -> list[ClaimResult]:
    """Answer the suite's claims. Each is tried at every level; Holm's step-down says which level it may use. No chance
    is in what is exact, so claims about that are no part of the family."""
    cases = [_Case(claim, plan, comparisons, floor, null_biased) for claim in plan.claims]
    alpha = min((alpha_of(block.measures.speed) for block in plan.blocks), default=0.05)
    family = [stats.smallest_alpha(case.decided) for case in cases if not is_certain(case.claim)]
    levels = iter(stats.holm(family, alpha))
    return [case.result(alpha if is_certain(case.claim) else next(levels)) for case in cases]


def is_certain(claim: Claim) -> bool:
    """Whether one number settles the claim. An exponent is fitted also to what is exact, and has an interval."""
    return claim.exact and not claim.along


def confirmed(first: ClaimResult, second: ClaimResult) -> ClaimResult:
    """A claim that failed, after what spoke against it was measured once more: it fails if both say so. The same seeds
    would learn the same again, so of learning the first answer stands."""
    if first.answer != "fails" or first.claim.of == LEARNING or not first.against:
        return first
    if second.answer == "fails":
        return replace(first, reason=f"{first.reason}; once more: {second.reason}")
    reason = f"failed at first, {first.reason}, and not when measured once more, {second.reason}"
    return replace(first, answer="undecided", reason=reason, against=())


class _Case:
    """A claim with the evidence that it speaks of; that of growth is of groups of contexts, each with a block that
    stands for it."""

    def __init__(
        self, claim: Claim, plan: Plan, comparisons: Sequence[Evidence], floor: float, null_biased: bool
    ) -> None:
        # Of what was learned, and of what is exact, no clock is the judge; and a floor is of ratios, not of exponents.
        timed = claim.of != LEARNING and not claim.exact
        self.claim, self.null_biased = claim, null_biased and timed
        self.floor = floor if timed and not claim.along else 0.0
        self.slack = ROUNDING if is_certain(claim) and claim.by else 0.0
        self.blocks = spoken_of(claim, plan.blocks)
        if claim.along:
            self.blocks = [group[-1] for group in groups_along(claim.along, self.blocks)]
        ids = {block.id for block in self.blocks}
        wanted = (claim.level, claim.of, name_of(claim.metric, claim.along) if claim.along else claim.metric)
        self.comparisons = [
            c
            for c in comparisons
            if (c.level, c.mode, c.metric) == wanted
            and c.block.id in ids
            and c.estimate is not None
            and c.verdict not in ("invalid", "unranked")
        ]
        speeds = [block.measures.speed for block in self.blocks if block.measures.speed]
        self.quick = any(speed.quick for speed in speeds)
        if claim.of == LEARNING:
            self.quick = any(c.estimate is None or c.estimate.k < stats.LEAST for c in self.comparisons)
        self.barred = self.quick or self.null_biased or not self.comparisons

    def result(self, level: float) -> ClaimResult:
        """What becomes of the claim at the level that it may use, 0 for none."""
        if not level:
            return self.told("undecided", self.why_not())
        answer, reason = self.answer(level)
        once_more = answer == "fails" and not (self.claim.exact or self.claim.along or self.claim.of == LEARNING)
        return self.told(answer, reason, tuple(c.block.id for c in self.failing(level)) if once_more else ())

    def told(self, answer: Answer, reason: str, against: tuple[str, ...] = ()) -> ClaimResult:
        """The result, with the comparison that decides."""
        worst = max if self.claim.inside == "all" else min
        decisive = worst(self.comparisons, key=self.against, default=None)
        return ClaimResult(self.claim, answer, reason, against, decisive, len(self.blocks))

    def decided(self, alpha: float) -> bool:
        return self.answer(alpha)[0] != "undecided"

    def answer(self, alpha: float) -> tuple[Answer, str]:
        """Holds or fails at this level, or undecided."""
        if self.barred:
            return "undecided", self.why_not()
        every = self.claim.inside == "all"
        holding, failing = self.holding(alpha), self.failing(alpha)
        if every and failing:
            worst = max(failing, key=self.against)
            return "fails", f"{place_of(worst)}: {self.in_words(worst)}"
        if every and len(holding) == len(self.blocks):
            return "holds", self.range_in_words()
        if not every and holding:
            best = min(holding, key=self.against)
            return "holds", f"{place_of(best)}: {self.in_words(best)}"
        if not every and len(failing) == len(self.blocks):
            return "fails", self.range_in_words()
        return "undecided", self.why_not()

    def holding(self, alpha: float) -> list[Evidence]:
        """Those that speak for the claim. One among n that would decide alone pays alpha / n."""
        share = alpha if self.claim.inside == "all" else alpha / len(self.comparisons)
        return [c for c in self.comparisons if self.holds(c, share)]

    def failing(self, alpha: float) -> list[Evidence]:
        """Those that speak against it, at the same price."""
        share = alpha / len(self.comparisons) if self.claim.inside == "all" else alpha
        return [c for c in self.comparisons if self.fails(c, share)]

    def against(self, comparison: Evidence) -> float:
        """How far the comparison points away from the claim, in log units."""
        assert comparison.estimate is not None
        mean = comparison.estimate.mean
        return {"lower": mean, "higher": -mean, "equal": abs(mean)}[self.claim.expect]

    def bound(self) -> float:
        """The log ratio, or the difference, that the claim speaks of."""
        claim = self.claim
        if not claim.by:
            return {"lower": -self.floor, "higher": self.floor, "equal": 0.0}[claim.expect]
        by = -claim.by if claim.expect == "lower" else claim.by
        return by if claim.scale == "difference" else math.log1p(by)

    def holds(self, comparison: Evidence, alpha: float) -> bool:
        assert comparison.estimate is not None
        low, high = comparison.estimate.interval(1 - alpha)
        if self.claim.expect == "lower":
            return high < self.bound() + self.slack
        if self.claim.expect == "higher":
            return low > self.bound() - self.slack
        low, high = comparison.estimate.interval(max(0.0, 1 - 2 * alpha))
        return low >= -self.bound() - self.slack and high <= self.bound() + self.slack

    def fails(self, comparison: Evidence, alpha: float) -> bool:
        assert comparison.estimate is not None
        if (self.claim.exact or self.claim.along) and not comparison.estimate.error:
            return not self.holds(comparison, alpha)  # an interval without width never allows both
        low, high = comparison.estimate.interval(1 - alpha)
        if self.claim.expect == "lower":
            return low > (self.bound() if self.claim.by else self.floor)
        if self.claim.expect == "higher":
            return high < (self.bound() if self.claim.by else -self.floor)
        return low > self.bound() or high < -self.bound()

    def why_not(self) -> str:
        if self.quick:
            return "a first look decides no claim" if self.claim.of != LEARNING else "too few seeds decide no claim"
        if not self.blocks:
            return "no context that it speaks of was planned"
        if self.null_biased:
            return "the baseline differs from itself"
        if len(self.comparisons) < len(self.blocks):
            have = {c.block.id for c in self.comparisons}
            missing = ", ".join(block.name for block in self.blocks if block.id not in have)
            if self.claim.along:
                return f"no exponent up to {missing}: it takes {FEWEST} contexts, and both levels in each that is there"
            return (
                f"{self.claim.metric} is not known for {missing}" if self.claim.exact else f"no verdict for {missing}"
            )
        return f"the intervals allow both: {self.range_in_words()}"

    def range_in_words(self) -> str:
        lowest = min(self.comparisons, key=lambda c: c.ratio or 0.0)
        highest = max(self.comparisons, key=lambda c: c.ratio or 0.0)
        words = self.in_words(lowest)
        if len(self.comparisons) == 1:
            return words
        if is_certain(self.claim) and lowest.ratio == highest.ratio:
            return f"{words} in all {len(self.comparisons)}"
        return f"from {words} ({place_of(lowest)}) to {self.in_words(highest)} ({place_of(highest)})"

    def in_words(self, comparison: Evidence) -> str:
        """The size of what was found, with its interval."""
        if is_certain(self.claim):
            return certain_in_words(comparison)
        if comparison.ratio is None or comparison.interval is None:
            return "no interval"
        low, high = (size_in_words(bound, self.claim) for bound in comparison.interval)
        unit = " points" if self.claim.scale == "difference" else ""
        words = f"{size_in_words(comparison.ratio, self.claim)}{unit} [{low}, {high}]"
        if isinstance(comparison, Growth) and comparison.base:
            both = f"{comparison.exponent.mean:.2f} and {comparison.base.mean:.2f}"
            return f"exponent {words} against the baseline's ({both})"
        return words


def place_of(evidence: Evidence) -> str:
    """The context it is of, in words."""
    if isinstance(evidence, Growth):
        return " · ".join([*evidence.context.values(), f"along {evidence.axis}"])
    return evidence.block.name


def certain_in_words(evidence: Evidence) -> str:
    """A ratio that is exact."""
    if evidence.ratio is None:
        return f"exactly {'more than' if evidence.estimate and evidence.estimate.mean else 'as much as'} 0"
    return f"exactly {ratio_in_words(evidence.ratio)}"


def size_in_words(size: float | None, claim: Claim) -> str:
    """A ratio, a difference in points, or one of exponents."""
    if size is None:
        return "-"
    if claim.scale == "exponent":
        return f"{size:+.2f}"
    if is_certain(claim):
        return ratio_in_words(size)
    return f"{100 * size:+.1f}" if claim.scale == "difference" else f"{size:.3f}"
