"""Samples to comparisons and verdicts. Pure: no torch, no printing; docs/method.md gives the reasons."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np

from harness.analysis import stats
from harness.analysis.samples import Clock, Samples
from harness.analysis.stats import Array, Estimate
from harness.plugins.parts import Metric
from harness.records.plan import Block, Trial
from harness.records.record import Record, replicates
from harness.records.settings import Speed

Verdict = Literal["faster", "slower", "equivalent", "undecided", "invalid", "unranked"]
View = Callable[[Any], Any]
Process = Mapping[tuple[str, str], Samples]
#: Of times, or of what was learned: what has a metric, an estimate, a verdict, flags and an adjusted p value.
Compared = TypeVar("Compared")

#: Below this share of CPU time in wall time, something else ran on the measuring core.
CPU_SHARE = 0.90

#: What each flag means to the one who reads it, and what can be done.
FLAGS = {
    "cpu-clock": "the core was shared while this was measured, so CPU time decides; quiet the machine to use wall time",
    "not-stationary": "steps were still changing speed when the warm-up had to end; close other work and run again",
    "tail-effect": "the mean or the fast samples tell another story than the middle; look at the raw samples",
    "null-biased": "the baseline measured against itself differs, so nothing is decided; quiet the machine, run again",
    "one-of-many": "among so many comparisons one as clear as this may be chance (Benjamini-Hochberg, 5 %); claim it",
    "another model": "the model itself differs: speed says nothing about what it learns",
    "another update": "the weights move differently: speed says nothing about what it learns",
    "another order": "examples are met in another order: for learning, compare over seeds",
}
_MARKS = {"model": "another model", "update": "another update", "order": "another order"}


@dataclass(frozen=True)
class Comparison:
    """A level against the baseline in one block: the ratio of times for the same examples, with its interval.

    `values` are the log ratios, one a process. `needs` is how many processes a verdict would take, and `seconds` how
    long all of these. `adjusted` is the p value of a difference beyond the floor, adjusted for all comparisons of this
    metric (Benjamini-Hochberg)."""

    block: Block
    level: str
    mode: str
    metric: str
    values: tuple[float, ...]
    estimate: Estimate | None
    clock: Clock
    cpu_share: float
    verdict: Verdict
    reason: str = ""
    flags: tuple[str, ...] = ()
    ratio_of_means: float | None = None
    ratio_of_fast: float | None = None
    needs: int | None = None
    seconds: float | None = None
    adjusted: float | None = None

    @property
    def confidence(self) -> float:
        """Of the interval that decides: 95 %, more where the run may have stopped at any of several looks."""
        return 1 - alpha_of(self.block.measures.speed)

    @property
    def ratio(self) -> float | None:
        """The variant's time over the baseline's; below 1 is faster."""
        return None if self.estimate is None else math.exp(self.estimate.mean)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval of the ratio that decides; None where there is too little for one."""
        if self.estimate is None or not math.isfinite(self.estimate.error):
            return None
        low, high = self.estimate.interval(self.confidence)
        return math.exp(low), math.exp(high)


