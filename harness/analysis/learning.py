"""What trials learned over seeds: paired comparisons with intervals and verdicts, effects, and speed beside quality.

docs/method.md gives the reasons.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import NormalDist

import numpy as np

from harness.analysis import references, seed_stats, stats
from harness.analysis.effects import Effect, Judge, effects_of
from harness.analysis.finding import Finding, control_false_discoveries, failure_in_words
from harness.analysis.grouping import by_place
from harness.analysis.references import score_behind
from harness.analysis.stats import Array, Estimate
from harness.analysis.timing import Measured
from harness.analysis.verdicts import Flag, Verdict
from harness.plugins.parts import Score
from harness.plugins.scores import scores_of
from harness.records.plan import LEARNING, Block, Plan
from harness.records.record import Record, by_block
from harness.records.settings import Learning


@dataclass(frozen=True)
class RateDifference(Estimate):
    """The difference of two rates over the same seeds, with the interval of Bonett and Price (2012)."""

    baseline: tuple[bool, ...] = ()
    variant: tuple[bool, ...] = ()

    @classmethod
    def of(cls, baseline: Sequence[bool], variant: Sequence[bool]) -> RateDifference:
        """From paired outcomes; index i of both is the same seed."""
        mean, low, high = seed_stats.failure_difference(baseline, variant)
        error = (high - low) / 2 / NormalDist().inv_cdf(0.975)
        return cls(mean, error, math.inf, len(baseline), baseline=tuple(baseline), variant=tuple(variant))

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The interval of the difference."""
        return seed_stats.failure_difference(self.baseline, self.variant, confidence)[1:]

    def half_width(self, confidence: float = 0.95) -> float:
        """Half of the interval."""
        low, high = self.interval(confidence)
        return (high - low) / 2

    def p_value(self, floor: float = 0.0) -> float:
        """McNemar's exact p value."""
        return seed_stats.mcnemar(self.baseline, self.variant)


@dataclass(frozen=True, kw_only=True)
class LearningComparison(Finding):
    """A level against the baseline by one score, with one value per seed.

    `values` and `baseline_values` are the scores themselves; `estimate` is of their differences, or of the logs of
    their ratios. `sign_flip` is the p value of that test. `survivors` is the estimate without the seeds that diverged,
    where any did."""

    score: Score
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    baseline_values: tuple[float, ...]
    sign_flip: float | None = None
    survivors: Estimate | None = None


