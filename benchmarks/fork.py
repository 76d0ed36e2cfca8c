"""The time from a fork to a built model: the cost of one more process before its warm-up.

    python benchmarks/fork.py

The parent has imported torch and loaded the data, as the fork server of a run has.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np

from harness.measure.runtime.builder import TrialBuilder
from harness.measure.runtime.warm import warm
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.suite.loader import parse_suite
from harness.suite.yaml_source import read_text

SUITE = """
question: How long does a new process take?
base:
  model: {name: lstm, hidden_size: 128}
  dataset: {name: reviews, batch_size: 32}
  use: [adam]
axes: {what: {base: {}, same: {}}}
compare: {axis: what, baseline: base}
measure: {speed: {}}
"""
#: The number of forks, and the limit in milliseconds.
FORKS, LIMIT = 50, 100.0


def main() -> int:
    """Print the milliseconds. The exit code is 1 if the limit is exceeded."""
    warm(gpus=0)
    catalog = Catalog(load_plugins())
    plan = make_plan(parse_suite(read_text(SUITE, "fork"), "fork", SUITE, catalog), catalog)
    trial = plan.blocks[0].baseline
    builder = TrialBuilder(catalog)
    builder.data(trial.dataset)
    builder.recipe(trial)
    found = []
    for _ in range(FORKS):
        reading, writing = os.pipe()
        begun = time.perf_counter_ns()
        if os.fork() == 0:
            builder.build(trial)
            os.write(writing, str(time.perf_counter_ns() - begun).encode())
            os._exit(0)
        found.append(int(os.read(reading, 64)) * 1e-6)
        os.wait()
        os.close(reading)
        os.close(writing)
    low, middle, high = np.quantile(found, [0.1, 0.5, 0.9])
    print(f"fork to built model: {middle:.0f} ms (10 % to 90 %: {low:.0f} to {high:.0f} ms; limit: {LIMIT:.0f} ms)")
    return int(middle > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