class Measured:
    """What was measured of one block in one mode: each process's samples by (level, role)."""

    def __init__(self, block: Block, records: Iterable[Record], mode: str) -> None:
        self.block, self.mode = block, mode
        self.settings = block.measures.speed or Speed()
        self.processes: list[Process] = []
        #: In how many processes each level was flagged with what.
        self.flagged: Counter[tuple[str, str]] = Counter()
        self.seconds = 0.0
        self.broken: dict[str, Record] = {}
        mine = [record for record in records if record.block == block.id]
        for record in mine:
            if record.outcome != "ok" and not record.after_the_clock:
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
        """The same from samples that come from elsewhere than records."""
        measured = cls(block, [], mode)
        measured.processes = list(processes)
        measured.choose_clock()
        return measured

    def choose_clock(self) -> None:
        """Wall time decides, unless the core was shared; then CPU time does."""
        self.cpu_share = self._cpu_share()
        # Of a GPU's step the host's CPU time tells nothing: it only queues and waits.
        shared = self.cpu_share < CPU_SHARE and all(trial.device == "cpu" for trial in self.block.trials)
        #: With several threads CPU time, read of one, says nothing of a shared core's effect.
        self.contended = shared and self.block.threads > 1
        self.clock: Clock = "cpu" if shared and not self.contended else "wall"

    def _cpu_share(self) -> float:
        """CPU over wall time: the minimum over members of the median over processes."""
        members = {member for process in self.processes for member in process}
        shares = [np.median([p[member].cpu_share for p in self.processes if member in p]) for member in members]
        return float(min(shares, default=1.0))

    def mostly(self, flag: str, level: str, processes: int) -> bool:
        """Whether a level or its baseline was flagged in more than half of the processes."""
        most = max(self.flagged[each, flag] for each in (level, self.block.baseline.level))
        return most * 2 > processes

    def pairs(self, level: str, role: str) -> list[tuple[Samples, Samples]]:
        """The baseline's and a member's samples of every process that measured both, on the deciding clock."""
        return [pair for process in self.processes if (pair := self.pair(process, level, role))]

    def pair(self, process: Process, level: str, role: str) -> tuple[Samples, Samples] | None:
        """The same of one process; None where it did not measure the member."""
        if (level, role) not in process:
            return None
        both = process[self.block.baseline.level, "variant"], process[level, role]
        if self.clock == both[0].clock == both[1].clock:
            return both
        return replace(both[0], clock=self.clock), replace(both[1], clock=self.clock)

    def log_ratios(self, level: str, role: str, view: View | None = None) -> list[float]:
        """One log ratio of a member to the baseline a process; of step time, or of what `view` reads."""
        found = [self.log_ratio(process, level, role, view) for process in self.processes]
        return [value for value in found if value is not None]

    def log_ratio(self, process: Process, level: str, role: str, view: View | None) -> float | None:
        """The same of one process; None where it holds nothing to compare."""
        pair = self.pair(process, level, role)
        seconds = [samples.seconds if view is None else view(samples) for samples in pair or ()]
        if pair and all(array is not None and len(array) and array.min() > 0 for array in seconds):
            return stats.log_ratio(seconds[0], seconds[1], pair[1].batch)
        return None

    def aligned(self, levels: Sequence[str], view: View | None = None) -> dict[str, Array]:
        """The log ratio of each level to the baseline (whose own is 0), shape (processes,), in the same order for all:
        of every process that measured all of them."""
        rows = [[self.log_ratio(process, level, "variant", view) for level in levels] for process in self.processes]
        kept = [row for row in rows if None not in row]
        whole = np.array(kept, dtype=float).reshape(len(kept), len(levels))
        return {level: whole[:, index] for index, level in enumerate(levels)}

    def estimates(self) -> dict[str, Estimate]:
        """The estimate of each variant's step time against the baseline, as far as there are processes."""
        return {
            trial.level: stats.estimate(values)
            for trial in self.block.trials[1:]
            if (values := self.log_ratios(trial.level, "variant"))
        }

    def number(self, level: str, metric: Metric, view: View) -> float | None:
        """A metric of one trial alone: the median over processes (per step where it is a metric of samples)."""
        if metric.per == "sample":
            return self.typical(level, view)
        members = [samples for _, samples in self.pairs(level, "variant")]
        read = [view(samples.totals() if metric.per == "counts" else samples) for samples in members]
        values = [float(value) for value in read if value is not None]
        return float(np.median(values)) if values else None

    def typical(self, level: str, view: View | None = None) -> float | None:
        """What a view reads of a level's samples, or the time of a step: of each process the mean over batches, of
        these the median. None where no process has it."""
        values = []
        for _, samples in self.pairs(level, "variant"):
            value = samples.seconds if view is None else view(samples)
            if value is not None:
                values.append(float(stats.per_batch(value, samples.batch).mean()))
        return float(np.median(values)) if values else None

    def compare(self, trial: Trial, metric: str, view: View, floor: float, null_biased: bool) -> Comparison:
        """A trial against the baseline by a metric of samples, with its verdict."""
        values = self.log_ratios(trial.level, "variant", view)
        comparison = Comparison(
            self.block, trial.level, self.mode, metric, tuple(values), None, self.clock, self.cpu_share,
            "invalid", "not measured",
        )  # fmt: skip
        if values:
            estimate = (
                self.quick_estimate(trial.level, view, values[0]) if self.settings.quick else stats.estimate(values)
            )
            verdict, reason = decide(estimate, self.settings, floor, looks_of(self.block)[0])
            target = min(self.settings.half_width, self.settings.margin / 2)
            means, fast = self.other_ratios(trial.level, view)
            needs = stats.needed(estimate.k, estimate.half_width(), target) if verdict == "undecided" else None
            comparison = replace(
                comparison,
                estimate=estimate,
                verdict=verdict,
                reason=reason,
                ratio_of_means=means,
                ratio_of_fast=fast,
                needs=needs,
                seconds=needs * self.seconds / len(self.processes) if needs and self.seconds else None,
            )
        return self.judge(comparison, trial, null_biased)

    def quick_estimate(self, level: str, view: View, value: float) -> Estimate:
        """One process's estimate, widened by what one process cannot know."""
        baseline, variant = self.pairs(level, "variant")[0]
        error = stats.log_ratio_error(view(baseline), view(variant), variant.batch)
        control = self.log_ratios(self.block.baseline.level, "control", view)
        return stats.quick_estimate(value, error, control[0] if control else 0.0, len(variant.batch))

    def other_ratios(self, level: str, view: View) -> tuple[float, float]:
        """The ratio of means and of 10th percentiles over all processes: shown beside the verdict, never deciding."""
        means, fast = [0.0, 0.0], [0.0, 0.0]
        for pair in self.pairs(level, "variant"):
            for index, samples in enumerate(pair):
                seconds = view(samples)
                for mean in stats.each_batch(seconds, samples.batch, stats.means).tolist():
                    means[index] += mean
                for tenth in stats.each_batch(seconds, samples.batch, stats.tenths).tolist():
                    fast[index] += tenth
        return means[1] / means[0], fast[1] / fast[0]

    def unless_blind(self, verdict: Verdict, reason: str, null_biased: bool) -> tuple[Verdict, str]:
        """The verdict and its reason, or why nothing can be decided here at all."""
        if verdict in ("faster", "slower", "equivalent") and null_biased:
            return "undecided", "the baseline differs from itself"
        if verdict in ("faster", "slower", "equivalent") and self.contended:
            return "undecided", "contended: cores were shared, and several threads have no CPU clock"
        return verdict, reason

    def judge(self, comparison: Comparison, trial: Trial, null_biased: bool) -> Comparison:
        """What no interval can say: a failed trial, a broken promise, a biased null, another answer; and flags."""
        verdict, reason = comparison.verdict, comparison.reason
        broken = self.broken.get(trial.level)
        if broken is not None:
            verdict, reason = "invalid", f"{broken.outcome}: {broken.reason}"
        elif comparison.estimate is not None and self.mostly("throttled", trial.level, comparison.estimate.k):
            verdict, reason = "invalid", "throttled: the GPU's clock was forced down; cool it, or limit its clock"
        elif verdict != "invalid" and trial.changes == "answer":
            verdict, reason = "unranked", "its answer is another one, on purpose"
        else:
            verdict, reason = self.unless_blind(verdict, reason, null_biased)
        flags = []
        if verdict != "invalid" and comparison.estimate is not None:
            others = (comparison.ratio_of_means, comparison.ratio_of_fast)
            margin = self.settings.margin
            if self.clock == "cpu":
                flags.append("cpu-clock")
            if any(abs(math.log(other) - comparison.estimate.mean) > margin for other in others if other):
                flags.append("tail-effect")
            if self.mostly("not_stationary", trial.level, comparison.estimate.k):
                flags.append("not-stationary")
            if null_biased:
                flags.append("null-biased")
            if trial.changes in _MARKS:
                flags.append(_MARKS[trial.changes])
        return replace(comparison, verdict=verdict, reason=reason, flags=tuple(flags))


