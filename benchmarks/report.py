"""How the time of a report grows with the number of trials, and the size of the page for two thousand trials.

    python benchmarks/report.py

`tests/large_run.py` makes runs of 100 and of 400 blocks, with five levels and ten processes per block. Four times the
blocks should take four times as long. Code that reads all records for each block takes sixteen times as long.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from harness.analysis.findings import find
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.report.formats import html
from harness.report.report import report_of

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from large_run import plan_of_many, records_of_many

#: The largest allowed ratio of times for four times the blocks, and the largest page of 2,000 trials in bytes.
GROWTH, BYTES = 6.0, 5_000_000


def main() -> int:
    """Print the seconds, their ratio and the size of the page. The exit code is 1 if a limit is exceeded."""
    catalog, seconds = Catalog(load_plugins([])), {}
    for blocks in (100, 400):
        plan = plan_of_many(blocks, trained=blocks // 10)
        records = list(records_of_many(plan))
        begun = time.process_time()
        find(plan, records, catalog)
        seconds[blocks] = time.process_time() - begun
    ratio = seconds[400] / seconds[100]
    made = report_of(plan, records, catalog, {})
    begun = time.process_time()
    size = len(html.render(made).encode())
    page = time.process_time() - begun
    print(
        f"findings of 500 trials: {seconds[100]:.1f} s; of 2,000 trials: {seconds[400]:.1f} s, ratio {ratio:.1f} "
        f"(limit: {GROWTH:.0f})\npage of 2,000 trials: {page:.1f} s, {size / 1e6:.1f} MB (limit: {BYTES / 1e6:.0f} MB)"
    )
    return int(ratio > GROWTH or size > BYTES)


if __name__ == "__main__":
    sys.exit(main())
