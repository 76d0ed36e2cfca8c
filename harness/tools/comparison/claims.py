"""The answers to a claim in two runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.analysis.claims import ClaimResult
from harness.records.plan import LEARNING, Claim
from harness.tools.comparison.fields import Kind
from harness.tools.comparison.pairs import ContextPair, RunData


@dataclass(frozen=True)
class ClaimChange:
    """The answer to a claim in each run, empty if the run has no such claim, and the reason in B. `improved` is set if
    it is a claim of no difference that is false in B because the level is better. `not_comparable` says why the answers
    are about different things; `other_machine` is set if they are of two machines."""

    says: str
    a: str
    b: str
    reason: str
    not_comparable: str = ""
    other_machine: bool = False
    improved: bool = False

    @property
    def change(self) -> str:
        """The change of the answer in words."""
        if not self.a or not self.b:
            return f"new: {self.b}" if self.b else f"removed (was: {self.a})"
        return f"{self.a} in both" if self.a == self.b else f"{self.a}, now {self.b}"


def claims_of(
    a: RunData, b: RunData, pairs: Sequence[ContextPair], only: Mapping[str, Sequence[str]], metrics: Sequence[str]
) -> list[ClaimChange]:
    """Every claim of either run, matched by its sentence. With `only` or `metrics`, those that are about nothing
    else."""
    ours, theirs = ({result.claim.says: result for result in run.findings.claims} for run in (a, b))
    compared = {block.id for pair in pairs for block in (pair.a, pair.b)}
    found = []
    for says in dict.fromkeys((*theirs, *ours)):
        one, other = ours.get(says), theirs.get(says)
        known = other or one
        assert known is not None
        if metrics and known.claim.metric not in metrics:
            continue
        runs = [run for run, result in ((a, one), (b, other)) if result]
        levels = [only[run.plan.axis] for run in runs if run.plan.axis in only]
        blocks = {block.id for run in runs for block in known.claim.blocks_in(run.plan.blocks)}
        if not only or (all(known.claim.level in each for each in levels) and blocks <= compared):
            found.append(claim_of(says, one, other, pairs, (a, b)))
    return found


def content(claim: Claim) -> tuple[object, ...]:
    """What a claim says, without what the planner adds, which another version may leave out."""
    where = {axis: tuple(levels) for axis, levels in claim.where.items()}
    return claim.level, claim.metric, claim.expect, claim.by, claim.of, where, claim.inside, claim.along


def claim_of(
    says: str, a: ClaimResult | None, b: ClaimResult | None, pairs: Sequence[ContextPair],
    runs: tuple[RunData, RunData],
) -> ClaimChange:  # fmt: skip
    """One claim in both runs."""
    answers = a.answer if a else "", b.answer if b else ""
    change = ClaimChange(says, *answers, b.reason if b else "", improved=b is not None and b.improved)
    if a is None or b is None:
        return change
    if content(a.claim) != content(b.claim):
        return replace(change, not_comparable="the claim itself was changed")
    of_times: Kind = "times" if b.claim.is_value else "ratios"
    kind: Kind = "scores" if b.claim.of == LEARNING else "amounts" if b.claim.exact else of_times
    blocks = [{block.id for block in b.claim.blocks_in(run.plan.blocks)} for run in runs]
    about = [pair for pair in pairs if pair.a.id in blocks[0] and pair.b.id in blocks[1]]
    if len(about) != len(blocks[0]) or len(about) != len(blocks[1]):
        return replace(change, not_comparable="it is about other contexts")
    for pair in about:
        # An effect of an ablation depends on several levels; all of them must be comparable.
        levels = [b.claim.level] if b.claim.level in pair.levels else list(pair.levels)
        for level in levels if b.claim.is_value else (pair.baseline, *levels):
            if reason := pair.why_not(level, kind):
                return replace(change, not_comparable=f"{pair.name}: {reason}")
    of_two = kind == of_times and any(pair.of_two_machines(level, kind) for pair in about for level in pair.levels)
    return replace(change, other_machine=of_two)
