"""Operators, kernels and marks on a profiler's time line, added up by phase. Nothing here knows torch's own objects."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal, NamedTuple

#: Before the name of a phase in the name of the event that says it ends there.
MARK = "harness ends "


class Event(NamedTuple):
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


Placed = tuple[str, Event]


@dataclass
class Open:
    """An operator that has not ended yet, and whether it has called another."""

    end: int
    row: Row
    called: bool = False

    def calls(self, event: Event) -> None:
        """It calls another operator, whose time is not its own."""
        self.row.own -= event.end - event.start
        self.row.called += 1
        if not self.called:
            self.called = True
            self.row.leaves -= 1


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

    by_thread: dict[int, list[Placed]] = {}
    for event in listed:
        if event.kind == "operator" and not event.name.startswith(MARK) and (phase := phase_at(event.start)):
            by_thread.setdefault(event.thread, []).append((phase, event))
    outermost: list[Placed] = []
    by_id: dict[int, tuple[str, str]] = {}
    for there in by_thread.values():
        open_: list[Open] = []
        for phase, event in sorted(there, key=lambda placed: (placed[1].start, -placed[1].end, placed[1].id)):
            while open_ and open_[-1].end <= event.start:
                open_.pop()
            key = by_id[event.id] = phase, event.name
            row = found.rows.setdefault(key, Row())
            row.calls += 1
            row.leaves += 1  # until it calls one
            row.own += event.end - event.start
            if open_:
                open_[-1].calls(event)
            else:
                outermost.append((phase, event))
            open_.append(Open(event.end, row))
    reached = 0
    for phase, event in sorted(outermost, key=lambda placed: placed[1].start):
        # What operators of several threads cover together is counted once.
        found.phases[phase].between -= max(0, event.end - max(event.start, reached))
        found.phases[phase].outermost += 1
        reached = max(reached, event.end)
    for each in found.phases.values():
        each.between += each.wall
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
