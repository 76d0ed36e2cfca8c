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

from harness.analysis import stats
from harness.analysis.finding import Finding, failure_in_words
from harness.analysis.samples import Clock, Samples, View
from harness.analysis.stats import Array, Estimate
from harness.analysis.verdicts import CHANGE_FLAGS, CLOSE, DECIDED, Flag, Verdict, conclude
from harness.plugins.parts import Metric
from harness.records.plan import Block, Plan, Trial
from harness.records.record import Record, by_block, replicates
from harness.records.settings import Speed

#: The samples of one process by (level, role).
Process = Mapping[tuple[str, str], Samples]

#: Why a trial is not ranked.
ANOTHER_ANSWER = "it computes a different answer on purpose"
#: Below this share of CPU time in wall time, another program used the measuring core.
CPU_SHARE = 0.90


@dataclass(frozen=True, kw_only=True)
class Comparison(Finding):
    """A level against the baseline: the ratio of times for the same examples.

    `values` are the log ratios, one per process. `needs` is how many processes a verdict would take, and `seconds` how
    long all of these take. `adjusted` is the p value of a difference beyond the floor, corrected for all comparisons by
    this metric (Benjamini-Hochberg)."""

    values: tuple[float, ...] = ()
    clock: Clock = "wall"
    cpu_share: float = 1.0
    ratio_of_means: float | None = None
    ratio_of_fast: float | None = None
    needs: int | None = None
    seconds: float | None = None


class Measured:
    """The samples of one block in one mode."""

    def __init__(self, block: Block, records: Iterable[Record], mode: str) -> None:
        self.block, self.mode = block, mode
        self.settings = block.measures.speed or Speed()
        self.processes: list[Process] = []
        #: In how many processes each (level, flag of the record) occurs.
        self.flagged: Counter[tuple[str, str]] = Counter()
        self.seconds = 0.0
        #: The first record by which each level failed.
        self.broken: dict[str, Record] = {}
        mine = [record for record in records if record.block == block.id]
        for record in mine:
            if record.outcome != "ok" and not record.after_timing:
                self.broken.setdefault(record.level, record)
        for group in replicates(mine, block.id, f"speed.{mode}").values():
            good = [record for record in group if record.outcome == "ok"]
            self.seconds += sum(record.data.get("seconds", 0.0) for record in good)
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
        measured.processes = list(processes)
        measured.choose_clock()
        return measured

    def choose_clock(self) -> None:
        """Wall time decides, unless the core was shared; then CPU time decides."""
        members = {member for process in self.processes for member in process}
        shares = [np.median([p[member].cpu_share for p in self.processes if member in p]) for member in members]
        #: CPU over wall time: the minimum over members of the median over processes.
        self.cpu_share = float(min(shares, default=1.0))
        # During a GPU's step the host only queues work and waits, so its CPU time says nothing.
        shared = self.cpu_share < CPU_SHARE and all(trial.device == "cpu" for trial in self.block.trials)
        #: CPU time is read from one thread, so with several threads it cannot replace wall time.
        self.contended = shared and self.block.threads > 1
        self.clock: Clock = "cpu" if shared and not self.contended else "wall"

    def mostly(self, flag: str, level: str, processes: int) -> bool:
        """Whether the records of a level or its baseline have a flag in more than half of the processes."""
        most = max(self.flagged[each, flag] for each in (level, self.block.baseline.level))
        return most * 2 > processes

    def pairs(self, level: str, role: str) -> list[tuple[Samples, Samples]]:
        """The samples of the baseline and of a level in every process that measured both, on the deciding clock."""
        return [pair for process in self.processes if (pair := self._pair(process, level, role))]

    def _pair(self, process: Process, level: str, role: str) -> tuple[Samples, Samples] | None:
        if (level, role) not in process:
            return None
        both = process[self.block.baseline.level, "variant"], process[level, role]
        if self.clock == both[0].clock == both[1].clock:
            return both
        return replace(both[0], clock=self.clock), replace(both[1], clock=self.clock)

    def log_ratios(self, level: str, role: str, view: View | None = None) -> list[float]:
        """One log ratio to the baseline per process, of the step time or of what `view` reads."""
        found = [self._log_ratio(process, level, role, view) for process in self.processes]
        return [value for value in found if value is not None]

    def _log_ratio(self, process: Process, level: str, role: str, view: View | None) -> float | None:
        pair = self._pair(process, level, role)
        seconds = [samples.seconds if view is None else view(samples) for samples in pair or ()]
        if pair and all(array is not None and len(array) and array.min() > 0 for array in seconds):
            return stats.log_ratio(seconds[0], seconds[1], pair[1].batch)
        return None

    def aligned(self, levels: Sequence[str], view: View | None = None) -> dict[str, Array]:
        """The log ratios of each level to the baseline (0 for the baseline itself), shape (processes,): those of the
        processes that measured all of the levels, in the same order."""
        rows = [[self._log_ratio(process, level, "variant", view) for level in levels] for process in self.processes]
        complete = [row for row in rows if None not in row]
        table = np.array(complete, dtype=float).reshape(len(complete), len(levels))
        return {level: table[:, index] for index, level in enumerate(levels)}

    def estimates(self) -> dict[str, Estimate]:
        """The estimate of each variant's step time against the baseline, where a process measured it."""
        return {
            trial.level: stats.estimate(values)
            for trial in self.block.trials[1:]
            if (values := self.log_ratios(trial.level, "variant"))
        }

    def number(self, level: str, metric: Metric, view: View) -> float | None:
        """A metric of one level by itself: the median over processes (per step where it is a metric of samples)."""
        if metric.per == "sample":
            return self.typical(level, view)
        members = [samples for _, samples in self.pairs(level, "variant")]
        return _median(view(samples.totals() if metric.per == "counts" else samples) for samples in members)

    def typical(self, level: str, view: View | None = None) -> float | None:
        """The step time of a level, or what `view` reads: the median over processes of the mean over batches."""
        read = [
            (samples.seconds if view is None else view(samples), samples.batch)
            for _, samples in self.pairs(level, "variant")
        ]
        return _median(stats.per_batch(value, batch).mean() for value, batch in read if value is not None)

    def compare(self, trial: Trial, metric: str, view: View, floor: float, null_biased: bool) -> Comparison:
        """A trial against the baseline by a metric of samples, with its verdict."""
        values = self.log_ratios(trial.level, "variant", view)
        comparison = Comparison(
            block=self.block, level=trial.level, mode=self.mode, metric=metric, reason="not measured",
            confidence=1 - alpha_of(self.settings), values=tuple(values), clock=self.clock, cpu_share=self.cpu_share,
        )  # fmt: skip
        if values:
            quick = self.settings.quick
            estimate = self.quick_estimate(trial.level, view, values[0]) if quick else stats.estimate(values)
            verdict, reason = decide(estimate, self.settings, floor, looks_of(self.block)[0])
            needs = None
            if verdict == Verdict.UNDECIDED:
                target = min(self.settings.half_width, self.settings.margin / 2)
                needs = stats.processes_needed(estimate.k, estimate.half_width(), target)
            means, fast = self.other_ratios(trial.level, view)
            comparison = replace(
                comparison, estimate=estimate, verdict=verdict, reason=reason, ratio_of_means=means, ratio_of_fast=fast,
                needs=needs, seconds=needs * self.seconds / len(self.processes) if needs and self.seconds else None,
            )  # fmt: skip
        verdict, reason = self._final_verdict(comparison, trial, null_biased)
        flags = self._flags(comparison, trial, null_biased) if verdict != Verdict.INVALID else ()
        return replace(comparison, verdict=verdict, reason=reason, flags=flags)

    def quick_estimate(self, level: str, view: View, value: float) -> Estimate:
        """The estimate of one process, widened by what one process cannot know."""
        baseline, variant = self.pairs(level, "variant")[0]
        error = stats.log_ratio_error(view(baseline), view(variant), variant.batch)
        control = self.log_ratios(self.block.baseline.level, "control", view)
        return stats.quick_estimate(value, error, control[0] if control else 0.0, len(variant.batch))

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
        if verdict in DECIDED and null_biased:
            return Verdict.UNDECIDED, "the baseline differs from itself"
        if verdict in DECIDED and self.contended:
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

    def _flags(self, comparison: Comparison, trial: Trial, null_biased: bool) -> tuple[Flag, ...]:
        estimate = comparison.estimate
        if estimate is None:
            return ()
        others = [math.log(one) for one in (comparison.ratio_of_means, comparison.ratio_of_fast) if one]
        flags = {
            Flag.CPU_CLOCK: self.clock == "cpu",
            Flag.TAIL_EFFECT: any(abs(other - estimate.mean) > self.settings.margin for other in others),
            Flag.NOT_STATIONARY: self.mostly("not_stationary", trial.level, estimate.k),
            Flag.NULL_BIASED: null_biased,
            Flag.CONTENDED: self.contended,
            **{flag: trial.changes == changes for changes, flag in CHANGE_FLAGS.items()},
        }
        return tuple(flag for flag, applies in flags.items() if applies)