class Learned:
    """The training runs of one block by level and seed."""

    def __init__(self, block: Block, records: Iterable[Record]) -> None:
        assert block.measures.learning is not None
        self.block, self.settings = block, block.measures.learning
        self.runs: dict[str, dict[int, Record]] = {trial.level: {} for trial in block.trials}
        self.broken: dict[str, Record] = {}
        for record in records:
            if record.block != block.id:
                continue
            if record.measure == LEARNING and record.outcome in ("ok", "diverged"):
                self.runs[record.level][record.data["seed"]] = record
            elif record.outcome != "ok" and (record.measure == LEARNING or not record.after_timing):
                self.broken.setdefault(record.level, record)

    @cached_property
    def scores(self) -> dict[str, Score]:
        """Everything that is compared, except the time to the target."""
        return scores_of(self.settings)

    def seeds_of(self, *levels: str) -> tuple[int, ...]:
        """The seeds under which all of these levels have run, in the order of the settings."""
        return tuple(seed for seed in self.settings.seeds if all(seed in self.runs[level] for level in levels))

    @cached_property
    def limit(self) -> int:
        """The steps of a whole run; where time ends runs, the most steps that any run made."""
        return max((total_steps(record) for runs in self.runs.values() for record in runs.values()), default=0)

    def records(self, level: str, seeds: Sequence[int] | None = None) -> list[Record]:
        """The runs of a level under these seeds, by default under all that have run."""
        return [self.runs[level][seed] for seed in (self.seeds_of(level) if seeds is None else seeds)]

    def values(self, level: str, metric: str, seeds: Sequence[int] | None = None) -> Array:
        """A score of these runs, shape (seeds,)."""
        return np.array([value_of(run, metric, self.settings, self.limit) for run in self.records(level, seeds)])

    def diverged(self, level: str, seeds: Sequence[int] | None = None) -> list[bool]:
        """Whether each of these runs diverged."""
        return [run.outcome == "diverged" for run in self.records(level, seeds)]

    def has_learned(self, metric: str) -> bool:
        """Whether some level is better than its untrained model, and than a constant answer where that is known. With
        too few seeds, this is assumed."""
        return score_behind(metric, self.settings) not in self._nothing_learned

    @cached_property
    def _nothing_learned(self) -> frozenset[str]:
        """The scores by which no level learned anything."""
        if self.settings.of_programs or all(len(runs) < stats.MIN_REPLICATES for runs in self.runs.values()):
            return frozenset()
        return frozenset(
            name
            for name in self.settings.scores
            if not any(
                references.learned_something(runs, name, self.scores[name], self.constant(name))
                for runs in self.runs.values()
            )
        )

    def constant(self, metric: str) -> dict[int, float]:
        """The score of a constant answer by seed; empty where it is not known."""
        return references.constant(self.runs[self.block.baseline.level], score_behind(metric, self.settings))

    def untrained(self, level: str, metric: str) -> Array:
        """The score of each run of a level before its first step, shape (seeds,); empty for a rate."""
        score = score_behind(metric, self.settings)
        return references.untrained(self.records(level), score) if score else np.array([])

    def not_ranked(self, level: str, metric: str) -> str:
        """Why a level has no verdict by a score, although it was trained; empty if it has one."""
        if not self.has_learned(metric):
            return "nothing learned"
        if self.settings.of_programs and self.ignores_seed(level, metric):
            return "the score is the same under every seed, so the seeds are not independent runs"
        return self.own_objective(level, metric)

    def ignores_seed(self, level: str, metric: str) -> bool:
        """Whether a level and the baseline each have the same score under every seed."""
        values = [self.values(one, metric).tolist() for one in (self.block.baseline.level, level)]
        return all(len(those) > 1 and len(set(those)) == 1 for those in values)

    def own_objective(self, level: str, metric: str) -> str:
        """Why the losses of a level and of the baseline are not compared, if the metric is about the loss."""
        if score_behind(metric, self.settings) != "loss":
            return ""
        return next((run.data["own_objective"] for run in self.records(level) if "own_objective" in run.data), "")

    def is_identical(self, level: str) -> bool:
        """Whether every loss and every score of every seed is the same number as that of the baseline. Programs may
        print rounded numbers, so theirs do not show this."""
        if self.settings.of_programs:
            return False
        seeds = self.seeds_of(self.block.baseline.level, level)
        pairs = zip(self.records(self.block.baseline.level, seeds), self.records(level, seeds), strict=True)
        return all(one.data[curve] == other.data[curve] for one, other in pairs for curve in ("loss", "scores"))

    def compare(self, level: str, metric: str) -> LearningComparison:
        """A level against the baseline by one score."""
        baseline, score = self.block.baseline.level, self.scores[metric]
        seeds = self.seeds_of(baseline, level)
        ours, theirs = (self.values(one, metric, seeds) for one in (level, baseline))
        comparison = LearningComparison(
            block=self.block, level=level, mode=LEARNING, metric=metric, scale=score.compared, reason="not trained",
            score=score, seeds=seeds, values=tuple(ours.tolist()), baseline_values=tuple(theirs.tolist()),
        )  # fmt: skip
        broken = self.broken.get(level) or self.broken.get(baseline)
        if broken is not None:
            return replace(comparison, reason=failure_in_words(broken))
        if not seeds:
            return comparison
        differences = seed_stats.differences(theirs, ours, score.compared)
        rate = metric in ("diverged", "reached")
        estimate = RateDifference.of(theirs > 0.5, ours > 0.5) if rate else stats.estimate(differences)  # type: ignore[arg-type]
        verdict, reason = self.decide(level, metric, estimate)
        failed = [a or b for a, b in zip(self.diverged(baseline, seeds), self.diverged(level, seeds), strict=True)]
        flip = None if rate else seed_stats.sign_flip(differences)
        survivors = differences[~np.array(failed)]
        different = verdict in (Verdict.BETTER, Verdict.WORSE)
        judged = different or verdict == Verdict.UNDECIDED
        flags = {
            Flag.OWN_OBJECTIVE: self.own_objective(level, metric) != "",
            Flag.EXTENDED: self.settings.extended,
            Flag.DIVERGED: any(failed) and metric != "diverged",
            Flag.FLIPS_DISAGREE: (
                flip is not None and judged and different != (flip <= 0.05)
            ),
        }  # fmt: skip
        return replace(
            comparison,
            estimate=estimate,
            verdict=verdict,
            reason=reason,
            flags=tuple(flag for flag, applies in flags.items() if applies),
            sign_flip=flip,
            survivors=stats.estimate(survivors.tolist()) if any(failed) and len(survivors) > 1 else None,
        )

    def decide(self, level: str, metric: str, estimate: Estimate) -> tuple[Verdict, str]:
        """The verdict on a level by a score, and the reason where nothing is decided."""
        if self.is_identical(level):
            return Verdict.IDENTICAL, "every loss and score of every seed is the same to the last bit"
        if reason := self.not_ranked(level, metric):
            return Verdict.UNRANKED, reason
        return seed_stats.decide_seeds(estimate, self.margin(metric), self.scores[metric].better)

    def margin(self, metric: str) -> float | None:
        """What still counts as equal, in the estimate's units; the suite gives it for its own metric only."""
        margin = self.settings.margin_of(metric)
        if not margin:
            return None
        return math.log1p(margin) if self.settings.margin_scale == "ratio" else margin

    def reached(self, level: str) -> list[int | None]:
        """The steps to the target of each seed of a level; None for a run that did not reach it."""
        settings = self.settings
        if settings.target is None:
            return []
        return [steps_to_target(run, settings) for run in self.records(level)]


