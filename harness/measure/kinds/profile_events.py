"""Sums up the operators and kernels on a profiler's timeline by phase. Nothing here uses objects of torch."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal, NamedTuple

from harness.measure.runtime.member import MARK


class Event(NamedTuple):
    """An operator, a mark or a kernel, with times in nanoseconds. A kernel runs on a device, and `launched_by` is the
    `id` of the operator that launched it."""

    name: str
    start: int
    end: int
    thread: int = 0
    kind: Literal["operator", "kernel"] = "operator"
    id: int = 0
    launched_by: int = 0


@dataclass
class Operator:
    """An operator in one phase. `own` is its self time, without the operators that it calls, and `device` the time of
    its kernels, both in nanoseconds. `called` counts the operators that it calls directly, and `leaves` its calls that
    call no other operator."""

    calls: float = 0
    leaves: float = 0
    called: float = 0
    own: float = 0
    kernels: float = 0
    device: float = 0


@dataclass
class Phase:
    """The time between two marks, the time in it outside any operator, both in nanoseconds, and the number of outermost
    operators."""

    wall: float = 0
    between: float = 0
    outermost: float = 0


@dataclass
class Kernel:
    """A kernel in one phase: how often it was launched, and its nanoseconds."""

    calls: float = 0
    device: float = 0


@dataclass
class StepProfile:
    """One or several steps: `operators` by (phase, operator) and `kernels` by (phase, kernel)."""

    operators: dict[tuple[str, str], Operator] = field(default_factory=dict)
    phases: dict[str, Phase] = field(default_factory=dict)
    kernels: dict[tuple[str, str], Kernel] = field(default_factory=dict)

    @property
    def events(self) -> float:
        """The number of operators."""
        return sum(row.calls for row in self.operators.values())

    def columns(self) -> dict[str, Any]:
        """The profile as JSON values, one list for each column."""
        return {
            "operators": _columns(("phase", "name"), self.operators, Operator),
            "phases": _columns(("phase",), {(name,): phase for name, phase in self.phases.items()}, Phase),
            "kernels": _columns(("phase", "name"), self.kernels, Kernel),
        }


def _columns(keys: Sequence[str], rows: Mapping[Any, Any], of: type[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {key: [place[index] for place in rows] for index, key in enumerate(keys)}
    for name in vars(of()):
        found[name] = [_short(getattr(row, name)) for row in rows.values()]
    return found


def _short(value: float) -> float:
    return int(value) if value == int(value) else round(value, 1)


@dataclass
class OpenOperator:
    """A call of an operator that has not ended yet, and whether it has called another operator."""

    end: int
    operator: Operator
    called: bool = False

    def calls(self, event: Event) -> None:
        """Record that it calls another operator, whose time is not part of its self time."""
        self.operator.own -= event.end - event.start
        self.operator.called += 1
        if not self.called:
            self.called = True
            self.operator.leaves -= 1


def profile_of_step(events: Iterable[Event]) -> StepProfile:
    """The profile of one step. Events before its first mark and after its last are left out. An operator belongs to the
    phase in which it begins."""
    found = StepProfile()
    listed = list(events)
    marks = sorted((e for e in listed if e.name.startswith(MARK)), key=lambda e: e.start)
    ends = [mark.start for mark in marks]
    names = [mark.name.removeprefix(MARK) for mark in marks]
    for before, mark, name in zip(marks, marks[1:], names[1:], strict=False):
        found.phases.setdefault(name, Phase()).wall += mark.start - before.end

    def phase_at(time: int) -> str:
        place = bisect_left(ends, time)
        return names[place] if 0 < place < len(names) else ""

    by_thread: dict[int, list[tuple[str, Event]]] = {}
    for event in listed:
        if event.kind == "operator" and not event.name.startswith(MARK) and (phase := phase_at(event.start)):
            by_thread.setdefault(event.thread, []).append((phase, event))
    outermost: list[tuple[str, Event]] = []
    by_id: dict[int, tuple[str, str]] = {}
    for there in by_thread.values():
        stack: list[OpenOperator] = []
        for phase, event in sorted(there, key=lambda placed: (placed[1].start, -placed[1].end, placed[1].id)):
            while stack and stack[-1].end <= event.start:
                stack.pop()
            key = by_id[event.id] = phase, event.name
            operator = found.operators.setdefault(key, Operator())
            operator.calls += 1
            operator.leaves += 1  # until it calls one
            operator.own += event.end - event.start
            if stack:
                stack[-1].calls(event)
            else:
                outermost.append((phase, event))
            stack.append(OpenOperator(event.end, operator))
    reached = 0
    for phase, event in sorted(outermost, key=lambda placed: placed[1].start):
        # Time in which operators of several threads run at once counts once.
        found.phases[phase].between -= max(0, event.end - max(event.start, reached))
        found.phases[phase].outermost += 1
        reached = max(reached, event.end)
    for each in found.phases.values():
        each.between += each.wall
    for event in listed:
        if event.kind == "kernel" and event.launched_by in by_id:
            key = by_id[event.launched_by]
            operator = found.operators[key]
            operator.kernels += 1
            operator.device += event.end - event.start
            kernel = found.kernels.setdefault((key[0], event.name), Kernel())
            kernel.calls += 1
            kernel.device += event.end - event.start
    return found


def median_of_passes(passes: Sequence[Sequence[StepProfile]]) -> StepProfile:
    """For each number, the sum over batches of its median over passes, so that an interruption of one step does not
    look like a slow operator."""
    whole = StepProfile()
    for same_batch in zip(*passes, strict=True):
        _add_medians(whole.operators, [one.operators for one in same_batch], Operator)
        _add_medians(whole.phases, [one.phases for one in same_batch], Phase)
        _add_medians(whole.kernels, [one.kernels for one in same_batch], Kernel)
    return whole


def _add_medians(totals: dict[Any, Any], same: Sequence[Mapping[Any, Any]], kind: type[Any]) -> None:
    for key in dict.fromkeys(key for one in same for key in one):
        total, values = totals.setdefault(key, kind()), [one.get(key, kind()) for one in same]
        for name in vars(total):
            setattr(total, name, getattr(total, name) + median(getattr(value, name) for value in values))
