"""The core's own plugin. It comes through an entry point like anybody's; no torch is imported here."""

from collections.abc import Iterator
from typing import Any

import harness


@harness.hookimpl
def provide_metrics() -> Iterator[harness.Metric]:
    """Time of a step and of its phases."""
    here = "harness.builtin.metrics"
    time = {"unit": "ms", "per": "sample", "scale": 1e3, "formats": ".2f"}
    yield harness.Metric("step_time", f"{here}:step_time", "one step, from examples to updated weights", **time)
    for phase in ("collate", "forward", "backward", "update"):
        yield harness.Metric(f"{phase}_time", f"{here}:{phase}_time", f"the {phase} phase of the same steps", **time)


@harness.hookimpl
def provide_reporters() -> Iterator[harness.Reporter]:
    """What a run's folder gets."""
    yield harness.Reporter("markdown", "harness.builtin.markdown:write", "report.md: tables, claims, machine")
    yield harness.Reporter("csv", "harness.builtin.tables:write", "tables/*.csv: the same as numbers")


@harness.hookimpl
def provide_executors() -> Iterator[harness.Executor]:
    """Where blocks can be measured."""
    yield harness.Executor("local", "harness.builtin.local:execute", "on this machine, one block after another")


@harness.hookimpl(trylast=True)
def run_block(block: Any, done: list[Any], keep: Any, measure: Any) -> bool:
    """Measure the block; others wrap this hook."""
    measure(block, done, keep)
    return True
