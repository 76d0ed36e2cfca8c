"""The verdict on a piece of advice, computed from the claims of the stored runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from _generate.advice import Advice, ClaimUse
from _generate.numbers import in_place
from _generate.runs import StoredRun
from harness.analysis.claims import ClaimResult
from harness.analysis.verdicts import Answer
from harness.report.cells import ANSWERS

DEPENDS, OPEN = "It depends", "Not decided"


def claim_in(run: StoredRun, says: str) -> ClaimResult | None:
    """The answer to a claim in a run; None if its suite did not state this claim."""
    return next((one for one in run.report.findings.claims if one.claim.says == says), None)


def checked_verdict(advice: Advice, runs: Sequence[StoredRun]) -> str:
    """The verdict. Raises SystemExit if the file expects another verdict, or another answer to a claim of the
    reference run."""
    for use in advice.claims:
        answer = reference_answer(advice, use, runs)
        if answer != use.answer:
            raise SystemExit(f"{advice.name}: expected {use.answer} for {use.claim!r} of {use.suite}; it is {answer}")
    found = verdict_of(advice, runs)
    if found != advice.verdict:
        raise SystemExit(f"{advice.name}: the file expects the verdict {advice.verdict!r}; the claims give {found!r}")
    return found


def reference_answer(advice: Advice, use: ClaimUse, runs: Sequence[StoredRun]) -> str:
    """The answer of the first run of the claim's suite, which is the reference run."""
    run = next((run for run in runs if run.suite == use.suite), None)
    result = claim_in(run, use.claim) if run else None
    if result is None:
        raise SystemExit(f"{advice.name}: {use.suite} has no stored run with the claim {use.claim!r}")
    return ANSWERS[result.answer]


def verdict_of(advice: Advice, runs: Sequence[StoredRun]) -> str:
    """The verdict over all machines. A machine on which nothing was decided does not change it; machines with
    different verdicts make it depend on the machine."""
    machines = dict.fromkeys(run.machine for run in runs)
    found = {of_machine(advice, [run for run in runs if run.machine == machine]) for machine in machines}
    decided = found - {OPEN}
    return OPEN if not decided else DEPENDS if len(decided) > 1 else decided.pop()


def of_machine(advice: Advice, runs: Iterable[StoredRun]) -> str:
    """The verdict of the runs of one machine: true or false where all deciding claims agree. It depends where claims,
    or contexts of one claim, have different answers. It is not decided where a claim is undecided."""
    by_suite = {run.suite: run for run in runs}
    outcomes = set()
    for use in advice.decided_by:
        run = by_suite.get(use.suite)
        if run and (result := claim_in(run, use.claim)):
            outcomes.add(outcome_of(use, run, result))
    if DEPENDS in outcomes or {"True", "False"} <= outcomes:
        return DEPENDS
    return outcomes.pop() if len(outcomes) == 1 else OPEN


def outcome_of(use: ClaimUse, run: StoredRun, result: ClaimResult) -> str:
    """What one claim says, in the contexts that are used."""
    if not use.where:
        if result.answer == Answer.UNDECIDED:
            return OPEN
        return DEPENDS if result.answer == Answer.FAILS and result.true_in else ANSWERS[result.answer]
    names = {
        block.name for block in result.claim.blocks_in(run.report.findings.plan.blocks) if in_place(block, use.where)
    }
    true, false = (names.intersection(places) for places in (result.true_in, result.false_in))
    if true and false:
        return DEPENDS
    return "False" if false else "True" if true == names and names else OPEN