def value_of(record: Record, metric: str, settings: Learning, limit: int) -> float:
    """A score of one run. A run that diverged counts with the score before its first step. One that did not reach the
    target counts with `limit` steps, so that means are restricted ones (Royston and Parmar 2013); with its own length,
    a run with few steps in the given time would look better."""
    data, diverged = record.data, record.outcome == "diverged"
    if metric == "diverged":
        return float(diverged)
    if metric in ("reached", "steps_to_target"):
        step = steps_to_target(record, settings)
        if metric == "reached":
            return float(step is not None)
        return float(limit if step is None else max(step, 1))  # a ratio to no step at all would be infinite
    if metric in data["scores"]:
        series = data["scores"][metric]
        return float(series[0] if diverged else series[-1])
    series = data["scores"][metric.removeprefix("mean_")]
    missing = min(settings.evaluations, limit) - len(series) + 1 if diverged else 0
    return float(np.mean([*series[1:], *[series[0]] * missing]))


def steps_to_target(record: Record, settings: Learning) -> int | None:
    """The first evaluated step after which the metric was at the target; None for a run that did not get there, or
    diverged later."""
    if settings.target is None or record.outcome == "diverged":
        return None
    better: seed_stats.Better = "lower" if settings.scores[settings.score]["better"] == "lower" else "higher"
    data: Mapping[str, list[float]] = record.data["scores"]
    return seed_stats.first_reaching(record.data["evaluated"], data[settings.score], settings.target, better)


def total_steps(record: Record) -> int:
    """How many steps the run was planned to have; where time ends it, how many it had."""
    return int(record.data.get("planned_steps") or record.data["steps"])


def smallest_visible(comparison: LearningComparison) -> float | None:
    """The smallest difference (or log ratio) that this many seeds with this spread would detect in 80 % of cases."""
    estimate = comparison.estimate
    if estimate is None or isinstance(estimate, RateDifference):
        return None
    if estimate.k < stats.MIN_REPLICATES or not estimate.error:
        return None
    return seed_stats.smallest_effect(estimate.k) * estimate.error * math.sqrt(estimate.k)


class LearningResults:
    """The training runs of each block, their comparisons, and the effects of an ablation design. `dominated` names for
    each (block id, level) that is dominated a level that beats it in speed or quality and is behind in neither."""

    def __init__(self, plan: Plan, records: Sequence[Record], measured: Sequence[Measured]) -> None:
        """Read the training runs; `measured` are the times of the same run."""
        theirs = by_block(records)
        self.learned = [Learned(block, theirs.get(block.id, ())) for block in plan.blocks if block.measures.learning]
        timed = {one.block.id: one for one in measured if one.mode == "train"}
        comparisons: list[LearningComparison] = []
        self.effects: list[Effect] = []
        self.dominated: dict[tuple[str, str], str] = {}
        for one in self.learned:
            comparisons += [one.compare(trial.level, score) for trial in one.block.trials[1:] for score in one.scores]
            if times := timed.get(one.block.id):
                comparisons += times_to_target(one, times)
                self.dominated |= {(one.block.id, level): by for level, by in dominated_among(one, times).items()}
            if plan.factors:
                self.effects += effects_among(plan, one)
        self.comparisons = control_false_discoveries(comparisons, 0.0)
        self._by_place = by_place(self.comparisons)

    def of(self, learned: Learned, metric: str | None = None) -> dict[str, LearningComparison]:
        """The comparisons of one block by level, by one score; by default the one that decides."""
        place = (learned.block.id, LEARNING, metric or learned.settings.metric)
        return {comparison.level: comparison for comparison in self._by_place.get(place, ())}