def alpha_of(settings: Speed | None) -> float:
    """The error rate of one look: 5 %, or less where a run may stop on what it sees at any of several looks."""
    return stats.POCOCK if settings and settings.until_decided else 0.05


def looks_of(block: Block) -> tuple[int, ...]:
    """After how many processes a block's intervals are looked at; the first is the fewest that give a verdict. Where
    processes take turns, each ratio is of two of them, and their difference needs more."""
    return stats.LOOKS[1:] if block.takes_turns else stats.LOOKS


def decide(estimate: Estimate, settings: Speed, floor: float, least: int = stats.LEAST) -> tuple[Verdict, str]:
    """The verdict on an interval, in the method's order, and the reason where it is undecided or invalid. `least` is
    the fewest processes that give one."""
    if estimate.k < least and not settings.quick:
        return "invalid", f"{estimate.k} of at least {least} processes"
    margin, alpha = math.log1p(settings.margin), alpha_of(settings)
    half = estimate.half_width()
    low, high = estimate.interval(1 - 2 * alpha)
    if low >= -margin and high <= margin and half <= settings.margin / 2:
        return "equivalent", ""
    low, high = estimate.interval(1 - alpha)
    if high < -floor:
        return "faster", ""
    if low > floor:
        return "slower", ""
    if half > settings.half_width:
        return "undecided", f"noisy: ±{half:.1%} where ±{settings.half_width:.1%} is wanted"
    return "undecided", "close: the interval holds both no difference and more than the margin"


def discoveries(comparisons: Sequence[Compared], floor: float, decided: Sequence[str]) -> list[Compared]:
    """The comparisons with p values adjusted within each metric; one of the `decided` verdicts that could be chance
    among so many is marked."""
    found: list[Any] = list(comparisons)
    for metric in dict.fromkeys(c.metric for c in found):
        p_values = {i: c.estimate.p_value(floor) for i, c in enumerate(found) if c.metric == metric and c.estimate}
        for i, value in zip(p_values, stats.benjamini_hochberg(list(p_values.values())), strict=True):
            doubtful = value > 0.05 and found[i].verdict in decided
            flags = (*found[i].flags, "one-of-many") if doubtful else found[i].flags
            found[i] = replace(found[i], adjusted=value, flags=flags)
    return found
