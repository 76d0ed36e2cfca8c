"""What our clock costs: samples of a step taken by it, against a bare loop around the same step, interleaved."""

from __future__ import annotations

import sys
import time
from random import Random

import numpy as np

from harness.analysis import stats
from harness.measure.runtime.builder import TrialBuilder, no_mark
from harness.measure.runtime.clock import Clock, SampleBuffer, take
from harness.measure.runtime.member import BuiltMember, undisturbed
from harness.measure.runtime.task import Task
from harness.measure.runtime.warm import warm
from harness.measure.runtime.watchdog import Watchdog
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.records.settings import Speed
from harness.tools.selftest.live import SPECIMEN, specimen_block

ROUNDS, REPETITIONS = 100, 10


def one_ratio(member: BuiltMember, batches: int) -> tuple[float, float]:
    """The log ratios to a bare loop's steps, interleaved: of the samples that our clock reports, and of all it does."""
    clock, buffer, whole, bare = Clock(), SampleBuffer(), [], []
    for round_ in range(ROUNDS):
        batch = round_ % batches
        for ours in (True, False) if (round_ // batches) % 2 else (False, True):
            if ours:
                begun = time.perf_counter_ns()
                take(member, batch, buffer, clock, round_=round_, position=0)
                whole.append(time.perf_counter_ns() - begun)
            else:
                begun = time.perf_counter_ns()
                member.step(batch, no_mark)
                bare.append(time.perf_counter_ns() - begun)
    samples, around, steps = (np.array(times, dtype=float) for times in (buffer.wall, whole, bare))
    numbers = np.array(buffer.batch)
    return stats.log_ratio(steps, samples, numbers), stats.log_ratio(steps, around, numbers)


def main() -> int:
    """Print the ratio; the exit code is 1 where the bar is missed."""
    warm(gpus=0)
    builder, random = TrialBuilder(Catalog(load_plugins([SPECIMEN]))), Random(0)
    settings, members = Speed(batches=4), [("base", "variant")]
    task = Task(specimen_block(), "train", builder, Watchdog(60.0), settings, members=members)
    with undisturbed(random):
        (member,) = task.build_members(random)
        one_ratio(member, settings.batches)
        pairs = [one_ratio(member, settings.batches) for _ in range(REPETITIONS)]
        task.watchdog.stop_alarm()
    for values, words in zip(
        zip(*pairs, strict=True), ("a sample, as reported (bar: 1.01)", "with all that is done around it"), strict=True
    ):
        found = stats.estimate(values)
        low, high = np.exp(found.interval())
        print(f"{words}: {np.exp(found.mean):.4f} [{low:.4f}, {high:.4f}] of a bare loop's step")
    return int(stats.estimate([sample for sample, _ in pairs]).mean > np.log(1.01))


if __name__ == "__main__":
    sys.exit(main())
