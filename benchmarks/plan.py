"""The time that `harness plan` estimates for a run, relative to the time that the run takes.

    python benchmarks/plan.py [SUITE [OPTION...]]

Without a suite, it runs a quick one, one block of packing and a short training suite. Options are those that `plan` and
`run` share, such as --only data=reviews. The time of a run is that of the command, from its start to its report.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

SUITES = Path(__file__).parents[1] / "suites"
LIMIT = 1.25
RUNS: tuple[tuple[str, ...], ...] = (
    (str(SUITES / "smoke.yaml"),),
    (str(SUITES / "packing.yaml"), "--only", "data=reviews"),
    (
        str(SUITES / "recipe.yaml"),
        "--set",
        "measure.learning={seeds: 5, steps: 60, evaluations: 4, metric: mean_loss}",
    ),
)


def main() -> int:
    """Print the estimate and the truth of each run. The exit code is 1 if one is wrong by more than the limit."""
    runs = [tuple(sys.argv[1:])] if len(sys.argv) > 1 else RUNS
    wrong = [is_wrong(run) for run in runs]
    return int(any(wrong))


def is_wrong(run: Sequence[str]) -> bool:
    """Estimate and measure one run, as a whole and by its parts. Returns whether the estimate is wrong."""
    begun = time.perf_counter()
    seconds = json.loads(harness("plan", *run, "--json"))["seconds"]
    rehearsal = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder:
        began, begun = time.time(), time.perf_counter()
        harness("run", *run, "--results", folder)
        truth = time.perf_counter() - begun
        (records,) = Path(folder).rglob("records.jsonl")
        lines = [json.loads(line) for line in records.read_text(encoding="utf-8").splitlines()]
    timed = {(one["block"], one["measure"], one["replicate"]) for one in lines if one["measure"].startswith("speed")}
    processes = Counter((block, mode) for block, mode, _ in timed)
    ratio = seconds["expected"] / truth
    least, expected, most = (round(seconds[name]) for name in ("least", "expected", "most"))
    print(
        f"{Path(run[0]).stem}: estimated {expected} s ({least} to {most} s), "
        f"took {truth:.0f} s: ratio {ratio:.2f} (limits {1 / LIMIT:.2f} and {LIMIT})"
    )
    taken = parts_of(lines, began, truth)
    for name, part in seconds["parts"].items():
        print(f"  {name}: estimated {part['expected']:.0f} s, took {taken.get(name, 0.0):.0f} s")
    print(f"  processes of each block: {sorted(processes.values())}; the estimate itself took {rehearsal:.1f} s")
    return not 1 / LIMIT <= ratio <= LIMIT


def parts_of(records: Sequence[Mapping[str, Any]], began: float, whole: float) -> dict[str, float]:
    """The seconds of each part of a run, within a second, from the times at which records were stored: what was
    measured first waited for the start, and the rest of the time was the report."""
    found: Counter[str] = Counter()
    last, stages = began, {"resident": "memory", "cold": "cost"}
    for record in records:
        now = max(last, datetime.fromisoformat(record["at"]).timestamp())
        stage = record["measure"].partition(".")[0]
        found[stages.get(stage, stage)] += now - last
        last = now
    return {**found, "start": 0.0, "report": whole - (last - began)}


def harness(*arguments: str) -> str:
    """The output of a command."""
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
