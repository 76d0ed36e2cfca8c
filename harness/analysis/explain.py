"""Where a measured difference comes from: two profiles side by side, by phase and operator, that add up to it.

The clock gives the time of each phase of a step; the profile only says how it is divided. First the profiler's measured
overhead is subtracted, then each phase of each trial is scaled to its time by the clock. So the rows sum to the
measured difference, and time outside operators is a row like others. On a GPU, rows are the times of kernels on the
device by the operator that launched them, not scaled; the rest is the device waiting for the host.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis import stats
from harness.analysis.finding import Finding
from harness.analysis.grouping import grouped
from harness.analysis.profiles import ENGINE, UNATTRIBUTED, ByOperator, Profiled, Profiles, is_of, profiler_cost
from harness.analysis.samples import wall_time
from harness.analysis.time_verdicts import decide, looks_of
from harness.analysis.timing import Measured
from harness.analysis.verdicts import Verdict


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


def explanations(measured: Iterable[Measured], profiles: Profiles, floor: float = stats.FLOOR) -> list[Explanation]:
    """Each level against the baseline, in every block and mode that was timed and profiled."""
    cost = profiler_cost(profiles)
    found = []
    for one in measured:
        by_level = {each.level: each for each in profiles.get((one.block.id, one.mode), ())}
        if baseline := by_level.pop(one.block.baseline.level, None):
            found += [explain(one, baseline, variant, cost, floor) for variant in by_level.values()]
    return [one for one in found if one]


def largest(explained: Iterable[Explanation], most: int) -> list[Explanation]:
    """The largest of the differences that are explained, at most this many."""
    return sorted((one for one in explained if one.explained), key=lambda one: -abs(math.log(one.ratio)))[:most]


def explain(
    measured: Measured, a: Profiled, b: Profiled, cost: float, floor: float = stats.FLOOR
) -> Explanation | None:
    """Explain the difference of two trials of a block in the mode of `measured`; None where one of them was not timed.
    `cost` is the profiler's overhead per operator, in seconds; `floor` the smallest log ratio that is a difference."""
    logs = measured.aligned([a.level, b.level])
    values = (logs[b.level] - logs[a.level]).tolist()
    phases = [timed_phases(measured, one.level) for one in (a, b)]
    if not values or not all(phases):
        return None
    first = (measured.typical(measured.block.baseline.level) or 0.0) * math.exp(float(logs[a.level].mean()))
    seconds = first, first * math.exp(float(np.mean(values)))
    shares = []
    for one, times, whole in zip((a, b), phases, seconds, strict=True):
        total = sum(times.values())
        shares.append(divided(one, {phase: time * whole / total for phase, time in times.items()}, cost))
    rows = aligned(shares[0], shares[1], a, b)
    levels = [one.level for one in (a, b) if one.level != measured.block.baseline.level]
    estimate = measured.estimate(values, *map(measured.ratios, levels))
    verdict, reason = decide(estimate, measured.settings, floor, looks_of(measured.block)[0])
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
