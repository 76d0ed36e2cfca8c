"""Takes samples: one step on one batch, all members interleaved, with a mark at the end of each phase.

Nothing here uses torch. A member is any object with a step, and the clock is an argument, so tests can check the
arithmetic with a fake member on a fake clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from resource import RUSAGE_THREAD, getrusage
from time import perf_counter_ns, thread_time_ns
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.measure.runtime.member import BuiltMember


@dataclass(frozen=True)
class Clock:
    """Wall and CPU time of this thread in nanoseconds, and how often it was preempted.

    On a device with a queue of its own, `events` creates events as torch.cuda.Event has them (``record()``, then
    ``elapsed_time(later)`` in milliseconds), and `wait` blocks until the queue is empty. The functions are bound before
    any plugin is imported, so that no plugin can replace them."""

    wall: Callable[[], int] = perf_counter_ns
    cpu: Callable[[], int] = thread_time_ns
    switches: Callable[[], int] = lambda: getrusage(RUSAGE_THREAD).ru_nivcsw
    wait: Callable[[], None] | None = None
    events: Callable[[], Any] | None = None


@dataclass
class SampleBuffer:
    """The samples of one member, one list for each column. Times are nanoseconds of `repeats` steps."""

    repeats: int = 1
    wall: list[int] = field(default_factory=list)
    cpu: list[int] = field(default_factory=list)
    switches: list[int] = field(default_factory=list)
    batch: list[int] = field(default_factory=list)
    round: list[int] = field(default_factory=list)
    position: list[int] = field(default_factory=list)
    phases: dict[str, list[int]] = field(default_factory=dict)

    def columns(self) -> dict[str, Any]:
        """The samples as plain JSON values."""
        return dict(vars(self))


class Marker:
    """Reads the clock at the end of each phase. The phases of a sample sum exactly to its wall time."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.wall
        self.phases: dict[str, int] = {}
        self.name = "step"
        self.last = 0

    def start(self) -> None:
        """The first phase begins."""
        self.phases, self.name = {}, "step"
        self.last = self._now()

    def __call__(self, phase: str) -> None:
        """`phase` ends, and the next begins."""
        now = self._now()
        self.phases[phase] = self.phases.get(phase, 0) + now - self.last
        self.name, self.last = phase, now

    def stop(self) -> int:
        """Add the time since the last mark to the last phase. Returns the total."""
        self(self.name)
        return sum(self.phases.values())


class EventMarker:
    """A `Marker` for a device: a mark is an event in its queue, so marking does not synchronize; the end of a sample
    does.

    The device is idle when a sample begins, so the time between the first and the last event is the duration of the
    step, including the time in which the device waited for the host.
    """

    def __init__(self, clock: Clock) -> None:
        assert clock.events is not None
        self._event, self._wait = clock.events, clock.wait or (lambda: None)
        self.phases: dict[str, int] = {}
        self.names: list[str] = []
        self.marks: list[Any] = []

    def start(self) -> None:
        """The first phase begins."""
        self._wait()
        self._mark()

    def __call__(self, phase: str) -> None:
        """`phase` ends, and the next begins."""
        self.names.append(phase)
        self._mark()

    def _mark(self) -> None:
        event = self._event()
        event.record()
        self.marks.append(event)

    def stop(self) -> int:
        """Add what was queued since the last mark to the last phase, and synchronize. Returns the total."""
        self(self.names[-1] if self.names else "step")
        self._wait()
        for name, begin, end in zip(self.names, self.marks, self.marks[1:], strict=False):
            self.phases[name] = self.phases.get(name, 0) + round(begin.elapsed_time(end) * 1e6)
        return sum(self.phases.values())


def take(member: BuiltMember, batch: int, buffer: SampleBuffer, clock: Clock, *, round_: int, position: int) -> None:
    """Take one sample and append it to the buffer."""
    member.before()
    marker = EventMarker(clock) if clock.events else Marker(clock)
    step, repeats = member.step, buffer.repeats
    switches = clock.switches()
    cpu = clock.cpu()
    marker.start()
    for _ in range(repeats):
        step(batch, marker)
    wall = marker.stop()
    cpu = clock.cpu() - cpu
    buffer.wall.append(wall)
    buffer.cpu.append(cpu)
    buffer.switches.append(clock.switches() - switches)
    buffer.batch.append(batch)
    buffer.round.append(round_)
    buffer.position.append(position)
    for phase in {**buffer.phases, **marker.phases}:  # a sample without a phase spent no time in it
        column = buffer.phases.setdefault(phase, [0] * (len(buffer.wall) - 1))
        column.append(marker.phases.get(phase, 0))


def run_rounds(
    members: Sequence[BuiltMember],
    buffers: Sequence[SampleBuffer],
    batches: int,
    rounds: range,
    clock: Clock,
    random: Random,
) -> None:
    """In round r every member takes a step on batch r mod `batches`, in balanced random order. The state of each member
    is restored before each pass over the work set, outside the timed region."""
    orders = balanced_orders(len(members), random)
    for round_ in rounds:
        batch = round_ % batches
        if batch == 0:
            for member in members:
                member.restore()
        for position, index in enumerate(next(orders)):
            take(members[index], batch, buffers[index], clock, round_=round_, position=position)


def balanced_orders(members: int, random: Random) -> Iterator[list[int]]:
    """Endless random orders in which each member has each position equally often: shuffled Latin squares."""
    while True:
        names = random.sample(range(members), members)
        shifts = random.sample(range(members), members)
        for shift in shifts:
            yield [names[(position + shift) % members] for position in range(members)]
