"""What our clock costs: samples of a step taken by it, against a bare loop around the same step, interleaved."""

from __future__ import annotations

import sys
import time
from random import Random

import numpy as np

from harness import stats
from harness.bench.assemble import Kitchen
from harness.bench.clock import Clock, Tape, take
from harness.bench.guard import Guard
from harness.bench.speed import LiveMember, build_members, undisturbed
from harness.bench.warm import warm
from harness.catalog import Catalog
from harness.plugins import load_plugins
from harness.records import Speed
from harness.selftest.live import SPECIMEN, specimen_block

ROUNDS, REPETITIONS = 100, 10


def one_ratio(member: LiveMember, batches: int) -> float:
    """The log ratio of our clock's samples to a bare loop's, over interleaved steps."""
    clock, tape, bare = Clock(), Tape(), []
    for round_ in range(ROUNDS):
        batch = round_ % batches
        for ours in (True, False) if round_ % 2 else (False, True):
            if ours:
                begun = time.perf_counter_ns()
                take(member, batch, tape, clock, round_=round_, position=0)
                tape.wall[-1] = time.perf_counter_ns() - begun  # with all that the clock does around the step
            else:
                begun = time.perf_counter_ns()
                member.step(batch, nothing)
                bare.append(time.perf_counter_ns() - begun)
    batch = np.array(tape.batch)
    return stats.log_ratio(np.array(bare, dtype=float), np.array(tape.wall, dtype=float), batch)


def nothing(phase: str) -> None:
    """A mark that marks nothing."""


def main() -> int:
    """Print the ratio; the exit code is 1 where the bar is missed."""
    warm()
    block, settings = specimen_block(), Speed(batches=4)
    kitchen, guard, random = Kitchen(Catalog(load_plugins([SPECIMEN]))), Guard(60.0), Random(0)
    with undisturbed(random):
        (member,) = build_members(block, [("base", "variant")], "train", settings, kitchen, guard, random)
        one_ratio(member, settings.batches)
        found = stats.estimate([one_ratio(member, settings.batches) for _ in range(REPETITIONS)])
        guard.rest()
    low, high = np.exp(found.interval())
    print(f"our clock / a bare loop: {np.exp(found.mean):.4f} [{low:.4f}, {high:.4f}] (bar: 1.01)")
    return int(np.exp(found.mean) > 1.01)


if __name__ == "__main__":
    sys.exit(main())
