"""How long a whole run takes, against the time in which it warms up and measures.

    python benchmarks/overhead.py [suites/packing.yaml]

Counted from the moment the fork server is up: verification, forking, building, counting, writing records and looking at
intervals are all in the whole.
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
BAR = 1.25


def main() -> int:
    """Print the shares; the exit code is 1 where the bar is missed."""
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
                # The suite asks for what is measured after timing; that is not overhead.
                measure_block(replace(block, measures=block.measures.only("speed")), [], keep, servers)
            whole = time.perf_counter() - begun
    speed = [r for r in records if r.measure.startswith("speed.") and r.outcome == "ok"]
    measured = sum(sum(r.data["wall"]) for r in speed) * 1e-9
    processes = {(r.block, r.measure, r.replicate): r for r in speed}
    warm_up = sum(r.data["warm_up"]["seconds"] for r in processes.values())
    inside = sum(r.data["seconds"] for r in speed)
    print(f"{plan.suite}: {whole:.1f} s once the server was up, {len(processes)} processes")
    print(
        f"  measured {measured:.1f} s, warm-up {warm_up:.1f} s, else in processes {inside - measured - warm_up:.1f} s,"
    )
    print(f"  outside of them (verification, records, looks) {whole - inside:.1f} s")
    ratio = whole / (measured + warm_up)
    print(f"whole / (measured + warm-up): {ratio:.3f} (bar: {BAR})")
    return int(ratio > BAR)


if __name__ == "__main__":
    sys.exit(main())
