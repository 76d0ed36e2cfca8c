"""Takes samples. A sample is the time of one step on one batch, with a mark at the end of each phase. The members of a
block are interleaved.

Nothing here uses torch. A member is any object with a step, and the clock is an argument, so that tests can check the
arithmetic with a fake member and a fake clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from random import Random
from resource import RUSAGE_THREAD, getrusage
from time import perf_counter_ns, process_time_ns, thread_time_ns
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.measure.runtime.member import BuiltMember


@dataclass(frozen=True)
class Clock:
    """Functions that read the wall time and the CPU time of this thread and of this process in nanoseconds, and how
    often the thread was preempted.

    For a device with a queue, `events` creates events with the interface of torch.cuda.Event (``record()``, and
    ``elapsed_time(later)`` in milliseconds), and `wait` blocks until the queue is empty. The functions are bound before
    any plugin is imported, so that no plugin can replace them."""

    wall: Callable[[], int] = perf_counter_ns
    cpu: Callable[[], int] = thread_time_ns
    process: Callable[[], int] = process_time_ns
    switches: Callable[[], int] = lambda: getrusage(RUSAGE_THREAD).ru_nivcsw
    wait: Callable[[], None] | None = None
    events: Callable[[], Any] | None = None

    def event(self) -> Any:
        """A new event, recorded in the device's queue."""
        assert self.events is not None
        event = self.events()
        event.record()
        return event


@dataclass
class SampleBuffer:
    """The samples of one member, one list for each column. Times are nanoseconds of `repeats` steps."""

    repeats: int = 1
    wall: list[int] = field(default_factory=list)
    cpu: list[int] = field(default_factory=list)
    process: list[int] = field(default_factory=list)
    switches: list[int] = field(default_factory=list)
    batch: list[int] = field(default_factory=list)
    round: list[int] = field(default_factory=list)
    position: list[int] = field(default_factory=list)
    phases: dict[str, list[int]] = field(default_factory=dict)

    def columns(self) -> dict[str, Any]:
        """The samples as plain JSON values."""
        return dict(vars(self))


class Marker:
    """Reads the clock at the end of each phase. The phases of a sample sum to its time.

    On a device, a reading is an event in its queue, so that only the end of a sample synchronizes. The device is idle
    when a sample begins, so the time between the first and the last event includes the time in which the device waited
    for the host.
    """

    def __init__(self, clock: Clock) -> None:
        self._read = clock.event if clock.events else clock.wall
        self._wait = clock.wait or (lambda: None)
        self._phases: list[str] = []
        self._readings: list[Any] = []

    def start(self) -> None:
        """The first phase begins."""
        self._wait()
        self._readings.append(self._read())

    def __call__(self, phase: str) -> None:
        """`phase` ends, and the next begins."""
        self._readings.append(self._read())
        self._phases.append(phase)

    def stop(self) -> None:
        """The sample ends. The time since the last mark belongs to the last phase."""
        self(self._phases[-1] if self._phases else "step")
        self._wait()

    def phases(self) -> dict[str, int]:
        """The nanoseconds of each phase."""
        found = dict.fromkeys(self._phases, 0)
        for phase, (begin, end) in zip(self._phases, pairwise(self._readings), strict=True):
            found[phase] += end - begin if isinstance(end, int) else round(begin.elapsed_time(end) * 1e6)
        return found


def take(member: BuiltMember, batch: int, buffer: SampleBuffer, clock: Clock, *, round_: int, position: int) -> None:
    """Take one sample and append it to the buffer."""
    member.before(batch, buffer.repeats)
    marker = Marker(clock)
    run, repeats = member.run, buffer.repeats
    switches = clock.switches()
    process = clock.process()
    cpu = clock.cpu()
    marker.start()
    run(batch, repeats, marker)
    marker.stop()
    cpu = clock.cpu() - cpu
    process = clock.process() - process
    phases = marker.phases()
    buffer.wall.append(sum(phases.values()))
    buffer.cpu.append(cpu)
    buffer.process.append(process)
    buffer.switches.append(clock.switches() - switches)
    buffer.batch.append(batch)
    buffer.round.append(round_)
    buffer.position.append(position)
    for phase in {**buffer.phases, **phases}:  # a sample without a phase spent no time in it
        column = buffer.phases.setdefault(phase, [0] * (len(buffer.wall) - 1))
        column.append(phases.get(phase, 0))
    member.after(batch)


def run_rounds(
    members: Sequence[BuiltMember],
    buffers: Sequence[SampleBuffer],
    batches: int,
    rounds: range,
    clock: Clock,
    random: Random,
) -> None:
    """In round r, take a sample of every member on batch r mod `batches`, in balanced random order. The weights of each
    member are restored before each pass over the work set, outside the timed region; its counters run on.

    A part may refuse to run on, such as a schedule after its last step. If a step raises, the counters of the member
    are restored as well, and the sample is taken once more."""
    orders = balanced_orders(len(members), random)
    for round_ in rounds:
        batch = round_ % batches
        if batch == 0:
            for member in members:
                member.restore()
        for position, index in enumerate(next(orders)):
            sample = partial(take, members[index], batch, buffers[index], clock, round_=round_, position=position)
            try:
                sample()
            except Exception:
                if not members[index].restart():
                    raise
                sample()


def balanced_orders(members: int, random: Random) -> Iterator[list[int]]:
    """Endless random orders in which each member has each position equally often: shuffled Latin squares."""
    while True:
        names = random.sample(range(members), members)
        shifts = random.sample(range(members), members)
        for shift in shifts:
            yield [names[(position + shift) % members] for position in range(members)]
