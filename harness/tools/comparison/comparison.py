"""Run B compared with run A: every ratio, time, score, amount and claim. docs/compare.md explains what is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.analysis import stats
from harness.analysis.finding import control_familywise_errors
from harness.analysis.verdicts import EXCLUDED, Flag, Verdict
from harness.api.lookup import known_names
from harness.records.plan import LEARNING, Block
from harness.records.settings import Speed
from harness.tools.comparison.claims import ClaimChange, claims_of
from harness.tools.comparison.fields import Difference
from harness.tools.comparison.pairs import ContextPair, MetricChange, RunData, chosen_levels, match
from harness.tools.comparison.scores import amounts_of, scores_of
from harness.tools.comparison.times import STEP_TIME, EarlierRuns, PairedTimes

#: Changes with these verdicts do not count in the correction for multiple comparisons.
NOT_COUNTED = EXCLUDED | {Verdict.SAME}


@dataclass(frozen=True)
class ComparisonOptions:
    """What is compared, and by which margin. Without a `margin` it is the smaller one of the two suites; without
    `metrics`, step time, the score that decides, and every exact amount are compared. Differences in `allowed` fields
    rule out nothing."""

    margin: float | None = None
    metrics: tuple[str, ...] = ()
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    allowed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RunComparison:
    """Run B compared with run A. `failures` are those of B in words; `only_in_a` and `only_in_b` name contexts and
    modes; `margin` is the smallest that was used, by which an amount may grow as well; `earlier_runs` is the number of
    runs that the spread was estimated from; `problems` are errors of metrics."""

    a: RunData
    b: RunData
    differences: tuple[Difference, ...]
    ratios: tuple[MetricChange, ...]
    times: tuple[MetricChange, ...]
    scores: tuple[MetricChange, ...]
    amounts: tuple[MetricChange, ...]
    claims: tuple[ClaimChange, ...]
    failures: tuple[str, ...]
    only_in_a: tuple[str, ...]
    only_in_b: tuple[str, ...]
    margin: float
    earlier_runs: int
    problems: tuple[str, ...]

    @property
    def changes(self) -> tuple[MetricChange, ...]:
        """The changes of all numbers."""
        return (*self.ratios, *self.times, *self.scores, *self.amounts)

    @property
    def flags(self) -> set[Flag]:
        """The flags of all changes."""
        return {flag for change in self.changes for flag in change.flags}


def compare_runs(
    a: RunData, b: RunData, options: ComparisonOptions, earlier: EarlierRuns | None = None
) -> RunComparison:
    """Compare run B with run A. Raises UserError for an axis, a level or a metric that neither has."""
    earlier = earlier or EarlierRuns()
    only = chosen_levels(options.only, (a.plan, b.plan))
    matched = match(a, b, only, options.allowed)
    check_metrics(options.metrics, (a, b))
    ratios: list[MetricChange] = []
    times: list[MetricChange] = []
    floor, margins = stats.FLOOR, []
    only_in_a = [block.name for block in matched.only_in_a]
    only_in_b = [block.name for block in matched.only_in_b]
    for pair in matched.pairs:
        modes_a, modes_b = modes_of(pair.a), modes_of(pair.b)
        if not options.metrics:
            only_in_a += [f"{pair.name} · {mode}" for mode in modes_a if mode not in modes_b]
            only_in_b += [f"{pair.name} · {mode}" for mode in modes_b if mode not in modes_a]
        for mode in (mode for mode in modes_a if mode in modes_b and mode != LEARNING):
            paired = PairedTimes(a, b, pair, mode, earlier, options.margin)
            floor = max(floor, paired.floor)
            margins.append(paired.margin)
            for metric in time_metrics(options.metrics, a, b, pair, mode):
                times += [paired.time(level, metric) for level in pair.levels]
                ratios += [paired.ratio(level, metric) for level in pair.levels if level != pair.baseline]
    scores = [change for pair in matched.pairs for change in scores_of(a, b, pair, options.metrics)]
    amounts = [change for pair in matched.pairs for change in amounts_of(a, b, pair, options.metrics)]
    return RunComparison(
        a=a,
        b=b,
        differences=tuple(matched.differences),
        ratios=tuple(control_familywise_errors(ratios, floor, NOT_COUNTED)),
        times=tuple(control_familywise_errors(times, stats.FLOOR, NOT_COUNTED)),
        scores=tuple(control_familywise_errors(scores, 0.0, NOT_COUNTED)),
        amounts=tuple(amounts),
        claims=tuple(claims_of(a, b, matched.pairs, only, options.metrics)),
        failures=tuple(failures_of(b, matched.pairs, matched.only_in_b)),
        only_in_a=tuple(only_in_a),
        only_in_b=tuple(only_in_b),
        margin=min(margins, default=Speed().margin if options.margin is None else options.margin),
        earlier_runs=earlier.runs,
        problems=tuple(dict.fromkeys((*a.findings.problems, *b.findings.problems))),
    )


def modes_of(block: Block) -> list[str]:
    """The modes in which a block is timed, and "learning" if it is trained."""
    return [*block.measures.timed_modes, *([LEARNING] if block.measures.learning else [])]


def time_metrics(metrics: Sequence[str], a: RunData, b: RunData, pair: ContextPair, mode: str) -> list[str]:
    """Step time, or those of `metrics` that either run has of the samples of this context and mode."""
    if not metrics:
        return [STEP_TIME]
    known = {STEP_TIME} | sample_metrics(a, (pair.a.id, mode)) | sample_metrics(b, (pair.b.id, mode))
    return [metric for metric in metrics if metric in known]


def sample_metrics(run: RunData, place: tuple[str, str] | None = None) -> set[str]:
    """The metrics that a run has of its samples, in all places or in one: a block id and a mode."""
    of_samples = {name for name, metric in run.findings.metrics.items() if metric.per == "sample"}
    return of_samples & {name for (block, _, mode, name) in run.findings.numbers if place in (None, (block, mode))}


def check_metrics(metrics: Sequence[str], runs: Sequence[RunData]) -> None:
    """Raise UserError for a metric that neither run has."""
    known = {STEP_TIME}
    for run in runs:
        known |= sample_metrics(run) | {quantity.metric for quantity in run.findings.quantities}
        known |= {name for learned in run.findings.learning.learned for name in learned.scores}
    known_names("metric", metrics, known, "--metric ")


def failures_of(run: RunData, pairs: Sequence[ContextPair], only_here: Sequence[Block]) -> list[str]:
    """The compared trials of a run that failed or broke their promise, in words."""
    compared = {pair.b.id: pair.levels for pair in pairs}
    compared |= {block.id: tuple(trial.level for trial in block.trials) for block in only_here}
    names = {block.id: block.name for block in run.plan.blocks}
    return [
        f"{names.get(record.block, 'measured again')}, {record.level}: {record.outcome} in {record.measure}: "
        f"{record.reason}"
        for record in run.findings.broken
        if record.block not in names or record.level in compared.get(record.block, ())
    ]


def plain(one: object, *names: str) -> dict[str, Any]:
    """Some attributes of an object as JSON values."""
    return {name: getattr(one, name) for name in names}


def to_json(comparison: RunComparison) -> dict[str, Any]:
    """A comparison as JSON values."""
    numbers = ("context", "mode", "level", "metric", "a", "b", "interval", "confidence", "verdict", "reason", "flags")
    of_difference = ("detail", "a", "b", "allowed", "places")
    return {
        "a": comparison.a.name,
        "b": comparison.b.name,
        **plain(comparison, "margin", "earlier_runs", "only_in_a", "only_in_b", "failures", "problems"),
        "differences": [
            {"field": d.field.name, **plain(d.field, "what", "rules_out"), **plain(d, *of_difference)}
            for d in comparison.differences
        ],
        **{
            kind: [{**plain(c, *numbers), c.scale: c.size, "p_adjusted": c.adjusted} for c in getattr(comparison, kind)]
            for kind in ("ratios", "times", "scores", "amounts")
        },
        "claims": [{**vars(claim), "change": claim.change} for claim in comparison.claims],
    }
