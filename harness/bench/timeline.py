"""Operators, kernels and marks on a profiler's time line, added up by phase. Nothing here knows torch's own objects."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

#: Before the name of a phase in the name of the event that says it ends there.
MARK = "harness ends "


@dataclass(frozen=True)
class Event:
    """Something that took place, in nanoseconds. A kernel runs on a device, and `launched_by` is the `id` of the
    operator that launched it."""

    name: str
    start: int
    end: int
    thread: int = 0
    kind: Literal["operator", "kernel"] = "operator"
    id: int = 0
    launched_by: int = 0


@dataclass
class Row:
    """An operator in one phase. Nanoseconds: `own` is its time less that of the operators it calls, `device` that of
    the kernels it launches. `called` counts the operators it calls directly, `leaves` its calls that call none."""

    calls: float = 0
    leaves: float = 0
    called: float = 0
    own: float = 0
    kernels: float = 0
    device: float = 0


@dataclass
class Phase:
    """What lies between two marks: nanoseconds, those of them in no operator, and how many operators nothing calls."""

    wall: float = 0
    between: float = 0
    outermost: float = 0


@dataclass
class Summary:
    """One or several steps, by (phase, operator); `kernels` has calls and nanoseconds by (phase, kernel)."""

    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    phases: dict[str, Phase] = field(default_factory=dict)
    kernels: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    @property
    def events(self) -> float:
        """How many operators there were."""
        return sum(row.calls for row in self.rows.values())

    def columns(self) -> dict[str, Any]:
        """The same as plain JSON values, a list a column."""
        return {
            "operators": _columns(("phase", "name"), self.rows, Row),
            "phases": _columns(("phase",), {(name,): phase for name, phase in self.phases.items()}, Phase),
            "kernels": {
                "phase": [phase for phase, _ in self.kernels],
                "name": [name for _, name in self.kernels],
                "calls": [calls for calls, _ in self.kernels.values()],
                "device": [device for _, device in self.kernels.values()],
            },
        }


def _columns(keys: Sequence[str], rows: Mapping[Any, Any], of: type[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {key: [place[index] for place in rows] for index, key in enumerate(keys)}
    for name in vars(of()):
        found[name] = [_short(getattr(row, name)) for row in rows.values()]
    return found


def _short(value: float) -> float:
    return int(value) if value == int(value) else round(value, 1)


def summary_of(events: Iterable[Event]) -> Summary:
    """One step: what lies before its first mark and after its last is left out, and an operator belongs to the phase
    that it begins in."""
    found = Summary()
    listed = list(events)
    marks = sorted((e for e in listed if e.name.startswith(MARK)), key=lambda e: e.start)
    ends = [mark.start for mark in marks]
    names = [mark.name.removeprefix(MARK) for mark in marks]
    for before, mark, name in zip(marks, marks[1:], names[1:], strict=False):
        found.phases.setdefault(name, Phase()).wall += mark.start - before.end

    def phase_at(time: int) -> str:
        place = bisect_left(ends, time)
        return names[place] if 0 < place < len(names) else ""

    operators = [e for e in listed if e.kind == "operator" and not e.name.startswith(MARK) and phase_at(e.start)]
    outermost: list[Event] = []
    by_id: dict[int, tuple[str, str]] = {}
    for thread in {e.thread for e in operators}:
        stack: list[tuple[Event, Row, list[int]]] = []
        for event in sorted((e for e in operators if e.thread == thread), key=lambda e: (e.start, -e.end, e.id)):
            while stack and stack[-1][0].end <= event.start:
                _leave(*stack.pop())
            key = phase_at(event.start), event.name
            row = found.rows.setdefault(key, Row())
            row.calls += 1
            row.own += event.end - event.start
            by_id[event.id] = key
            if stack:
                _, caller, called = stack[-1]
                caller.own -= event.end - event.start
                called[0] += 1
            else:
                outermost.append(event)
            stack.append((event, row, [0]))
        while stack:
            _leave(*stack.pop())
    for name, covered, count in _covered(outermost, phase_at):
        found.phases[name].between -= covered
        found.phases[name].outermost += count
    for phase in found.phases.values():
        phase.between += phase.wall
    for event in listed:
        if event.kind == "kernel" and event.launched_by in by_id:
            key = by_id[event.launched_by]
            row = found.rows[key]
            row.kernels += 1
            row.device += event.end - event.start
            totals = found.kernels.setdefault((key[0], event.name), [0, 0])
            totals[0] += 1
            totals[1] += event.end - event.start
    return found


def _leave(event: Event, row: Row, called: list[int]) -> None:
    row.called += called[0]
    row.leaves += not called[0]


def _covered(outermost: list[Event], phase_at: Any) -> Iterable[tuple[str, int, int]]:
    """The time that these operators of any thread cover together, piece by piece, by the phase they begin in."""
    reached = 0
    for event in sorted(outermost, key=lambda e: e.start):
        yield phase_at(event.start), max(0, event.end - max(event.start, reached)), 1
        reached = max(reached, event.end)


def typical(passes: Sequence[Sequence[Summary]]) -> Summary:
    """Several passes over the same batches as one: of each number of each batch the median over passes, summed over
    batches. An interruption of one step is then not taken for a slow operator."""
    whole = Summary()
    for same_batch in zip(*passes, strict=True):
        for key in dict.fromkeys(key for one in same_batch for key in one.rows):
            _add(whole.rows.setdefault(key, Row()), [one.rows.get(key, Row()) for one in same_batch])
        for name in dict.fromkeys(name for one in same_batch for name in one.phases):
            _add(whole.phases.setdefault(name, Phase()), [one.phases.get(name, Phase()) for one in same_batch])
        for key in dict.fromkeys(key for one in same_batch for key in one.kernels):
            totals = whole.kernels.setdefault(key, [0, 0])
            for index in range(2):
                totals[index] += median(one.kernels.get(key, [0, 0])[index] for one in same_batch)
    return whole


def _add(total: Row | Phase, same: Sequence[Row | Phase]) -> None:
    for name in vars(total):
        setattr(total, name, getattr(total, name) + median(getattr(one, name) for one in same))
