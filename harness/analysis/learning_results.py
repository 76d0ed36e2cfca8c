"""What the training of a run shows: comparisons over seeds, effects, and speed beside quality."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

from harness.analysis import seed_stats, stats
from harness.analysis.effects import Effect, Judge, effects_of
from harness.analysis.finding import control_false_discoveries
from harness.analysis.grouping import by_place
from harness.analysis.learning import Learned, LearningComparison
from harness.analysis.stats import Estimate
from harness.analysis.timing import Measured
from harness.analysis.verdicts import Flag, Verdict
from harness.plugins.scores import scores_of
from harness.records.plan import LEARNING, Plan
from harness.records.record import Record, by_block


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

        judge = Judge(
            decide,
            excluded={level: (Verdict.INVALID, record.reason) for level, record in one.broken.items()},
            flags=dict.fromkeys(there, (Flag.EXTENDED,) if one.settings.extended else ()),
        )
        found += effects_of(one.block, LEARNING, metric, plan.design, plan.factors, values, score.compared, judge)
    return found


def times_to_target(one: Learned, times: Measured) -> list[LearningComparison]:
    """Steps to the target times the time of a step, against the baseline: the two logs add, and so do their variances.
    Only where every run reached the target: otherwise a run would count for less the faster its steps are."""
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
        if late:
            reason = f"{late} run{'s' * (late > 1)} did not reach the target"
            found.append(replace(joined, estimate=None, verdict=Verdict.UNDECIDED, reason=reason))
        elif steps.estimate is not None and step_time is not None and step_time.k >= stats.MIN_REPLICATES:
            estimate = product(steps.estimate, step_time)
            verdict, reason = seed_stats.decide_seeds(estimate, None, score.better)
            found.append(replace(joined, estimate=estimate, verdict=verdict, reason=reason))
    return found


def product(one: Estimate, other: Estimate) -> Estimate:
    """The estimate of a product from independent ones of its factors' logs (degrees of freedom by Welch 1947)."""
    variance = one.error**2 + other.error**2
    parts = [(e.error**4, e.df) for e in (one, other) if e.df > 0]
    df = variance**2 / sum(part / df for part, df in parts) if variance else min(one.df, other.df)
    return Estimate(one.mean + other.mean, math.sqrt(variance), df, min(one.k, other.k))


def dominated_among(one: Learned, times: Measured) -> dict[str, str]:
    """The levels that another level dominates: it is no slower and scores no worse, and in one of the two its 95 %
    interval is clear of no difference."""
    levels = [t.level for t in one.block.trials if one.runs[t.level] and t.level not in one.broken | times.broken]
    metric, found = one.settings.metric, dict[str, str]()
    if not levels:  # timed already, but not trained yet
        return found
    score = one.scores[metric]
    speeds = times.aligned(levels)
    for loser, winner in itertools.permutations(levels, 2):
        seeds = one.seeds_of(loser, winner)
        if not seeds or not len(speeds.get(loser, ())):
            continue
        gain = seed_stats.differences(
            one.values(loser, metric, seeds), one.values(winner, metric, seeds), score.compared
        )
        gained = stats.estimate((gain if score.better == "higher" else -gain).tolist())
        saved = stats.estimate((speeds[loser] - speeds[winner]).tolist())
        both = (gained, saved)
        clear = any(e.k >= stats.MIN_REPLICATES and e.interval()[0] > 0 for e in both)
        if loser not in found and clear and all(e.mean >= 0 for e in both):
            found[loser] = winner
    return found
