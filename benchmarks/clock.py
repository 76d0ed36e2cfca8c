"""The cost of the harness's clock.

The clock takes samples of a step, interleaved with a plain loop around the same step.

    python benchmarks/clock.py
"""

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

ROUNDS, REPETITIONS, LIMIT = 100, 10, 1.01


def one_ratio(member: BuiltMember, batches: int) -> tuple[float, float]:
    """Two log ratios to the step of the plain loop: of the time that a sample reports, and of the whole time that the
    clock takes for it."""
    clock, buffer, whole, plain = Clock(), SampleBuffer(), [], []
    for round_ in range(ROUNDS):
        batch = round_ % batches
        for with_clock in (True, False) if (round_ // batches) % 2 else (False, True):
            if with_clock:
                begun = time.perf_counter_ns()
                take(member, batch, buffer, clock, round_=round_, position=0)
                whole.append(time.perf_counter_ns() - begun)
            else:
                begun = time.perf_counter_ns()
                member.step(batch, no_mark)
                plain.append(time.perf_counter_ns() - begun)
    samples, takes, steps = (np.array(times, dtype=float) for times in (buffer.wall, whole, plain))
    numbers = np.array(buffer.batch)
    return stats.log_ratio(steps, samples, numbers), stats.log_ratio(steps, takes, numbers)


def main() -> int:
    """Print the ratios. The exit code is 1 if the limit is exceeded."""
    warm(gpus=0)
    builder, random = TrialBuilder(Catalog(load_plugins([SPECIMEN]))), Random(0)
    settings, members = Speed(batches=4), [("base", "variant")]
    task = Task(specimen_block(), "train", builder, Watchdog(60.0), settings, members=members)
    with undisturbed(random):
        (member,) = task.build_members(random)
        one_ratio(member, settings.batches)
        pairs = [one_ratio(member, settings.batches) for _ in range(REPETITIONS)]
        task.watchdog.stop_alarm()
    names = (f"reported time of a sample (limit: {LIMIT})", "whole time of taking a sample")
    for values, name in zip(zip(*pairs, strict=True), names, strict=True):
        found = stats.estimate(values)
        low, high = np.exp(found.interval())
        print(f"{name}: {np.exp(found.mean):.4f} [{low:.4f}, {high:.4f}] times the step of a plain loop")
    return int(stats.estimate([sample for sample, _ in pairs]).mean > np.log(LIMIT))


if __name__ == "__main__":
    sys.exit(main())