def _median(values: Iterable[Any]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return float(np.median(known)) if known else None


def alpha_of(settings: Speed | None) -> float:
    """The error rate of one look: 5 %, or less where a run may stop after any of several looks."""
    return stats.POCOCK if settings and settings.until_decided else 0.05


def looks_of(block: Block) -> tuple[int, ...]:
    """After how many processes a block's intervals are looked at; the first is the fewest that give a verdict. Where
    processes take turns, each ratio is of two processes, whose difference takes more of them."""
    return stats.LOOKS[1:] if block.takes_turns else stats.LOOKS


def decide(estimate: Estimate, settings: Speed, floor: float, least: int = stats.MIN_REPLICATES) -> tuple[Verdict, str]:
    """The verdict on an estimate, in the method's order, and the reason where it is undecided or invalid. `least` is
    the fewest processes that give one. A wide interval never shows equivalence."""
    if estimate.k < least and not settings.quick:
        return Verdict.INVALID, f"{estimate.k} of at least {least} processes"
    half = estimate.half_width()
    margin = math.log1p(settings.margin) if half <= settings.margin / 2 else None
    verdict = conclude(estimate, margin, floor, alpha_of(settings), Verdict.FASTER, Verdict.SLOWER)
    if verdict != Verdict.UNDECIDED:
        return verdict, ""
    if half > settings.half_width:
        return verdict, f"interval is ±{100 * half:.1f} %, target ±{100 * settings.half_width:.1f} %"
    return verdict, CLOSE


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
