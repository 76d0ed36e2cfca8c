"""The clock, tested with a fake clock that is exact to the nanosecond."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import numpy as np
from made import block, record

from harness.analysis.timing import Measured
from harness.measure.runtime.clock import Clock, SampleBuffer, balanced_orders, run_rounds, take
from harness.records.settings import Speed


class FakeTime:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0

    def clock(self) -> Clock:
        return Clock(wall=lambda: self.now, cpu=lambda: self.now, process=lambda: 2 * self.now, switches=lambda: 0)


class Steps:
    """Takes the steps of a sample one by one, as members do."""

    def run(self, batch, repeats, mark) -> None:
        for _ in range(repeats):
            self.step(batch, mark)

    def after(self, batch) -> None:
        pass


class FakeMember(Steps):
    """Takes a time that depends on its batch: the number of padded slots of a batch of lengths."""

    def __init__(self, time: FakeTime, batches: list[list[int]], log: list[tuple[str, int]] | None = None) -> None:
        self.time, self.batches, self.log = time, batches, log if log is not None else []
        self.restored = 0

    def before(self, batch, repeats=1) -> None:
        self.time.now += 10**9  # work outside the step must not be timed

    def restore(self) -> None:
        self.restored += 1
        self.time.now += 10**9

    def step(self, batch: int, mark) -> None:
        self.log.append((self, batch))
        slots = max(self.batches[batch]) * len(self.batches[batch])
        self.time.now += 100 * len(self.batches[batch])
        mark("collate")
        self.time.now += 1000 * slots
        mark("forward")


def measure(variants: dict[str, list[list[int]]], passes: int = 5, repeats: int = 1):
    time, log = FakeTime(), []
    members = [FakeMember(time, variant, log) for variant in variants.values()]
    buffers = [SampleBuffer(repeats=repeats) for _ in variants]
    batches = len(next(iter(variants.values())))
    run_rounds(members, buffers, batches, range(passes * batches), time.clock(), Random(0))
    return members, dict(zip(variants, buffers, strict=True)), log


class FakeDevice:
    """Processes its queue asynchronously: the host continues, and an event reads the device's clock when it is reached."""

    def __init__(self) -> None:
        self.host = self.free_at = self.waits = 0

    def queue(self, nanoseconds: int) -> None:
        self.host += 10  # launching takes time of the host
        self.free_at = max(self.free_at, self.host) + nanoseconds

    def wait(self) -> None:
        self.waits += 1
        self.host = max(self.host, self.free_at)

    def event(self):
        device = self

        class Event:
            def record(self) -> None:
                self.at = max(device.free_at, device.host)

            def elapsed_time(self, later) -> float:
                return (later.at - self.at) * 1e-6

        return Event()


def test_events_mark_phases_without_synchronizing_the_device():
    device = FakeDevice()

    class Member(Steps):
        def before(self, batch, repeats=1) -> None: ...

        def restore(self) -> None: ...

        def step(self, batch: int, mark) -> None:
            device.host += 500  # while the host prepares the batch, the device is idle
            mark("collate")
            device.queue(3000)
            device.queue(1000)
            mark("forward")
            device.queue(7000)
            mark("backward")

    buffer = SampleBuffer(repeats=2)
    clock = Clock(
        wall=lambda: device.host, cpu=lambda: device.host, switches=lambda: 0, wait=device.wait, events=device.event
    )
    for round_ in range(3):
        take(Member(), 0, buffer, clock, round_=round_, position=0)
        assert device.waits == 2 * (round_ + 1)  # once before and once after the steps, never between
    for phases in zip(*buffer.phases.values(), strict=True):
        assert dict(zip(buffer.phases, phases, strict=True)) == {"collate": 500, "forward": 8010, "backward": 14000}
    assert buffer.wall == [500 + 8010 + 14000] * 3


def test_the_estimate_is_the_ratio_of_sums():
    """Time as a function of length, batches cut two variants: the estimate is the ratio of the sums."""
    random = Random(1)
    for spread in (0.2, 1.0, 2.0):
        lengths = [max(1, round(random.lognormvariate(3, spread))) for _ in range(256)]
        padded = [lengths[at : at + 32] for at in range(0, 256, 32)]
        rising = sorted(lengths)
        bucketed = random.sample([rising[at : at + 32] for at in range(0, 256, 32)], 8)
        _, buffers, _ = measure({"padded": padded, "bucketed": bucketed}, repeats=3)
        this = block("padded", "bucketed", speed=Speed())
        records = [
            record(this, level, 0, buffer.wall, batch=buffer.batch, repeats=3) for level, buffer in buffers.items()
        ]
        (value,) = Measured(this, records, "train").log_ratios("bucketed", "variant")
        times = {
            level: sum(100 * len(batch) + 1000 * max(batch) * len(batch) for batch in variant)
            for level, variant in (("padded", padded), ("bucketed", bucketed))
        }
        assert abs(math.exp(value) - times["bucketed"] / times["padded"]) < 1e-9


def test_every_round_runs_each_member_once_on_its_batch():
    variants = {name: [[1], [2], [3]] for name in "abc"}
    members, buffers, log = measure(variants, passes=2)
    for number in range(6):
        ran = log[number * 3 : number * 3 + 3]
        assert {member for member, _ in ran} == set(members)
        assert {batch for _, batch in ran} == {number % 3}
    assert all(buffer.batch == [0, 1, 2, 0, 1, 2] for buffer in buffers.values())
    assert all(buffer.round == list(range(6)) for buffer in buffers.values())
    assert [member.restored for member in members] == [2, 2, 2]


def test_phases_sum_to_the_step_and_nothing_else_is_timed():
    _, buffers, _ = measure({"a": [[5, 3], [1, 1]], "b": [[5, 3], [1, 1]]}, repeats=4)
    for buffer in buffers.values():
        assert buffer.wall == [4 * (200 + 10_000), 4 * (200 + 2000)] * 5
        assert buffer.phases == {"collate": [800] * 10, "forward": [40_000, 8000] * 5}


def test_a_step_without_marks_is_one_phase():
    time = FakeTime()

    class Plain(FakeMember):
        def step(self, batch: int, mark) -> None:
            self.time.now += 5

    buffer = SampleBuffer()
    run_rounds([Plain(time, [[1]])], [buffer], 1, range(2), time.clock(), Random(0))
    assert buffer.phases == {"step": [5, 5]}


def test_a_phase_that_appears_late_is_zero_before():
    time = FakeTime()

    class Late(FakeMember):
        def step(self, batch: int, mark) -> None:
            self.time.now += 1
            mark("forward")
            if batch:
                self.time.now += 2
                mark("extra")

    buffer = SampleBuffer()
    run_rounds([Late(time, [[1], [1]])], [buffer], 2, range(4), time.clock(), Random(0))
    assert buffer.phases == {"forward": [1, 1, 1, 1], "extra": [0, 2, 0, 2]}
    assert np.array_equal(np.sum(list(buffer.phases.values()), axis=0), buffer.wall)


def test_orders_are_balanced():
    orders = balanced_orders(5, Random(0))
    drawn = [next(orders) for _ in range(50)]
    assert all(sorted(order) == list(range(5)) for order in drawn)
    for position in range(5):
        assert set(Counter(order[position] for order in drawn).values()) == {10}
    assert len({tuple(order) for order in drawn}) > 20
