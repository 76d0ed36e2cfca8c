"""The time to a verdict for one variant: to a 95 % interval of ±1 %, with the baseline and the control.

    python benchmarks/verdict.py

The time starts when the fork server is ready. In each process, each of the three is measured for 0.3 s instead of the
default 0.5 s, as a user would set it for a quick verdict.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

from harness.analysis.timing import Measured
from harness.measure.coordinator import measure_block
from harness.records.record import Record
from harness.tools.selftest.live import servers, specimen_block

LIMIT = 10.0


def main() -> int:
    """Print the seconds and the precision. The exit code is 1 if a limit is exceeded."""
    block = specimen_block().without({"slowed"})
    assert block.measures.speed is not None
    speed = block.measures.speed.changed(half_width=0.01, budget=60.0, batches=8, warm_up=0.15, seconds=0.3)
    block = replace(block, measures=block.measures.with_(speed=speed))
    records: list[Record] = []
    with servers() as running:
        running.get({})
        begun = time.perf_counter()
        measure_block(block, [], records.extend, running)
        seconds = time.perf_counter() - begun
    measured = Measured(block, records, "train")
    (estimate,) = measured.estimates().values()
    step = 1e3 * sum(s.wall.mean() for p in measured.processes for s in p.values()) / sum(map(len, measured.processes))
    print(
        f"{seconds:.1f} s to an interval of ±{estimate.half_width():.2%}, {estimate.k} processes, step {step:.1f} ms, "
        f"CPU share {measured.cpu_share:.2f} (limits: {LIMIT:.0f} s, ±1 %; valid if the CPU share is at least 0.9)"
    )
    return int(seconds > LIMIT or estimate.half_width() > 0.01)


if __name__ == "__main__":
    sys.exit(main())
