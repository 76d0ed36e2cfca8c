"""Where a measured difference comes from: two profiles side by side, by phase and operator, that add up to it.

The clock says how long each phase of a step takes; the profile only says how a phase's time is shared out. What the
profiler itself costs is taken off first, by what it was measured to cost; then each phase of each trial is scaled to
what the clock says of it. So the rows sum to the measured difference, and what is in no operator is a row like others.
On a GPU the rows are what kernels take there, by the operator that launched them, not scaled at all; the rest is the
device waiting for the host.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis import stats
from harness.analysis.profiles import ENGINE, NOWHERE, Profiled, event_cost
from harness.analysis.timing import Measured, View, alpha_of
from harness.records.plan import Block

#: A cause is named in the sentence from this share of the difference on, and so many are.
NAMED, MOST_NAMED = 0.06, 4

Seconds = Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Row:
    """An operator of one phase in both trials, in seconds and calls a step."""

    phase: str
    operator: str
    seconds: tuple[float, float]
    calls: tuple[float, float]

    @property
    def difference(self) -> float:
        """Seconds a step that the second trial takes more here."""
        return self.seconds[1] - self.seconds[0]


@dataclass(frozen=True)
class Explanation:
    """Why `b` takes `ratio` times as long as `a`: rows that sum to the difference of their `seconds` a step, the
    largest first. `cost` is what the profiler took for each operator, in seconds."""

    block: Block
    mode: str
    a: Profiled
    b: Profiled
    seconds: tuple[float, float]
    interval: tuple[float, float] | None
    confidence: float
    processes: int
    rows: tuple[Row, ...]
    cost: float

    @property
    def ratio(self) -> float:
        """The second trial's time over the first's."""
        return self.seconds[1] / self.seconds[0]

    @property
    def difference(self) -> float:
        """Seconds a step that the second trial takes more."""
        return self.seconds[1] - self.seconds[0]

    @property
    def plain_difference(self) -> float:
        """The same of the steps without a profiler that were taken beside the profiled ones."""
        return self.b.plain - self.a.plain

    @property
    def in_operators(self) -> float:
        """The share of the difference that lies in operators."""
        inside = sum(row.difference for row in self.rows if row.operator != NOWHERE)
        return inside / self.difference if self.difference else 1.0

    @property
    def decided(self) -> bool:
        """Whether the interval says that there is a difference at all."""
        return self.interval is not None and not self.interval[0] <= 1 <= self.interval[1]

    def by_operator(self) -> list[Row]:
        """The same with the phases of each operator in one row, named by those where most of its difference is."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.operator, []).append(row)
        whole = [
            Row(
                " and ".join(row.phase for row in same if abs(row.difference) >= 0.2 * abs(same[0].difference)),
                operator,
                (sum(row.seconds[0] for row in same), sum(row.seconds[1] for row in same)),
                (sum(row.calls[0] for row in same), sum(row.calls[1] for row in same)),
            )
            for operator, same in found.items()
        ]
        return sorted(whole, key=lambda row: -abs(row.difference))

    @property
    def sentence(self) -> str:
        """What it comes to, in a sentence."""
        times = f"{self.ratio:.2f} times as long as"
        if self.interval:
            times = f"{self.ratio:.2f} ({self.interval[0]:.2f} to {self.interval[1]:.2f}) times as long as"
        begin = f"{self.b.level} takes {times} {self.a.level}, {self.difference * 1e3:+.2f} ms a step"
        causes = [*self._other_way(), *self._more_calls(), *self._dearest()]
        if not self.decided:
            causes = ["no difference that the interval could tell from none"]
        return f"{begin}: {'; '.join(causes)}." if causes else f"{begin}."

    def _other_way(self) -> list[str]:
        here, there = ([way for way in one.ways if way not in other.ways] for one, other in
                       ((self.b, self.a), (self.a, self.b)))  # fmt: skip
        if here and there:
            return [f"{' and '.join(here)} in place of {' and '.join(there)}"]
        if here or there:
            return [f"with {' and '.join(here)}" if here else f"without {' and '.join(there)}"]
        return []

    def _more_calls(self) -> list[str]:
        a, b = (sum(one.merged.values()) for one in (self.a, self.b))
        if abs(b - a) < 0.1 * max(a, b):
            return []
        against = "" if (b > a) == (self.difference > 0) else "in spite of "
        return [f"{against}{abs(b - a):,.0f} {'more' if b > a else 'fewer'} operator calls ({a:,.0f} to {b:,.0f})"]

    def _dearest(self) -> list[str]:
        """The operators that most of the difference lies in, in its own direction."""
        along = [
            row for row in self.by_operator()
            if row.difference * self.difference > 0 and abs(row.difference) >= NAMED * abs(self.difference)
        ][:MOST_NAMED]  # fmt: skip
        if not along:
            return []
        return [
            "most of it in " + ", ".join(f"{short(row.operator)} ({row.difference * 1e3:+.2f} ms)" for row in along)
        ]


