"""Where a measured difference comes from: two profiles side by side, by phase and operator, that add up to it.

The clock gives the time of each phase of a step; the profile only says how it is divided. First the profiler's measured
overhead is subtracted, then each phase of each trial is scaled to its time by the clock. So the rows sum to the
measured difference, and time outside operators is a row like others. On a GPU, rows are the times of kernels on the
device by the operator that launched them, not scaled; the rest is the device waiting for the host.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.analysis.finding import Finding
from harness.analysis.grouping import grouped
from harness.analysis.profiles import ENGINE, UNATTRIBUTED, ByOperator, Profiled, Profiles, is_of, profiler_cost
from harness.analysis.samples import wall_time
from harness.analysis.stats import Estimate
from harness.analysis.time_verdicts import decide, looks_of
from harness.analysis.timing import Comparison, Measured
from harness.analysis.verdicts import EXCLUDED, Verdict


@dataclass(frozen=True)
class OperatorTime:
    """An operator of one phase in both trials, in seconds and calls per step."""

    phase: str
    operator: str
    seconds: tuple[float, float]
    calls: tuple[float, float]

    @property
    def difference(self) -> float:
        """Seconds per step that the second trial takes more here."""
        return self.seconds[1] - self.seconds[0]

    @classmethod
    def total(cls, phase: str, operator: str, rows: Sequence[OperatorTime]) -> OperatorTime:
        """The sum of several."""
        seconds = sum(row.seconds[0] for row in rows), sum(row.seconds[1] for row in rows)
        calls = sum(row.calls[0] for row in rows), sum(row.calls[1] for row in rows)
        return cls(phase, operator, seconds, calls)


@dataclass(frozen=True)
class PathChange:
    """The kernel paths that only one of two trials took. `seconds` are what the second trial takes less without
    those of the first, and more with its own; None where the operators of a path cannot be told from others."""

    lost: tuple[str, ...]
    gained: tuple[str, ...]
    seconds: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class Explanation(Finding):
    """Why `b` takes longer than `a`: rows that sum to the difference of their `seconds` per step, the largest first.
    `cost` is the profiler's overhead per operator, in seconds."""

    a: Profiled
    b: Profiled
    seconds: tuple[float, float]
    rows: tuple[OperatorTime, ...]
    cost: float

    @property
    def baseline(self) -> str:
        """The level that it is compared with."""
        return self.a.level

    @property
    def ratio(self) -> float:
        """The second trial's time over the first's."""
        return self.seconds[1] / self.seconds[0]

    @property
    def difference(self) -> float:
        """Seconds per step that the second trial takes more."""
        return self.seconds[1] - self.seconds[0]

    @property
    def plain_difference(self) -> float:
        """The same from steps without a profiler, taken beside the profiled ones."""
        return self.b.plain - self.a.plain

    @property
    def in_operators(self) -> float:
        """The share of the difference that is inside operators."""
        inside = sum(row.difference for row in self.rows if row.operator != UNATTRIBUTED)
        return inside / self.difference if self.difference else 1.0

    @property
    def decided(self) -> bool:
        """Whether there is a difference to explain."""
        return self.verdict in (Verdict.FASTER, Verdict.SLOWER)

    @property
    def plain_ratio(self) -> float:
        """The ratio of the steps without a profiler, taken beside the profiled ones."""
        return self.b.plain / self.a.plain

    @property
    def explained(self) -> bool:
        """Whether there is a difference and the profile shows it: the steps beside the profiler have at least half of
        it, and at most one and a half times as much."""
        disagreement = abs(self.plain_ratio - self.ratio)
        return self.decided and disagreement <= abs(self.ratio - 1) / 2

    @property
    def sensitivity(self) -> float:
        """Half the interval of the difference in seconds per step. A row with a smaller difference may be chance."""
        low, high = self.interval or (-math.inf, math.inf)
        return self.seconds[0] * (high - low) / 2

    @property
    def path_change(self) -> PathChange:
        """The kernel paths that differ. A path that calls operators which other paths call too gets all the rest of
        the phases that they run in."""
        lost, gained = (
            tuple(path for path in one.kernel_paths if path not in other.kernel_paths)
            for one, other in ((self.a, self.b), (self.b, self.a))
        )
        own = [[row for row in self.rows if is_of(row.operator, paths)] for paths in (lost, gained)]
        if not lost or not gained or not any(own):
            return PathChange(lost, gained, None)
        phases = {row.phase for rows in own for row in rows}
        everything = sum(row.difference for row in self.rows if row.phase in phases)
        less, more = (sum(row.difference for row in rows) for rows in own)
        if not own[1]:
            more = everything - less
        elif not own[0]:
            less = everything - more
        return PathChange(lost, gained, (less, more))

    def by_operator(self) -> list[OperatorTime]:
        """The rows with the phases of each operator in one, named by those that have most of its difference."""
        whole = []
        for operator, same in grouped(self.rows, lambda row: row.operator).items():
            main = [row.phase for row in same if abs(row.difference) >= 0.2 * abs(same[0].difference)]
            whole.append(OperatorTime.total(" and ".join(main), operator, same))
        return sorted(whole, key=lambda row: -abs(row.difference))


