"""The runner measures a plan: it passes blocks to the executor, and stores the records of each replicate."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.measure.record_guard import Execute, inside_hooks
from harness.plugins.catalog import Catalog
from harness.plugins.commits import git
from harness.plugins.isolation import error_text, errors_to, isolated
from harness.plugins.manager import CORE
from harness.plugins.parts import Executor
from harness.records.plan import Block, Plan
from harness.records.record import Record
from harness.records.store import Store

#: The facts that must be the same when a run is resumed, since its records are compared with each other.
SAME_MACHINE = ("processor", "cores", "torch", "python", "threads")

#: ``(plan, records) -> (reason, block)``: the blocks to measure again.
Remeasure = Callable[[Plan, Sequence[Record]], Iterable[tuple[str, Block]]]


@dataclass(frozen=True)
class RunContext:
    """What an executor gets: the run's folder, the parts, a function to call with the facts of the machine, and how
    many processes may compute at a time while nothing is timed."""

    folder: Path
    catalog: Catalog
    on_machine: Callable[[Mapping[str, Any]], None]
    jobs: int = 1


class Watcher:
    """Follows the progress of a run. `harness.api.progress` shows it."""

    def block_begins(self, block: Block, records: Sequence[Record]) -> None:
        """A block is about to be measured. `records` are all records so far."""

    def stored(self, block: Block, records: Sequence[Record]) -> None:
        """A replicate of the block is on disk. `records` are all records so far."""

    def block_ends(self, block: Block, records: Sequence[Record]) -> None:
        """A block is complete."""

    def measured(self) -> None:
        """Everything is measured. The report is written next."""

    def note(self, text: str) -> None:
        """Information that is not a problem."""

    def problem(self, text: str) -> None:
        """Something went wrong that does not affect what is measured."""


@dataclass(frozen=True)
class Runner:
    """Measures a plan into a store. The commit of the git checkout that contains the folder `source` is recorded.
    `remeasure` returns the blocks to measure again when all blocks have been measured."""

    plan: Plan
    store: Store
    catalog: Catalog
    watcher: Watcher
    source: Path
    executor: str = "local"
    jobs: int = 1
    remeasure: Remeasure = lambda plan, records: ()

    def run(self) -> list[Record]:
        """Measure what the store does not contain yet. Returns all records."""
        entry = self.catalog.find(Executor, self.executor)
        self.store.lock()
        try:
            notify(self.catalog, "plan_ready", self.watcher, plan=self.plan)
            context = RunContext(self.store.folder, self.catalog, self.check_machine, self.jobs)
            with self.catalog.code(entry)(context) as execute:
                return self.measure(execute)
        except (KeyboardInterrupt, UserError):
            raise
        except BaseException as error:  # an executor may raise anything
            if entry.plugin == CORE:
                raise
            raise UserError(f"{entry.owner} failed: {error_text(error)}.") from error
        finally:
            self.store.unlock()

    def measure(self, execute: Execute) -> list[Record]:
        """Measure every block, then the blocks that are to be measured again."""
        records = self.store.records()
        execute = inside_hooks(execute, self.catalog, self.watcher.problem)

        def measure_one(block: Block, *, show: bool) -> None:
            def keep(new: list[Record]) -> None:
                self.store.append(new)
                records.extend(new)
                for record in new:
                    notify(self.catalog, "record_stored", self.watcher, record=record)
                if show:
                    self.watcher.stored(block, records)

            execute(block, list(records), keep)

        for block in self.plan.blocks:
            self.watcher.block_begins(block, records)
            measure_one(block, show=True)
            self.watcher.block_ends(block, records)
        for reason, block in self.remeasure(self.plan, records):
            self.watcher.note(f"{block.name}: {reason}")
            measure_one(block, show=False)
        return records

    def check_machine(self, facts: Mapping[str, Any]) -> None:
        """Record the facts of the machine. Raises UserError if the run began on another machine, or if a trial needs a
        GPU that this machine lacks."""
        known = self.store.machine()
        changed = [name for name in SAME_MACHINE if name in known and known[name] != facts.get(name, known[name])]
        if changed:
            differs = ", ".join(f"{name} was {known.get(name)} and is {facts.get(name)}" for name in changed)
            what = f"this is not the machine on which the run began: {differs}."
            raise UserError(what, where=str(self.store.folder), fix="Start a new run.")
        gpus = facts.get("gpus", 0)
        for device in sorted({trial.device for block in self.plan.blocks for trial in block.trials}):
            kind, _, number = device.partition(":")
            if kind == "cuda" and int(number or 0) >= gpus:
                fix = f"torch finds {gpus} GPUs here; --device cpu uses the processor."
                raise UserError(f"there is no {device} on this machine.", where=self.plan.suite, fix=fix)
        for problem in facts.get("plugin_problems", ()):
            self.watcher.problem(problem)
        if not known:
            text = json.dumps({**facts, "git": git_facts(self.source)}, indent=1, ensure_ascii=False)
            self.store.write("machine.json", text)


def notify(catalog: Catalog, hook: str, watcher: Watcher, **values: Any) -> None:
    """Call a hook that only observes, with copies of its values. If a plugin raises, that is reported, and the run
    continues."""
    for implementation in getattr(catalog.plugins.manager.hook, hook).get_hookimpls():
        name = f"plugin {implementation.plugin_name}: {hook}"

        def report(text: str, name: str = name) -> None:
            watcher.problem(f"{name} failed: {text}")

        with errors_to(report), isolated(f"calling {name}"):
            implementation.function(*copy.deepcopy([values[each] for each in implementation.argnames]))


def git_facts(folder: Path) -> dict[str, Any]:
    """The commit, and whether there are uncommitted changes. Empty outside a checkout."""
    try:
        commit, status = (
            git(folder, *arguments, timeout=10).decode()
            for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"commit": commit.strip(), "dirty": bool(status.strip())}
