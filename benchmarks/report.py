"""A report of two thousand trials: how does its time grow with their number, and how large is the page?

A run of 400 blocks of five levels, ten processes each, is synthetic (`tests/large_run.py`), as is one of 100 blocks.
Four times the blocks ought to take four times as long: what goes through all records for each block takes sixteen.
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

#: How much longer four times the blocks may take, and how many bytes the page of 2,000 trials may have.
GROWTH, BYTES = 6.0, 5_000_000


def main() -> int:
    """Print seconds, their ratio and the page's size; the exit code is 1 where a bar is missed."""
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
        f"findings of 500 trials {seconds[100]:.1f} s, of 2,000 {seconds[400]:.1f} s: {ratio:.1f} times "
        f"(bar: {GROWTH:.0f}); the page {page:.1f} s and {size / 1e6:.1f} MB (bar: {BYTES / 1e6:.0f} MB)"
    )
    return int(ratio > GROWTH or size > BYTES)


if __name__ == "__main__":
    sys.exit(main())