@dataclass(frozen=True)
class BlockTimes:
    """The times of one block and mode as the tables show them: the seconds per step of each level, and each level's
    comparison with the baseline. `floor` is the smallest log ratio that is a difference."""

    measured: Measured
    seconds: Mapping[str, float]
    compared: Mapping[str, Comparison]
    floor: float

    def estimate(self, a: str, b: str) -> Estimate | None:
        """The log ratio of level `b` to level `a`; None if no process measured both."""
        baseline = self.measured.block.baseline.level
        if baseline in (a, b):
            compared = self.compared.get(b if a == baseline else a)
            estimate = compared.estimate if compared else None
            return replace(estimate, mean=-estimate.mean) if estimate and b == baseline else estimate
        logs = self.measured.aligned([a, b])
        values = (logs[b] - logs[a]).tolist()
        return self.measured.estimate(values, self.measured.ratios(a), self.measured.ratios(b)) if values else None

    def verdict(self, a: str, b: str, estimate: Estimate) -> tuple[Verdict, str]:
        """The verdict of the comparison with the baseline; by the interval alone for other levels, and for those that
        no comparison ranks."""
        compared = self.compared.get(b)
        if compared and a == self.measured.block.baseline.level and compared.verdict not in EXCLUDED:
            return compared.verdict, compared.reason
        return decide(estimate, self.measured.settings, self.floor, looks_of(self.measured.block)[0])


def explanations(times: Iterable[BlockTimes], profiles: Profiles) -> list[Explanation]:
    """Each level against the baseline, in every block and mode that was timed and profiled."""
    cost = profiler_cost(profiles)
    found = []
    for one in times:
        block = one.measured.block
        by_level = {each.level: each for each in profiles.get((block.id, one.measured.mode), ())}
        if baseline := by_level.pop(block.baseline.level, None):
            found += [explain(one, baseline, variant, cost) for variant in by_level.values()]
    return [one for one in found if one]


def largest(explained: Iterable[Explanation], most: int) -> list[Explanation]:
    """The largest of the differences that are explained, at most this many."""
    return sorted((one for one in explained if one.explained), key=lambda one: -abs(math.log(one.ratio)))[:most]


def explain(times: BlockTimes, a: Profiled, b: Profiled, cost: float) -> Explanation | None:
    """Explain the difference of two trials of a block; None where one of them was not timed. `cost` is the profiler's
    overhead per operator, in seconds."""
    measured = times.measured
    phases = [timed_phases(measured, one.level) for one in (a, b)]
    estimate = times.estimate(a.level, b.level)
    if estimate is None or not all(phases):
        return None
    verdict, reason = times.verdict(a.level, b.level, estimate)
    seconds = times.seconds[a.level], times.seconds[b.level]
    shares = []
    for one, spent, whole in zip((a, b), phases, seconds, strict=True):
        total = sum(spent.values())
        shares.append(divided(one, {phase: time * whole / total for phase, time in spent.items()}, cost))
    rows = aligned(shares[0], shares[1], a, b)
    return Explanation(
        block=measured.block, level=b.level, mode=measured.mode, metric="step_time", verdict=verdict, reason=reason,
        estimate=estimate, a=a, b=b, seconds=seconds, cost=cost,
        rows=tuple(sorted(rows, key=lambda row: -abs(row.difference))),
    )  # fmt: skip


def aligned(first: ByOperator, second: ByOperator, a: Profiled, b: Profiled) -> list[OperatorTime]:
    """A row for each operator and phase of either. A node of the graph and the engine's work on it are one row."""
    rows: dict[tuple[str, str], OperatorTime] = {}
    for phase, name in dict.fromkeys([*first, *second]):
        key = phase, name.removeprefix(ENGINE)
        before = rows[key].seconds if key in rows else (0.0, 0.0)
        seconds = before[0] + first.get((phase, name), 0.0), before[1] + second.get((phase, name), 0.0)
        rows[key] = OperatorTime(*key, seconds, (a.merged.get(key, 0.0), b.merged.get(key, 0.0)))
    return list(rows.values())


def timed_phases(measured: Measured, level: str) -> dict[str, float]:
    """Seconds per step of each phase, in wall time."""
    names = dict.fromkeys(name for _, samples in measured.pairs(level, "variant") for name in samples.phases)
    typical = {name: measured.typical(level, wall_time(name)) for name in names}
    return {name: seconds for name, seconds in typical.items() if seconds is not None}


def divided(one: Profiled, phases: Mapping[str, float], cost: float) -> ByOperator:
    """The clock's time of each phase, divided among operators as the profile has it. Sums to the clock's time."""
    if one.device == "cuda":
        rows = {key: seconds for key, seconds in one.device_times.items() if seconds}
        for phase, seconds in phases.items():
            busy = sum(time for (where, _), time in rows.items() if where == phase)
            rows[phase, UNATTRIBUTED] = seconds - busy
        return rows
    rows = {}
    seen = grouped(one.seconds(cost).items(), lambda item: item[0][0])
    for phase, seconds in phases.items():
        here = dict(seen.get(phase, ()))
        total = sum(here.values())
        if total > 0:
            rows |= {key: seconds * time / total for key, time in here.items()}
        else:
            rows[phase, UNATTRIBUTED] = seconds
    return rows
