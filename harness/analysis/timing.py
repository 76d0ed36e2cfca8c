"""Times of one block and mode: samples to comparisons with verdicts; and the controls, in which the baseline is
measured against itself. docs/method.md gives the reasons.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.analysis import stats, tails
from harness.analysis.clocks import ClockChoice, Process
from harness.analysis.finding import Finding, failure_in_words
from harness.analysis.samples import Clock, Samples, View, step_time
from harness.analysis.stats import Array, Estimate
from harness.analysis.tails import ProcessRatios
from harness.analysis.time_verdicts import decide, lacks_level, looks_of
from harness.analysis.verdicts import (
    CHANGE_FLAGS,
    DECIDED,
    FORBID_EQUIVALENCE,
    LIMITED,
    Flag,
    Verdict,
    is_limited,
)
from harness.plugins.parts import Metric
from harness.records.plan import Block, Plan, Trial
from harness.records.record import Record, by_block, replicates
from harness.records.settings import Speed

#: Why a trial is not ranked.
ANOTHER_ANSWER = "it computes a different answer on purpose"
#: The reason of the verdict *not slower*.
MAY_BE_FASTER = "it may be faster or equivalent"


@dataclass(frozen=True, kw_only=True)
class Comparison(Finding):
    """A level against the baseline: the ratio of times for the same examples.

    `values` are the log ratios, one per process: of a typical step, or of the mean over all steps where the verdict has
    the flag `mean-decides`. `needs` is how many processes a verdict would take, and `seconds` how long all of these
    take. `adjusted` is the p value of a difference beyond the floor, corrected for all comparisons by this metric
    (Benjamini-Hochberg). `period`: every so many steps, a step takes longer. `steps` is how many steps one process
    took of the level."""

    values: tuple[float, ...] = ()
    clock: Clock = "wall"
    cpu_share: float = 1.0
    ratio_of_means: float | None = None
    ratio_of_fast: float | None = None
    needs: int | None = None
    seconds: float | None = None
    period: int | None = None
    steps: int = 0


class Measured:
    """The samples of one block in one mode."""

    def __init__(self, block: Block, records: Iterable[Record], mode: str) -> None:
        self.block, self.mode = block, mode
        self.settings = block.measures.speed or Speed()
        self.processes: list[Process] = []
        self._known: dict[Any, ProcessRatios | None] = {}
        #: In how many processes each (level, flag of the record) occurs.
        self.flagged: Counter[tuple[str, str]] = Counter()
        #: What all processes took, and what the last of them took.
        self.seconds = self.last_seconds = 0.0
        #: The first record by which each level failed.
        self.broken: dict[str, Record] = {}
        mine = [record for record in records if record.block == block.id]
        for record in mine:
            if record.outcome != "ok" and not record.after_timing:
                self.broken.setdefault(record.level, record)
        for group in replicates(mine, block.id, f"speed.{mode}").values():
            good = [record for record in group if record.outcome == "ok"]
            self.last_seconds = sum(record.data.get("seconds", 0.0) for record in good)
            self.seconds += self.last_seconds
            for record in good:
                self.flagged.update((record.level, flag) for flag in record.data.get("flags", ()))
            samples: Process = {(r.level, str(r.role)): Samples.from_record(r.data) for r in good}
            if (block.baseline.level, "variant") in samples:
                self.processes.append(samples)
        self.choose_clock()

    @classmethod
    def of_processes(cls, block: Block, mode: str, processes: Sequence[Process]) -> Measured:
        """The same from samples that do not come from records."""
        measured = cls(block, [], mode)
        measured.extend(processes)
        return measured

    def extend(self, processes: Iterable[Process]) -> None:
        """Add processes."""
        self.processes += processes
        self.choose_clock()

    def choose_clock(self) -> None:
        """Wall time decides, unless the core was shared; then CPU time decides."""
        self.choice = ClockChoice(self.block, self.processes)
        self.contended, self.cpu_share = self.choice.contended, self.choice.cpu_share
        #: The clock of the block. A level that does not spend its time as the baseline does has its own.
        self.clock: Clock = self.choice.clock

    def clock_of(self, level: str, role: str = "variant") -> Clock:
        """The clock by which a level is compared with the baseline."""
        return "wall" if self.clock == "cpu" and self.choice.differs(level, role) else self.clock

    def mostly(self, flag: str, level: str, processes: int) -> bool:
        """Whether the records of a level or its baseline have a flag in more than half of the processes."""
        most = max(self.flagged[each, flag] for each in (level, self.block.baseline.level))
        return most * 2 > processes

    def pairs(self, level: str, role: str) -> list[tuple[Samples, Samples]]:
        """The samples of the baseline and of a level in every process that measured both, on the deciding clock."""
        groups = (self._group(process, level, role) for process in self.processes)
        return [(group[0], group[-1]) for group in groups if group]

    def _group(self, process: Process, level: str, role: str) -> list[Samples]:
        """The samples of the baseline, of its control where that counts as a second baseline, and of a level; empty if
        the process did not measure the level."""
        if (level, role) not in process:
            return []
        baseline, clock = self.block.baseline.level, self.clock_of(level, role)
        second = self.settings.method > 1 and role == "variant" and level != baseline
        members = [(baseline, "variant"), *([(baseline, "control")] if second else []), (level, role)]
        found = [process[member] for member in members if member in process]
        return [samples if samples.clock == clock else replace(samples, clock=clock) for samples in found]

    def ratios(self, level: str, role: str = "variant", view: View = step_time) -> list[ProcessRatios]:
        """What each process that measured a level shows of it against the baseline."""
        found = [self._ratios(process, level, role, view) for process in self.processes]
        return [ratios for ratios in found if ratios is not None]

    def _ratios(self, process: Process, level: str, role: str, view: View) -> ProcessRatios | None:
        key = (id(process), level, role, view, self.clock_of(level, role))
        if key not in self._known:
            self._known[key] = self._new_ratios(process, level, role, view)
        return self._known[key]

    def _new_ratios(self, process: Process, level: str, role: str, view: View) -> ProcessRatios | None:
        group = self._group(process, level, role)
        times = [view(samples) for samples in group]
        if not group or any(array is None for array in times):
            return None
        last = group[-1]
        first = last.before + 1 if last.before and last.repeats == 1 else 0
        return ProcessRatios.of(times[:-1], times[-1], last.batch, first)

    def log_ratios(self, level: str, role: str, view: View = step_time) -> list[float]:
        """One log ratio to the baseline per process, of a typical step."""
        return [ratios.typical for ratios in self.ratios(level, role, view)]

    def aligned(self, levels: Sequence[str], view: View = step_time) -> dict[str, Array]:
        """The log ratios of each level to the baseline (0 for the baseline itself), shape (processes,): those of the
        processes that measured all of the levels, in the same order."""
        rows = [[self._ratios(process, level, "variant", view) for level in levels] for process in self.processes]
        complete = [[one.typical for one in row if one] for row in rows if None not in row]
        table = np.array(complete, dtype=float).reshape(len(complete), len(levels))
        return {level: table[:, index] for index, level in enumerate(levels)}

    def estimate(self, values: Sequence[float], *ratios: Sequence[ProcessRatios]) -> Estimate:
        """The estimate of values of processes. They are the ratios of a level, or the difference of those of two."""
        share = self.settings.share(len(values))
        if not self.settings.pooled:
            return stats.estimate(values, share)
        within = sum(float(np.mean([one.error**2 for one in group])) for group in ratios)
        return stats.pooled_estimate(values, within, share)

    def estimates(self) -> dict[str, Estimate]:
        """The estimate of each variant's typical step time against the baseline, where a process measured it."""
        found = {trial.level: self.ratios(trial.level) for trial in self.block.trials[1:]}
        return {
            level: self.estimate([one.typical for one in ratios], ratios) for level, ratios in found.items() if ratios
        }

    def number(self, level: str, metric: Metric, view: View) -> float | None:
        """A metric of one level by itself: the median over processes (per step where it is a metric of samples)."""
        if metric.per == "sample":
            return self.typical(level, view)
        members = [samples for _, samples in self.pairs(level, "variant")]
        return _median(view(samples.totals() if metric.per == "counts" else samples) for samples in members)

    def typical(self, level: str, view: View = step_time) -> float | None:
        """The step time of a level, or what `view` reads: the median over processes of the mean over batches. It is the
        time of a typical step, or of the mean over all steps where that decides."""
        of = stats.means if self.by_mean(self.ratios(level, view=view)) else stats.trimmed_means
        read = [(view(samples), samples.batch) for _, samples in self.pairs(level, "variant")]
        return _median(stats.each_batch(value, batch, of).mean() for value, batch in read if value is not None)

    def by_mean(self, ratios: Sequence[ProcessRatios]) -> bool:
        """Whether the mean over all steps decides about a level, and not a typical step. A round has few runs of a
        program, so all of them count."""
        steps_decide = self.settings.method > 1 and not self.settings.quick and tails.mean_decides(ratios)
        return self.block.of_programs or steps_decide

    def compare(self, trial: Trial, metric: str, view: View, floor: float, null_biased: bool) -> Comparison:
        """A trial against the baseline by a metric of samples, with its verdict."""
        ratios = self.ratios(trial.level, view=view)
        comparison = Comparison(
            block=self.block, level=trial.level, mode=self.mode, metric=metric, reason="not measured",
            clock=self.clock_of(trial.level), cpu_share=self.cpu_share,
        )  # fmt: skip
        if ratios:
            comparison = self._estimated(comparison, ratios, view, floor)
        flags = self._flags(comparison, ratios, trial, null_biased)
        forbidden = next((flag for flag in flags if flag in FORBID_EQUIVALENCE), None)
        if comparison.verdict == Verdict.EQUIVALENT and forbidden:
            comparison = replace(comparison, verdict=Verdict.UNDECIDED, reason=f"{forbidden}: {forbidden.meaning}")
        elif comparison.verdict == Verdict.UNDECIDED and not forbidden and self.is_not_slower(comparison):
            comparison = replace(comparison, verdict=Verdict.NOT_SLOWER, reason=MAY_BE_FASTER)
        verdict, reason = self._final_verdict(comparison, trial, null_biased)
        return replace(comparison, verdict=verdict, reason=reason, flags=flags if verdict != Verdict.INVALID else ())

    def is_not_slower(self, comparison: Comparison) -> bool:
        """Whether an undecided comparison shows that the level is at most the margin slower."""
        estimate = comparison.estimate
        if estimate is None or estimate.k < stats.MIN_REPLICATES or self.settings.quick:
            return False
        if lacks_level(estimate, self.settings, 0.0):  # the reason says what its series needs
            return False
        return is_limited(estimate, math.log1p(self.settings.margin), 0.05)

    def _estimated(
        self, comparison: Comparison, ratios: Sequence[ProcessRatios], view: View, floor: float
    ) -> Comparison:
        """The comparison with its estimate and the verdict that the interval alone gives."""
        settings = self.settings
        by_mean = self.by_mean(ratios)
        values = [one.mean if by_mean else one.typical for one in ratios]
        if settings.quick:
            estimate = self.quick_estimate(ratios[0], view)
        elif by_mean:  # the expected variance is one of typical steps
            estimate = stats.estimate(values, settings.share(len(values)))
        else:
            estimate = self.estimate(values, ratios)
        verdict, reason = decide(estimate, settings, floor, looks_of(self.block)[0])
        needs = None
        if verdict == Verdict.UNDECIDED:
            target = min(settings.half_width, settings.margin / 2)
            needs = stats.processes_needed(estimate.k, estimate.half_width(), target)
        means, fast = self.other_ratios(comparison.level, view)
        return replace(
            comparison, estimate=estimate, verdict=verdict, reason=reason, values=tuple(values), ratio_of_means=means,
            ratio_of_fast=fast, needs=needs, flags=(Flag.MEAN_DECIDES,) * (by_mean and not self.block.of_programs),
            period=tails.find_period(ratios) if by_mean else None,
            steps=min(len(one.series) for one in ratios),
            seconds=needs * self.seconds / len(self.processes) if needs and self.seconds else None,
        )  # fmt: skip

    def quick_estimate(self, ratios: ProcessRatios, view: View) -> Estimate:
        """The estimate of one process, widened by what one process cannot know."""
        control = self.log_ratios(self.block.baseline.level, "control", view)
        return stats.quick_estimate(ratios.typical, ratios.error, control[0] if control else 0.0, len(ratios.series))

    def other_ratios(self, level: str, view: View) -> tuple[float, float]:
        """The ratio of means and of 10th percentiles over all processes; shown, never deciding."""
        ratios = []
        for of in (stats.means, stats.tenths):
            totals = [0.0, 0.0]
            for pair in self.pairs(level, "variant"):
                for index, samples in enumerate(pair):
                    # One by one, since another order of summing would give another last digit.
                    for value in stats.each_batch(view(samples), samples.batch, of).tolist():
                        totals[index] += value
            ratios.append(totals[1] / totals[0])
        return ratios[0], ratios[1]

    def unless_undecidable(self, verdict: Verdict, reason: str, null_biased: bool) -> tuple[Verdict, str]:
        """The verdict and its reason, or why nothing can be decided here at all."""
        if verdict in DECIDED | LIMITED and null_biased:
            return Verdict.UNDECIDED, "the baseline differs from itself"
        if verdict in DECIDED | LIMITED and self.contended:
            return Verdict.UNDECIDED, "contended: cores were shared, and several threads have no CPU clock"
        return verdict, reason

    def _final_verdict(self, comparison: Comparison, trial: Trial, null_biased: bool) -> tuple[Verdict, str]:
        """The verdict after what no interval can show: a failure, throttling, another answer, a biased null."""
        verdict, reason = comparison.verdict, comparison.reason
        broken = self.broken.get(trial.level)
        if broken is not None:
            return Verdict.INVALID, failure_in_words(broken)
        if comparison.estimate is not None and self.mostly("throttled", trial.level, comparison.estimate.k):
            return Verdict.INVALID, "throttled: the GPU lowered its clock; cool it, or limit its clock"
        if verdict != Verdict.INVALID and trial.changes == "answer":
            return Verdict.UNRANKED, ANOTHER_ANSWER
        return self.unless_undecidable(verdict, reason, null_biased)

    def _flags(
        self, comparison: Comparison, ratios: Sequence[ProcessRatios], trial: Trial, null_biased: bool
    ) -> tuple[Flag, ...]:
        estimate = comparison.estimate
        if estimate is None:
            return ()
        others = [math.log(one) for one in (comparison.ratio_of_means, comparison.ratio_of_fast) if one]
        margin, by_mean = self.settings.margin, self.by_mean(ratios)
        flags = {
            Flag.CPU_CLOCK: comparison.clock == "cpu",
            Flag.OTHER_CPU_SHARE: self.choice.differs(trial.level),
            Flag.MEAN_DECIDES: Flag.MEAN_DECIDES in comparison.flags,
            Flag.TAIL_EFFECT: not by_mean and any(abs(other - estimate.mean) > margin for other in others),
            Flag.DRIFTS: self.settings.method > 1 and not self.settings.quick and tails.drifts(ratios, margin),
            Flag.RESTARTED: self.mostly("counters_restored", trial.level, estimate.k),
            Flag.SLOW_FIRST_CALL: self.mostly("slow_first_call", trial.level, estimate.k),
            Flag.NOT_STATIONARY: self.mostly("not_stationary", trial.level, estimate.k),
            Flag.NULL_BIASED: null_biased,
            Flag.CONTENDED: self.contended,
            **{flag: trial.changes == changes for changes, flag in change_flags(trial).items()},
        }
        return tuple(flag for flag, applies in flags.items() if applies)