def effects_among(plan: Plan, one: Learned) -> list[Effect]:
    """The effects of an ablation design on every score, over the seeds under which all its levels ran."""
    there = [trial.level for trial in one.block.trials if one.runs[trial.level] and trial.level not in one.broken]
    seeds = one.seeds_of(*there)
    found = []
    for metric, score in one.scores.items():
        values = {level: seed_stats.as_estimated(one.values(level, metric, seeds), score.compared) for level in there}

        def decide(estimate: Estimate, metric: str = metric) -> tuple[Verdict, str]:
            return seed_stats.decide_seeds(estimate, one.margin(metric), one.scores[metric].better)

        not_ranked = {level: why for level in there if (why := one.not_ranked(level, metric))}
        judge = Judge(
            decide,
            excluded={level: (Verdict.UNRANKED, why) for level, why in not_ranked.items()}
            | {level: (Verdict.INVALID, record.reason) for level, record in one.broken.items()},
            flags=dict.fromkeys(there, (Flag.EXTENDED,) if one.settings.extended else ()),
        )
        found += effects_of(one.block, LEARNING, metric, plan.design, plan.factors, values, score.compared, judge)
    return found


def times_to_target(one: Learned, times: Measured) -> list[LearningComparison]:
    """Steps to the target times the time of a step, against the baseline: the two logs add, and so do their variances.
    There is no estimate unless every run reached the target, since the time of the others is not known."""
    if one.settings.target is None:
        return []
    step_times = times.estimates()
    found = []
    for trial in one.block.trials[1:]:
        steps = one.compare(trial.level, "steps_to_target")
        score = scores_of(one.settings, timed=True)["time_to_target"]
        joined = replace(steps, metric="time_to_target", score=score, sign_flip=None, survivors=None)
        step_time = step_times.get(trial.level)
        levels = (one.block.baseline.level, trial.level)
        late = sum(step is None for level in levels for step in one.reached(level))
        if steps.verdict == Verdict.UNRANKED:
            found.append(replace(joined, estimate=None))
        elif late:
            reason = f"{late} run{'s' * (late > 1)} did not reach the target"
            found.append(replace(joined, estimate=None, verdict=Verdict.UNDECIDED, reason=reason))
        elif steps.estimate is not None and step_time is not None and step_time.k >= times.settings.looks[0]:
            estimate = product(steps.estimate, step_time)
            verdict, reason = seed_stats.decide_seeds(estimate, None, score.better)
            found.append(replace(joined, estimate=estimate, verdict=verdict, reason=reason))
    return found


def product(one: Estimate, other: Estimate) -> Estimate:
    """The estimate of a product from independent ones of its factors' logs (degrees of freedom by Welch 1947)."""
    variance = one.error**2 + other.error**2
    parts = [(e.error**4, e.df) for e in (one, other) if e.df > 0]
    df = variance**2 / sum(part / df for part, df in parts) if variance else min(one.df, other.df)
    return Estimate(
        one.mean + other.mean, math.sqrt(variance), df, min(one.k, other.k), share=min(one.share, other.share)
    )


def dominated_among(one: Learned, times: Measured) -> dict[str, str]:
    """The levels that another level dominates: it is no slower and scores no worse, and in one of the two its 95 %
    interval excludes no difference."""
    metric, found = one.settings.metric, dict[str, str]()
    levels = [t.level for t in one.block.trials if one.runs[t.level] and t.level not in one.broken | times.broken]
    levels = [level for level in levels if not one.not_ranked(level, metric)]
    if not levels:  # timed already, but not trained yet
        return found
    score = one.scores[metric]
    speeds = times.aligned(levels)
    for loser, winner in itertools.permutations(levels, 2):
        seeds = one.seeds_of(loser, winner)
        if not seeds or not len(speeds.get(loser, ())):
            continue
        worse, better = (one.values(level, metric, seeds) for level in (loser, winner))
        gain = seed_stats.differences(worse, better, score.compared)
        gained = stats.estimate((gain if score.better == "higher" else -gain).tolist())
        both = (gained, stats.estimate((speeds[loser] - speeds[winner]).tolist()))
        clear = any(e.k >= stats.MIN_REPLICATES and e.interval()[0] > 0 for e in both)
        if loser not in found and clear and all(e.mean >= 0 for e in both):
            found[loser] = winner
    return found
