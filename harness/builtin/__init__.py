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
        code = f"harness.analysis.metrics:{name}"
        yield harness.Metric(name, code, summary, unit="ms", per="sample", scale=1e3, formats=".2f")


@harness.hookimpl
def provide_reporters() -> Iterator[harness.Reporter]:
    """What a run's folder gets."""
    for name, module, summary in (
        ("html", "html", "report.html: one file to read offline, with plots"),
        ("markdown", "markdown", "report.md: everything, with plots where there are any"),
        ("terminal", "terminal", "report.txt: what the terminal shows"),
        ("plots", "plots", "plots/*: PNG and SVG (needs matplotlib)"),
        ("csv", "csv_tables", "tables/*.csv: the findings as numbers, for spreadsheets"),
        ("json", "json_report", "report.json: the findings as numbers, for scripts"),
        ("latex", "latex", "tables.tex: every table, for papers"),
        ("junit", "junit", "junit.xml: claims and trials as tests, for CI servers"),
        ("github", "github", "summary.md: the summary of a GitHub Actions job, added to it where one runs"),
        ("tensorboard", "tensorboard", "tensorboard/*: learning curves and parameters (needs tensorboard)"),
    ):
        package = "plots" if module == "plots" else "formats"
        yield harness.Reporter(name, f"harness.report.{package}.{module}:write", summary)


@harness.hookimpl
def provide_executors() -> Iterator[harness.Executor]:
    """Where blocks can be measured."""
    yield harness.Executor("local", "harness.measure.local:execute", "on this machine, one block after another")


@harness.hookimpl(trylast=True)
def run_block(block: Any, done: list[Any], keep: Any, measure: Any) -> bool:
    """Measure the block; others wrap this hook."""
    measure(block, done, keep)
    return True


@harness.hookimpl
def provide_promises() -> Iterator[harness.Promise]:
    """What every part promises, whatever it is about."""
    from harness.builtin.promises import PROMISES

    for module, promises in PROMISES.items():
        for name, of, sentence in promises:
            code = f"harness.testing.{module}:{name.replace('-', '_')}"
            yield harness.Promise(name, code, sentence, of=frozenset(of))


@harness.hookimpl
def provide_measures() -> Iterator[harness.MeasureKind]:
    """What can be measured of a trial."""
    from harness.builtin.measures import kinds

    yield from kinds()


@harness.hookimpl
def register_commands() -> Iterator[harness.Command]:
    """The commands of the core and of its tools."""
    from harness.builtin.commands import COMMANDS

    for group, commands in COMMANDS.items():
        for name, code, summary in commands:
            yield harness.Command(name, f"harness.{code}", summary, group=group)