def change_flags(trial: Trial) -> Mapping[str, Flag]:
    """The flag of a trial by what it changes."""
    return {"model": Flag.DIFFERENT_RESULTS} if trial.is_function else CHANGE_FLAGS


def _median(values: Iterable[Any]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return float(np.median(known)) if known else None


def measured_of(blocks: Sequence[Block], records: Sequence[Record]) -> list[Measured]:
    """The samples of every block and mode that is timed."""
    theirs = by_block(records)
    return [Measured(block, theirs.get(block.id, ()), mode) for block in blocks for mode in block.measures.timed_modes]


def controls_of(measured: Sequence[Measured]) -> list[float]:
    """The log ratio of the baseline to itself in each process."""
    return [value for one in measured for value in one.log_ratios(one.block.baseline.level, "control")]


def floor_of(controls: Sequence[float]) -> float:
    """The smallest log ratio that is called a difference: the mean of the controls, and at least 0.3 %."""
    return max(stats.FLOOR, abs(float(np.mean(controls)))) if controls else stats.FLOOR


def is_null_biased(controls: Sequence[float]) -> bool:
    """Whether the controls' pooled 99 % interval excludes 0 and their mean exceeds 0.3 %."""
    if len(controls) < stats.MIN_REPLICATES:
        return False
    pooled = stats.estimate(controls)
    low, high = pooled.interval(0.99)
    return (low > 0 or high < 0) and abs(pooled.mean) > stats.FLOOR


def biased_twice(plan: Plan, records: Sequence[Record], controls: Sequence[float]) -> bool:
    """Whether the controls are biased, and biased again where the baselines were measured once more."""
    if not is_null_biased(controls):
        return False
    again = controls_of(measured_of([block.alone() for block in plan.blocks], records))
    return not again or is_null_biased(again)


def baselines_to_remeasure(plan: Plan, records: Sequence[Record], most: int = 3) -> list[Block]:
    """The baselines to measure once more, alone, because the controls are biased: those with the largest bias. Empty if
    nothing is biased."""
    measured = measured_of(plan.blocks, records)
    if any(one.settings.quick for one in measured) or not is_null_biased(controls_of(measured)):
        return []  # a quick look decides nothing anyway
    off = {one.block.id: abs(float(np.mean(controls_of([one]) or [0.0]))) for one in measured}
    return [block.alone() for block in sorted(plan.blocks, key=lambda b: -off.get(b.id, 0.0))[:most]]
