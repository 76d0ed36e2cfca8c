"""The gate for CI: what a comparison says about run B as an exit code, with the reasons."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.analysis.verdicts import OPEN, Answer, Flag, Verdict
from harness.errors import CLAIM_FAILED, FAILED, UNDECIDED
from harness.report.cells import confidence_interval
from harness.tools.comparison.claims import ClaimChange
from harness.tools.comparison.comparison import RunComparison
from harness.tools.comparison.pairs import MetricChange
from harness.tools.comparison.times import STEP_TIME

#: The result for each exit code.
RESULTS = {0: "fine", CLAIM_FAILED: "worse", FAILED: "trials failed", UNDECIDED: Verdict.UNDECIDED}


@dataclass(frozen=True)
class Gate:
    """The exit code, and the reasons for it: what failed in B, what is worse, and what is left open."""

    code: int
    failed: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()
    open: tuple[str, ...] = ()

    @property
    def result(self) -> str:
        """The exit code in words."""
        return RESULTS[self.code]


def gate_of(comparison: RunComparison) -> Gate:
    """The gate of a comparison. Failures come first, since nothing is known without a measurement; then what is worse,
    since one thing that is worse is enough."""
    changes, claims = comparison.changes, comparison.claims
    worse = [f"{place_of(c)}: {c.verdict}, {size_in_words(c)}" for c in changes if is_worse(c, comparison.margin)]
    worse += [f"claim: {claim.says}: {claim.change}" for claim in claims if is_claim_worse(claim)]
    # A change without a reason of its own is open because it is a ratio of two machines.
    left_open = [f"{place_of(c)}: {c.verdict} ({c.reason or Flag.OTHER_MACHINE})" for c in changes if is_open(c)]
    left_open += [f"claim: {claim.says}: {why}" for claim in claims if (why := why_claim_is_open(claim))]
    left_open += [f"{name}: only in A" for name in comparison.only_in_a]
    decided = [c for c in changes if c.kind != "times" and c.verdict not in (Verdict.NEW, Verdict.UNRANKED)]
    if not decided and not left_open:
        left_open = ["the two runs have nothing that can be compared"]
    code = FAILED if comparison.failures else CLAIM_FAILED if worse else UNDECIDED if left_open else 0
    return Gate(code, comparison.failures, tuple(worse), tuple(left_open))


def place_of(change: MetricChange) -> str:
    """The place of a change, with the metric unless it is the ratio of step times."""
    if change.metric == STEP_TIME and change.kind == "ratios":
        return change.place
    return f"{change.place}, {'absolute ' * (change.kind == 'times')}{change.metric}"


def is_worse(change: MetricChange, margin: float) -> bool:
    """Whether a change fails the gate: slower or a worse score on the same machine, or an amount that grew by more than
    the margin on any machine."""
    if change.kind == "amounts":
        growth = change.estimate.mean if change.estimate else math.inf
        return change.verdict == Verdict.MORE and growth > math.log1p(margin)
    return change.verdict in (Verdict.SLOWER, Verdict.WORSE) and not change.of_two_machines


def is_open(change: MetricChange) -> bool:
    """Whether a change is left undecided. Absolute times are seldom decided, so they never count as open."""
    if change.kind == "times":
        return False
    return change.verdict in OPEN or (change.of_two_machines and change.verdict != Verdict.UNRANKED)


def is_claim_worse(claim: ClaimChange) -> bool:
    """Whether a claim that held now fails. One that fails in both runs is a finding, as before. A claim of no
    difference that fails because the level became better is not worse."""
    same_thing = not claim.not_comparable and not claim.other_machine
    return same_thing and (claim.a, claim.b) == (Answer.HOLDS, Answer.FAILS) and not claim.improved


def why_claim_is_open(claim: ClaimChange) -> str:
    """Why the answer to a claim that held, or was undecided, is open; empty if it is not open."""
    held = claim.a == Answer.HOLDS
    if claim.improved and not claim.not_comparable:
        return ""
    if not (held or claim.a == Answer.UNDECIDED) or (claim.b == Answer.HOLDS and not claim.not_comparable):
        return ""
    if claim.not_comparable:
        return f"{Verdict.NOT_COMPARABLE}: {claim.not_comparable}" if held else ""
    if held and (claim.b != Answer.FAILS or claim.other_machine):
        return claim.change + (", on another machine" if claim.other_machine else "")
    return claim.change if claim.b == Answer.FAILS else ""


def size_in_words(change: MetricChange) -> str:
    """The size with its interval."""
    if change.kind == "amounts":
        return "A has none" if change.size is None else f"{change.size:.4g}×"
    if change.size is None:
        return "no interval"
    size = f"{change.in_words(change.size)}{'×' if change.scale == 'ratio' else ' points'}"
    interval = confidence_interval(change)
    return f"{size} ({interval})" if interval else size
