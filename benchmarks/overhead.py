"""The time of a whole run, relative to the time of its warm-ups and measurements.

    python benchmarks/overhead.py [suites/packing.yaml]

The time starts when the fork server is ready. It includes verification, forks, building models, counting, writing
records and computing intervals.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from harness.measure.coordinator import measure_block
from harness.measure.servers import Servers
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.records.record import Record
from harness.records.store import Store
from harness.suite.loader import load_suite

SUITE = Path(__file__).parents[1] / "suites" / "packing.yaml"
LIMIT = 1.25


def main() -> int:
    """Print the times and their ratio. The exit code is 1 if the limit is exceeded."""
    catalog = Catalog(load_plugins())
    suite = load_suite(Path(sys.argv[1]) if len(sys.argv) > 1 else SUITE, catalog)
    plan = make_plan(suite, catalog)
    records: list[Record] = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store.create(Path(folder), plan, suite.text)

        def keep(new: list[Record]) -> None:
            store.append(new)
            records.extend(new)

        with Servers(store.folder, catalog) as servers:
            servers.get({})
            begun = time.perf_counter()
            for block in plan.blocks:
                # What the suite measures after timing is not overhead.
                measure_block(replace(block, measures=block.measures.only("speed")), [], keep, servers)
            whole = time.perf_counter() - begun
    speed = [r for r in records if r.measure.startswith("speed.") and r.outcome == "ok"]
    measured = sum(sum(r.data["wall"]) for r in speed) * 1e-9
    processes = {(r.block, r.measure, r.replicate): r for r in speed}
    warm_up = sum(r.data["warm_up"]["seconds"] for r in processes.values())
    inside = sum(r.data["seconds"] for r in speed)
    print(f"{plan.suite}: {whole:.1f} s after the server was ready, {len(processes)} processes")
    print(f"  in the processes: measuring {measured:.1f} s, warm-up {warm_up:.1f} s,", end=" ")
    print(f"other {inside - measured - warm_up:.1f} s")
    print(f"  outside the processes (verification, records, intervals): {whole - inside:.1f} s")
    ratio = whole / (measured + warm_up)
    print(f"whole / (measuring + warm-up): {ratio:.3f} (limit: {LIMIT})")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
