"""The standing of a block during a run: what its records show so far, and whether another process is due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis import stats
from harness.analysis.learning import Learned, LearningComparison
from harness.analysis.timing import Comparison, Measured, alpha_of, decide, floor_of, looks_of
from harness.analysis.verdicts import Verdict
from harness.records.plan import LEARNING, Block
from harness.records.record import Record


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
            reason=f"{broken.outcome}: {broken.reason}" if broken else "", confidence=1 - alpha_of(measured.settings),
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


def another_process(block: Block, records: Sequence[Record], mode: str) -> bool:
    """Whether another process is due: the intervals are too wide, or a verdict is missing, and there is time left."""
    measured = Measured(block, records, mode)
    settings, k, looks = measured.settings, len(measured.processes), looks_of(block)
    if not k or settings.quick:
        return not k
    estimates = [e for level, e in measured.estimates().items() if level not in measured.broken and e.k > 1]
    if settings.until_decided:
        # Verdicts use the stricter level POCOCK, since each look may stop the run. The floor also depends on the
        # controls of other blocks, so a report can still say undecided.
        verdicts = {decide(e, settings, stats.FLOOR, looks[0])[0] for e in estimates}
        enough = verdicts.isdisjoint((Verdict.UNDECIDED, Verdict.INVALID))
    else:
        enough = stats.is_precise([e.half_width() for e in estimates], k, settings.half_width, looks[-1])
    return stats.needs_another(enough, k, measured.seconds, settings.budget, looks)
