"""Every hook that a plugin may implement. Hooks are never removed or changed incompatibly.

Hooks are called once per process, run or block; none runs inside the timed region.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from harness.plugins.kinds import MeasureKind
    from harness.plugins.parts import Command, Dataset, Executor, Metric, Model, Optimization, Promise, Reporter
    from harness.records.plan import Block, Plan
    from harness.records.record import Record

hookspec = pluggy.HookspecMarker("harness")


@hookspec
def provide_models() -> Iterable[Model]:  # type: ignore[empty-body]
    """Yield the models of this plugin.

    @harness.hookimpl
    def provide_models():
        yield harness.Model("my_cell", "my_package.cell:build", summary="A cell of my own")
    """


@hookspec
def provide_datasets() -> Iterable[Dataset]:  # type: ignore[empty-body]
    """Yield the datasets of this plugin.

    @harness.hookimpl
    def provide_datasets():
        yield harness.Dataset("notes", "my_package.notes:load", fingerprint="my_package.notes:fingerprint")
    """


@hookspec
def provide_optimizations() -> Iterable[Optimization]:  # type: ignore[empty-body]
    """Yield the optimizations of this plugin, each with what it promises to change.

    @harness.hookimpl
    def provide_optimizations():
        yield harness.Optimization("clip", "my_package.clip:clip", changes="update")
    """


@hookspec
def provide_metrics() -> Iterable[Metric]:  # type: ignore[empty-body]
    """Yield metrics, which compute numbers from stored samples. They need no torch and work on old runs.

    @harness.hookimpl
    def provide_metrics():
        yield harness.Metric("slots_per_second", "my_package.metrics:slots_per_second", unit="1/s")
    """


@hookspec
def provide_reporters() -> Iterable[Reporter]:  # type: ignore[empty-body]
    """Yield reporters. Each is called once per report and writes files.

    @harness.hookimpl
    def provide_reporters():
        yield harness.Reporter("slack", "my_package.slack:write")
    """


@hookspec
def provide_executors() -> Iterable[Executor]:  # type: ignore[empty-body]
    """Yield executors, which decide where blocks are measured.

    @harness.hookimpl
    def provide_executors():
        yield harness.Executor("slurm", "my_package.slurm:execute")
    """


@hookspec
def provide_promises() -> Iterable[Promise]:  # type: ignore[empty-body]
    """Yield promises. ``harness conform`` and the tests of plugins check them for parts. A plugin that defines a
    contract for models also defines its promises.

    @harness.hookimpl
    def provide_promises():
        says = "A graph's answer does not depend on how its nodes are numbered."
        yield harness.Promise("renumbering", "my_graphs.promises:renumbering", says, of={"model"}, needs={"graph"})
    """


@hookspec
def provide_measures() -> Iterable[MeasureKind]:  # type: ignore[empty-body]
    """Yield kinds of measurement: entries that a suite may have under ``measure``.

    @harness.hookimpl
    def provide_measures():
        quantities = {"joules": harness.Quantity("energy per step", judged="processes")}
        yield harness.MeasureKind("energy", "my_package.energy:measure", "energy of a step", quantities=quantities)
    """


@hookspec
def register_commands() -> Iterable[Command]:  # type: ignore[empty-body]
    """Yield commands for the command line. The code of each is a `click.Command`; it is imported when the command runs
    or shows its own help, so it may import what it needs at its top. `harness.open` reads a run.

    @harness.hookimpl
    def register_commands():
        yield harness.Command("bundle", "my_package.bundle:bundle", "Pack a run into one zip file.", group="share")
    """


@hookspec(firstresult=True)
def run_block(
    block: Block,
    done: list[Record],
    keep: Callable[[list[Record]], None],
    measure: Callable[[Block, list[Record], Callable[[list[Record]], None]], None],
) -> bool | None:
    """Measure one block, and pass the records of each replicate to `keep` at once. `done` holds the records of an
    earlier, interrupted run. A plugin may pass its own `keep` to `measure` to add data to records; a record that it
    changes, drops or invents is reported as a problem. The core calls ``measure(block, done, keep)``. Wrap the hook to
    pin clocks or to read a power meter:

        @harness.hookimpl(wrapper=True)
        def run_block(block):
            with pinned_clocks():
                return (yield)
    """


@hookspec
def plan_ready(plan: Plan) -> None:
    """Called once with the plan, before anything is measured.

    @harness.hookimpl
    def plan_ready(plan):
        print(len(plan.blocks), "blocks")
    """


@hookspec
def record_stored(record: Record) -> None:
    """Called for each record after it was written to disk.

    @harness.hookimpl
    def record_stored(record):
        ship_to_my_database(record.to_json())
    """


@hookspec
def run_finished(folder: Path) -> None:
    """Called once with the folder of a run, after its report was written.

    @harness.hookimpl
    def run_finished(folder):
        upload(folder / "report.md")
    """


@hookspec
def describe_machine() -> Mapping[str, Any]:  # type: ignore[empty-body]
    """Return facts about the machine, which are stored with the records. Called once in the process that measures. Each
    fact needs a name that no other plugin uses, and a value that JSON can store.

    @harness.hookimpl
    def describe_machine():
        return {"room_temperature_celsius": read_sensor()}
    """
