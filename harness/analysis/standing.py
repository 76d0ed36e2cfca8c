"""The standing of a block during a run: what its records show so far, and whether another process is due."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis import stats
from harness.analysis.learning import Learned, LearningComparison
from harness.analysis.samples import step_time
from harness.analysis.stats import Estimate
from harness.analysis.time_verdicts import decide, lacks_level, looks_of
from harness.analysis.timing import Comparison, Measured, floor_of
from harness.analysis.verdicts import DECIDED, EXCLUDED, FORBID_DECISION, Verdict
from harness.records.plan import LEARNING, Block
from harness.records.record import Record
from harness.records.settings import Speed


@dataclass(frozen=True)
class ModeStanding:
    """The timing of a block in one mode. A level has no estimate before the first process and where it failed, and no
    verdict before the first look. `left` is the time in seconds until the intervals are looked at next, and `at_look`
    says whether they are looked at now."""

    mode: str
    levels: tuple[Comparison, ...]
    processes: int
    left: float
    at_look: bool


@dataclass(frozen=True)
class LearningStanding:
    """The training runs of a block: how many are complete, how many there will be, and the comparisons so far."""

    runs: int
    planned: int
    metric: str
    comparisons: tuple[LearningComparison, ...]


@dataclass(frozen=True)
class Standing:
    """The standing of one block."""

    modes: tuple[ModeStanding, ...]
    learning: LearningStanding | None


def standing_of(block: Block, records: Sequence[Record]) -> Standing:
    """What the records of a run so far show of a block."""
    mine = [record for record in records if record.block == block.id]
    learning = learning_standing(block, mine) if block.measures.learning else None
    return Standing(tuple(mode_standing(block, mine, mode) for mode in block.measures.timed_modes), learning)


def mode_standing(block: Block, records: Sequence[Record], mode: str) -> ModeStanding:
    """The timing in one mode."""
    measured, looks = Measured(block, records, mode), looks_of(block)
    estimates, k = measured.estimates(), len(measured.processes)
    floor = floor_of(measured.log_ratios(block.baseline.level, "control"))
    levels = []
    for trial in block.trials[1:]:
        broken = measured.broken.get(trial.level) or measured.broken.get(block.baseline.level)
        estimate = None if broken else estimates.get(trial.level)
        judged = estimate if estimate and estimate.k >= looks[0] and not measured.contended else None
        verdict = decide(judged, measured.settings, floor, looks[0])[0] if judged else Verdict.NONE
        one = Comparison(
            block=block, level=trial.level, mode=mode, metric="step_time", estimate=estimate, verdict=verdict,
            reason=f"{broken.outcome}: {broken.reason}" if broken else "",
        )  # fmt: skip
        levels.append(one)
    goal = 1 if measured.settings.quick else next((look for look in looks if look >= k), k)
    left = measured.seconds / k * (goal - k) if k else 0.0
    return ModeStanding(mode, tuple(levels), k, left, k in looks)


def learning_standing(block: Block, records: Sequence[Record]) -> LearningStanding:
    """The training runs."""
    learned = Learned(block, records)
    runs = sum(record.measure == LEARNING for record in records)
    missing = sum(
        seed not in learned.runs[trial.level]
        for trial in block.trials
        for seed in learned.settings.seeds
        if trial.level not in learned.broken
    )
    metric = learned.settings.metric
    compared = tuple(learned.compare(trial.level, metric) for trial in block.trials[1:])
    return LearningStanding(runs, runs + missing, metric, compared)


def due_levels(block: Block, records: Sequence[Record], mode: str) -> list[str]:
    """The levels, with the baseline, that another process is to measure; empty if none is needed.

    At each look, a level is measured further if it is not settled and the next look is within reach of the budget. The
    budget does not limit the first five processes, since fewer do not show that two levels are equivalent.
    Between looks, those of the last process are measured further. The levels of an ablation design stay together, since
    effects are contrasts of all of them."""
    measured, looks = Measured(block, records, mode), looks_of(block)
    settings, k = measured.settings, len(measured.processes)
    baseline = block.baseline.level
    if len(block.trials) == 1:  # the baseline against itself
        return [baseline] if k < (1 if settings.quick else stats.MIN_REPLICATES) else []
    if not k:
        return [trial.level for trial in block.trials]
    if settings.quick or k >= looks[-1]:
        return []
    last = {level for level, role in measured.processes[-1] if role == "variant"} - measured.broken.keys()
    going = [trial.level for trial in block.trials[1:] if trial.level in last]
    if k not in looks:
        return [baseline, *going] if going else []
    floor = floor_of(measured.log_ratios(baseline, "control"))
    compared = [measured.compare(block.trial(level), "step_time", step_time, floor, False) for level in going]
    unsettled = [one.level for one in compared if not is_settled(one, settings, looks, floor)]
    if unsettled and any(trial.on for trial in block.trials):
        unsettled = going
    seconds = measured.last_seconds * (len(unsettled) + 2) / (len(going) + 2)
    following = looks[looks.index(k) + 1]
    in_reach = following <= stats.MIN_REPLICATES or measured.seconds + seconds * (following - k) <= settings.budget
    return [baseline, *unsettled] if unsettled and in_reach else []


def is_settled(one: Comparison, settings: Speed, looks: Sequence[int], floor: float) -> bool:
    """Whether more processes are of no use for a comparison: its verdict is decided or cannot be, its interval is
    narrow enough, or neither would come with as many processes as there may be, if ratio and variance stay as they
    are."""
    estimate, until_decided, decided = one.estimate, settings.until == "decided", one.verdict in DECIDED
    if estimate is None or (until_decided and (decided or one.verdict in EXCLUDED)):
        return True
    if FORBID_DECISION.intersection(one.flags):
        return True
    narrow = estimate.half_width() <= settings.half_width and (decided or estimate.k >= stats.MIN_REPLICATES)
    if narrow and not lacks_level(estimate, settings, floor):
        return True
    last = looks[-1]
    at_last = Estimate(
        estimate.mean, estimate.error * math.sqrt(estimate.k / last), estimate.df + last - estimate.k, last,
        share=settings.share(last),
    )  # fmt: skip
    if at_last.half_width() <= settings.half_width:
        return False
    return not until_decided or decide(at_last, settings, floor)[0] not in DECIDED