def short(operator: str) -> str:
    """An operator's name as tables show it."""
    if operator == NOWHERE:
        return "between operators"
    engine = operator.startswith(ENGINE)
    name = operator.removeprefix(ENGINE).removeprefix("aten::").removeprefix("torch::autograd::")
    return f"{name} (engine)" if engine else name


def explanations(
    measured: Sequence[Measured], profiles: Mapping[tuple[str, str], Sequence[Profiled]]
) -> list[Explanation]:
    """Of every block and mode that was timed and profiled, each level against the baseline."""
    found = []
    cost = event_cost(profiles)
    for one in measured:
        group = profiles.get((one.block.id, one.mode), ())
        baseline = [each for each in group if each.level == one.block.baseline.level]
        for variant in group if baseline else ():
            if variant is not baseline[0] and (explained := explain(one, baseline[0], variant, cost)):
                found.append(explained)
    return found


def largest(explained: Sequence[Explanation], most: int) -> list[Explanation]:
    """The largest of the differences that are decided, at most so many."""
    return sorted((one for one in explained if one.decided), key=lambda one: -abs(math.log(one.ratio)))[:most]


def explain(measured: Measured, a: Profiled, b: Profiled, cost: float) -> Explanation | None:
    """Explain the difference of two trials of a block in the mode that `measured` is of; None where one of them was
    not timed."""
    block, baseline = measured.block, measured.block.baseline.level
    logs = measured.aligned([a.level, b.level])
    values = [float(value) for value in logs[b.level] - logs[a.level]]
    phases = {level: timed_phases(measured, level) for level in (a.level, b.level)}
    if not values or not all(phases.values()):
        return None
    first = (measured.typical(baseline) or 0.0) * math.exp(float(logs[a.level].mean()))
    seconds = first, first * math.exp(float(np.mean(values)))
    estimate = stats.estimate(values)
    confidence = 1 - alpha_of(measured.settings)
    interval = None
    if math.isfinite(estimate.error):
        low, high = estimate.interval(confidence)
        interval = math.exp(low), math.exp(high)
    shared = [
        shared_out(one, scaled(phases[one.level], whole), cost)
        for one, whole in zip((a, b), seconds, strict=True)
    ]  # fmt: skip
    rows = aligned(shared[0], shared[1], a, b)
    return Explanation(
        block=block,
        mode=measured.mode,
        a=a,
        b=b,
        seconds=seconds,
        interval=interval,
        confidence=confidence,
        processes=len(values),
        rows=tuple(sorted(rows, key=lambda row: -abs(row.difference))),
        cost=cost,
    )


def aligned(first: Seconds, second: Seconds, a: Profiled, b: Profiled) -> list[Row]:
    """A row for each operator and phase of either. A node of the graph and the engine's work on it are one row."""
    rows: dict[tuple[str, str], Row] = {}
    for phase, name in dict.fromkeys([*first, *second]):
        key = phase, name.removeprefix(ENGINE)
        so_far = rows.get(key, Row(*key, (0.0, 0.0), (0.0, 0.0)))
        rows[key] = Row(
            *key,
            (so_far.seconds[0] + first.get((phase, name), 0.0), so_far.seconds[1] + second.get((phase, name), 0.0)),
            (a.merged.get(key, 0.0), b.merged.get(key, 0.0)),
        )
    return list(rows.values())


def timed_phases(measured: Measured, level: str) -> dict[str, float]:
    """Seconds a step of each phase, in wall time."""
    names = dict.fromkeys(name for _, samples in measured.pairs(level, "variant") for name in samples.phases)
    typical = {name: measured.typical(level, _phase(name)) for name in names}
    return {name: seconds for name, seconds in typical.items() if seconds is not None}


def _phase(name: str) -> View:
    return lambda samples: samples.phases.get(name)


def scaled(phases: Mapping[str, float], whole: float) -> dict[str, float]:
    """The phases in the same proportions, with this sum."""
    total = sum(phases.values())
    return {phase: seconds * whole / total for phase, seconds in phases.items()}


def shared_out(one: Profiled, phases: Mapping[str, float], cost: float) -> dict[tuple[str, str], float]:
    """The clock's time of each phase, shared out over operators as the profile has it. Sums to the clock's time."""
    if one.device == "cuda":
        rows = {key: seconds for key, seconds in one.on_device.items() if seconds}
        for phase, seconds in phases.items():
            busy = sum(time for (where, _), time in rows.items() if where == phase)
            rows[phase, NOWHERE] = seconds - busy
        return rows
    seen = one.seconds(cost)
    rows = {}
    for phase, seconds in phases.items():
        here = {key: time for key, time in seen.items() if key[0] == phase}
        total = sum(here.values())
        if total <= 0:
            rows[phase, NOWHERE] = seconds
        for key, time in here.items() if total > 0 else ():
            rows[key] = seconds * time / total
    return rows
