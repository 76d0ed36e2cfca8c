"""Time to a verdict: a variant, its baseline and the control, to a 95 % half-width of 1 %, with the server up.

With 0.3 s a member and process in place of the default 0.5: that is what one sets who is in a hurry.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

from harness.analysis.timing import Measured
from harness.measure.coordinator import measure_block
from harness.records.record import Record
from harness.tools.selftest.live import servers, specimen_block

BAR = 10.0


def main() -> int:
    """Print seconds and what they bought; the exit code is 1 where the bar is missed."""
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
        f"{seconds:.1f} s to ±{estimate.half_width():.2%} with {estimate.k} processes, step {step:.1f} ms, CPU share "
        f"{measured.cpu_share:.2f} (bar: {BAR:.0f} s at ±1 %, CPU share at least 0.9)"
    )
    return int(seconds > BAR or estimate.half_width() > 0.01)


if __name__ == "__main__":
    sys.exit(main())
