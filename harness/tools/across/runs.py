"""Two runs to changes and an exit code for CI. docs/compare.md explains what is compared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.analysis import stats
from harness.analysis.multiplicity import as_a_family
from harness.analysis.verdicts import EXCLUDED, OPEN, Answer, Flag, Verdict
from harness.errors import CLAIM_FAILED, FAILED, UNDECIDED, UserError, did_you_mean
from harness.records.plan import LEARNING, Block
from harness.records.settings import Speed
from harness.tools.across.comparability import Difference
from harness.tools.across.learned import ClaimChange, amounts_of, claims_of, scores_of
from harness.tools.across.pairs import Change, Pair, Side, pairs_of
from harness.tools.across.times import Past, Times

#: The metric that is compared by default.
STEP = "step_time"
#: Rows with these verdicts are not counted in the correction for many comparisons.
NOT_JUDGED = EXCLUDED | {Verdict.SAME}


@dataclass(frozen=True)
class Asked:
    """What is compared, and by which margin. Without a `margin` it is the smaller one of the two suites; without
    `metrics`, step time, the score that decides, and every exact amount. Differences in `allowed` fields rule out
    nothing."""

    margin: float | None = None
    metrics: tuple[str, ...] = ()
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    allowed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Across:
    """Run B compared with run A. `failures` are those of B in words; `missing` and `new` are contexts that only A or
    only B has; `margin` is the smallest that was used, by which an amount may grow as well; `past_runs` is the number
    of earlier runs that the spread was estimated from; `problems` are errors of metrics."""

    a: Side
    b: Side
    differences: tuple[Difference, ...]
    ratios: tuple[Change, ...]
    times: tuple[Change, ...]
    scores: tuple[Change, ...]
    amounts: tuple[Change, ...]
    claims: tuple[ClaimChange, ...]
    failures: tuple[str, ...]
    missing: tuple[str, ...]
    new: tuple[str, ...]
    margin: float
    past_runs: int = 0
    problems: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """All rows."""
        return (*self.ratios, *self.times, *self.scores, *self.amounts)


@dataclass(frozen=True)
class Gate:
    """The exit code for CI, and the reasons for it."""

    code: int
    failed: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()
    open: tuple[str, ...] = ()

    @property
    def answer(self) -> str:
        """The exit code in words."""
        words = {0: "fine", CLAIM_FAILED: Verdict.WORSE, FAILED: "trials failed", UNDECIDED: Verdict.UNDECIDED}
        return words[self.code]


def compare_runs(a: Side, b: Side, asked: Asked, past: Past | None = None, past_runs: int = 0) -> Across:
    """Compare run B with run A. Raises UserError for an axis, a level or a metric that neither has."""
    matched = pairs_of(a, b, asked.only, asked.allowed)
    check_metrics(asked.metrics, (a, b))
    ratios: list[Change] = []
    times: list[Change] = []
    floor, margins = stats.FLOOR, []
    missing = [block.name for block in matched.missing]
    new = [block.name for block in matched.new]
    for pair in matched.pairs:
        if not asked.metrics:
            missing += in_one_alone(pair.name, pair.a, pair.b)
            new += in_one_alone(pair.name, pair.b, pair.a)
        for mode in modes_of(pair):
            here = Times(a, b, pair, mode, past or Past(), asked.margin)
            floor = max(floor, here.floor)
            margins.append(here.margin)
            for metric in times_wanted(asked.metrics, (a, b), pair, mode):
                times += [here.time(level, metric) for level in pair.kept]
                ratios += [here.ratio(level, metric) for level in pair.kept if level != pair.kept[0]]
    scores = [change for pair in matched.pairs for change in scores_of(a, b, pair, asked.metrics)]
    amounts = [change for pair in matched.pairs for change in amounts_of(a, b, pair, asked.metrics)]
    margin = min(margins, default=Speed().margin if asked.margin is None else asked.margin)
    return Across(
        a=a,
        b=b,
        differences=tuple(matched.differences),
        ratios=tuple(as_a_family(ratios, floor, NOT_JUDGED)),
        times=tuple(as_a_family(times, stats.FLOOR, NOT_JUDGED)),
        scores=tuple(as_a_family(scores, 0.0, NOT_JUDGED)),
        amounts=tuple(amounts),
        claims=tuple(claims_of(a, b, matched.pairs, asked.only, asked.metrics)),
        failures=tuple(failures_of(b, matched.pairs, matched.new)),
        missing=tuple(missing),
        new=tuple(new),
        margin=margin,
        past_runs=past_runs,
        problems=tuple(dict.fromkeys((*a.findings.problems, *b.findings.problems))),
    )


def modes_of(pair: Pair) -> list[str]:
    """The modes that both runs time."""
    ours, theirs = pair.a.measures.speed, pair.b.measures.speed
    return [mode for mode in ours.of if mode in theirs.of] if ours and theirs else []


def in_one_alone(name: str, block: Block, other: Block) -> list[str]:
    """What is timed or trained in a block and not in the other one."""
    speed, against = block.measures.speed, other.measures.speed
    modes: list[str] = [mode for mode in (speed.of if speed else ()) if mode not in (against.of if against else ())]
    if block.measures.learning and not other.measures.learning:
        modes.append(LEARNING)
    return [f"{name} · {mode}" for mode in modes]


def times_wanted(metrics: Sequence[str], sides: Iterable[Side], pair: Pair, mode: str) -> list[str]:
    """Step time, or the named metrics of samples that either run has here."""
    if not metrics:
        return [STEP]
    there = {
        metric
        for side, block in zip(sides, (pair.a, pair.b), strict=True)
        for (where, _, of, metric) in side.findings.numbers
        if (where, of) == (block.id, mode) and side.findings.metrics[metric].per == "sample"
    }
    return [metric for metric in metrics if metric in there or metric == STEP]


def check_metrics(metrics: Sequence[str], sides: Sequence[Side]) -> None:
    """Raise UserError for a metric that neither run has."""
    known = {STEP}
    for side in sides:
        of = side.findings.metrics
        known |= {name for (_, _, _, name) in side.findings.numbers if of[name].per == "sample"}
        known |= {name for learned in side.findings.learning.learned for name in learned.scores}
        known |= {quantity.metric for quantity in side.findings.quantities}
    for name in metrics:
        if name not in known:
            raise UserError("neither run has such a metric.", where=f"--metric {name}", fix=did_you_mean(name, known))


def failures_of(side: Side, pairs: Sequence[Pair], new: Sequence[Block]) -> list[str]:
    """The compared trials of a run that failed or broke their promise, in words."""
    kept = {pair.b.id: pair.kept for pair in pairs}
    kept |= {block.id: tuple(trial.level for trial in block.trials) for block in new}
    names = {block.id: block.name for block in side.plan.blocks}
    known = set(names)
    return [
        f"{names.get(record.block, 'measured once more')}, {record.level}: {record.outcome} in {record.measure}: "
        f"{record.reason}"
        for record in side.findings.broken
        if (record.block not in known or record.level in kept.get(record.block, ()))
    ]


def gate(across: Across) -> Gate:
    """The answer for CI. Failures come before what is worse, and that before what is open: without a measurement
    nothing is known, and one thing that is worse is enough."""
    worse = [f"{place_of(c)}: {c.verdict}, {size_in_words(c)}" for c in across.changes if is_worse(c, across.margin)]
    worse += [f"claim: {claim.says}: {claim.change}" for claim in across.claims if claim_is_worse(claim)]
    unsure = [f"{place_of(c)}: {c.verdict} ({why_open(c)})" for c in across.changes if is_open(c)]
    unsure += [f"claim: {claim.says}: {why}" for claim in across.claims if (why := why_claim_is_open(claim))]
    unsure += [f"{name}: only in A" for name in across.missing]
    decided = [c for c in across.changes if c.kind != "times" and c.verdict not in (Verdict.NEW, Verdict.UNRANKED)]
    if not decided and not unsure:
        unsure = ["nothing of the two runs can be compared"]
    code = FAILED if across.failures else CLAIM_FAILED if worse else UNDECIDED if unsure else 0
    return Gate(code, across.failures, tuple(worse), tuple(unsure))


def place_of(change: Change) -> str:
    """The place of a change, with the metric where it is not the ratio of step times."""
    usual = change.metric == STEP and change.kind == "ratios"
    return change.place if usual else f"{change.place}, {'its own ' * (change.kind == 'times')}{change.metric}"


def is_worse(change: Change, margin: float) -> bool:
    """Whether a row fails the gate: slower or a worse score on the same machine, or an amount that grew by more than
    the margin on any machine."""
    if change.kind == "amounts":
        grew = change.estimate.mean if change.estimate else math.inf
        return change.verdict == Verdict.MORE and grew > math.log1p(margin)
    return change.verdict in (Verdict.SLOWER, Verdict.WORSE) and not is_elsewhere(change)


def is_elsewhere(change: Change) -> bool:
    """Whether a ratio is of two machines. Scores differ between machines only by rounding."""
    return change.kind == "ratios" and Flag.OTHER_MACHINE in change.flags


def is_open(change: Change) -> bool:
    """Whether a row is left undecided. Absolute times are seldom decided, so they never count as open."""
    if change.kind == "times":
        return False
    return change.verdict in OPEN or (is_elsewhere(change) and change.verdict != Verdict.UNRANKED)


def why_open(change: Change) -> str:
    """The reason, or the flag in its place."""
    return change.reason or (Flag.OTHER_MACHINE if is_elsewhere(change) else "")


def claim_is_worse(claim: ClaimChange) -> bool:
    """Whether a claim that held now fails. One that fails in both runs is a finding, as before."""
    return not claim.not_comparable and not claim.marked and (claim.a, claim.b) == (Answer.HOLDS, Answer.FAILS)


def why_claim_is_open(claim: ClaimChange) -> str:
    """Why the answer to a claim that held, or was undecided, is open; empty where it is not."""
    held = claim.a == Answer.HOLDS
    if not (held or claim.a == Answer.UNDECIDED) or (claim.b == Answer.HOLDS and not claim.not_comparable):
        return ""
    if claim.not_comparable:
        return f"{Verdict.NOT_COMPARABLE}: {claim.not_comparable}" if held else ""
    if held and (claim.b != Answer.FAILS or claim.marked):
        return claim.change + (", on another machine" if claim.marked else "")
    return claim.change if claim.b == Answer.FAILS else ""


def size_in_words(change: Change) -> str:
    """The size with its interval, as CI prints it."""
    if change.size is None:
        return "where there was none" if change.kind == "amounts" else "no interval"
    if change.kind == "amounts":
        return f"{change.size:.4g} times"
    words = f"{change.in_words(change.size)} {'times' if change.scale == 'ratio' else 'points'}"
    return f"{words} [{', '.join(map(change.in_words, change.interval))}]" if change.interval else words


def to_json(across: Across, outcome: Gate) -> dict[str, Any]:
    """A comparison as JSON values."""

    def row(change: Change) -> dict[str, Any]:
        return {
            "context": dict(change.context),
            "mode": change.mode,
            "level": change.level,
            "metric": change.metric,
            "a": change.a,
            "b": change.b,
            change.scale: change.size,
            "interval": list(change.interval) if change.interval else None,
            "confidence": change.confidence,
            "p_adjusted": change.adjusted,
            "verdict": change.verdict,
            "reason": change.reason,
            "flags": list(change.flags),
        }

    return {
        "a": across.a.name,
        "b": across.b.name,
        "margin": across.margin,
        "past_runs": across.past_runs,
        "differences": [
            {
                "field": d.field.name, "detail": d.detail, "a": d.a, "b": d.b, "bars": list(d.field.bars),
                "allowed": d.allowed, "places": list(d.places), "what": d.field.what,
            }
            for d in across.differences
        ],
        "ratios": [row(change) for change in across.ratios],
        "times": [row(change) for change in across.times],
        "scores": [row(change) for change in across.scores],
        "amounts": [row(change) for change in across.amounts],
        "claims": [{**vars(claim), "change": claim.change} for claim in across.claims],
        "missing": list(across.missing),
        "new": list(across.new),
        "failures": list(across.failures),
        "problems": list(across.problems),
        "gate": {
            "code": outcome.code, "answer": outcome.answer, "worse": list(outcome.worse), "open": list(outcome.open),
        },
    }  # fmt: skip
