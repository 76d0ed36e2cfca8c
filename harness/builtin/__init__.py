"""The core's own plugin. It comes through an entry point like anybody's; no torch is imported here."""

from collections.abc import Iterator
from typing import Any

import harness


@harness.hookimpl
def provide_metrics() -> Iterator[harness.Metric]:
    """Time of a step and of its phases."""
    for name, summary in (
        ("step_time", "one step, from examples to updated weights"),
        ("collate_time", "the part of it from examples to a batch on the device"),
        ("forward_time", "the part of it from a batch to the loss, or to predictions"),
        ("backward_time", "the part of it from the loss to gradients"),
        ("update_time", "the part of it from gradients to updated weights"),
    ):
        code = f"harness.builtin.metrics:{name}"
        yield harness.Metric(name, code, summary, unit="ms", per="sample", scale=1e3, formats=".2f")


@harness.hookimpl
def provide_reporters() -> Iterator[harness.Reporter]:
    """What a run's folder gets."""
    yield harness.Reporter("html", "harness.builtin.html:write", "report.html: one file to read offline, with plots")
    yield harness.Reporter("markdown", "harness.builtin.markdown:write", "report.md: tables, claims, machine")
    yield harness.Reporter("plots", "harness.builtin.plots:write", "plots/*: PNG and SVG (needs matplotlib)")
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
