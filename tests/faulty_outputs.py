"""Metrics, reporters and executors that each break one promise. `faults` provides them."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any

import harness
from harness.records.record import Record


def nan_metric(samples: Any) -> float:
    """Not a number."""
    return float("nan")


def assuming(samples: Any) -> float:
    """Assumes that points are counted."""
    return samples.totals()["points"]


def single_cost(samples: Any) -> float:
    """One cost for all samples."""
    return float(samples.seconds.mean())


def scribbler(samples: Any) -> float:
    """Changes the stored samples."""
    samples.wall[0] = samples.wall.min() / 2
    return float(samples.wall.mean())


def wanderer(report: Any, folder: Path) -> list[Path]:
    """Writes next to the run's folder."""
    path = folder.parent / "wandered.txt"
    path.write_text("here")
    return [path]


def shredder(report: Any, folder: Path) -> list[Path]:
    """Empties a file of the run."""
    (folder / "records.jsonl").write_text("")
    return []


def secretive(report: Any, folder: Path) -> list[Path]:
    """Writes a file that it does not name."""
    (folder / "cache.tmp").write_text("")
    return []


def fragile(report: Any, folder: Path) -> list[Path]:
    """Uses names of levels as file names."""
    paths = [folder / f"{one.level}.txt" for one in report.findings.comparisons]
    for path in paths:
        path.write_text("")
    return paths


def measured(block: Any, done: list[Record], keep: Any) -> None:
    """Stands in for a measurement: one replicate with a record of each trial, unless it is done already."""
    if not done:
        n = len(block.trials)
        keep([Record(block.id, t.level, t.id, "verify", "variant", 0, n, "ok") for t in block.trials])


def doing(change: Any) -> Any:
    """An executor that changes how records are delivered."""

    @contextmanager
    def execute(run: Any) -> Any:
        """Measures here, but delivers wrongly."""
        yield lambda block, done, keep: change(block, done, keep)

    return execute


def drop(block: Any, done: Any, keep: Any) -> None:
    measured(block, done, lambda records: keep([record for record in records if record.level != "again"]))


def apiece(block: Any, done: Any, keep: Any) -> None:
    measured(block, done, lambda records: [keep([record]) for record in records])


def repeat(block: Any, done: Any, keep: Any) -> None:
    measured(block, [], keep)


@harness.hookimpl
def provide_metrics():
    yield harness.Metric("nan_metric", nan_metric, "gives NaN")
    yield harness.Metric("assuming", assuming, "a KeyError where a count is missing")
    yield harness.Metric("single_cost", single_cost, "one number instead of one per sample", per="sample")
    yield harness.Metric("scribbler", scribbler, "overwrites a sample")


@harness.hookimpl
def provide_reporters():
    yield harness.Reporter("wanderer", wanderer, "writes next to the run's folder")
    yield harness.Reporter("shredder", shredder, "empties records.jsonl")
    yield harness.Reporter("secretive", secretive, "writes a file that it does not name")
    yield harness.Reporter("fragile", fragile, "uses the name of a level as a file name")


@harness.hookimpl
def provide_executors():
    yield harness.Executor("dropper", doing(drop), "loses the records of a level")
    yield harness.Executor("piecemeal", doing(apiece), "stores records one by one")
    yield harness.Executor("repeater", doing(repeat), "ignores that work is already done")
