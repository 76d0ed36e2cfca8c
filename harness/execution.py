"""A plan becomes records: blocks go to the executor, each replicate's records to the store at once."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.catalog import Catalog, Entry
from harness.errors import UserError
from harness.findings import contested, suspects
from harness.parts import Executor
from harness.records import Block, Plan, Record
from harness.store import Store

#: Facts that must be the same when a run is resumed: its records are compared with each other.
SAME_MACHINE = ("processor", "cores", "torch", "python", "threads")


@dataclass(frozen=True)
class Run:
    """What an executor is told of the run."""

    folder: Path
    files: Sequence[Path]
    met: Callable[[Mapping[str, Any]], None]
    jobs: int = 1


class Watcher:
    """What a run tells of itself while it goes on; `harness.verbs.progress` draws it."""

    def block_begins(self, block: Block, records: Sequence[Record]) -> None:
        """A block is about to be measured; `records` is all there is so far."""

    def stored(self, block: Block, records: Sequence[Record]) -> None:
        """A replicate of the block is on disk; `records` is all there is so far."""

    def block_ends(self, block: Block, records: Sequence[Record]) -> None:
        """A block is done."""

    def note(self, text: str) -> None:
        """Something worth knowing that is no fault."""

    def problem(self, text: str) -> None:
        """Something went wrong that does not touch what is measured."""


def run_plan(
    plan: Plan,
    store: Store,
    catalog: Catalog,
    *,
    executor: str = "local",
    watcher: Watcher,
    where: Path,
    confirm: bool = False,
    jobs: int = 1,
) -> list[Record]:
    """Measure what is not yet in the store; returns all records. `where` is whose git commit is recorded; with
    `confirm`, what a claim fails by is measured once more; `jobs` is how many train at a time, where no clock runs."""
    entry = catalog.find(Executor, executor)
    store.lock()
    try:
        return _measure(plan, store, catalog, entry, watcher, where, confirm, jobs)
    finally:
        store.unlock()


def _measure(
    plan: Plan, store: Store, catalog: Catalog, entry: Entry, watcher: Watcher, where: Path, confirm: bool, jobs: int
) -> list[Record]:
    hook = catalog.plugins.manager.hook
    records = store.records()
    tell(catalog, "plan_ready", watcher, plan=plan)

    def met(facts: Mapping[str, Any]) -> None:
        known = store.machine()
        changed = [name for name in SAME_MACHINE if known and known.get(name) != facts.get(name)]
        if changed:
            differs = ", ".join(f"{name} was {known.get(name)} and is {facts.get(name)}" for name in changed)
            raise UserError(
                f"this is not the machine the run began on: {differs}.", where=str(store.folder), fix="Start a new run."
            )
        gpus = facts.get("gpus", 0)
        for device in sorted({trial.device for block in plan.blocks for trial in block.trials}):
            kind, _, number = device.partition(":")
            if kind == "cuda" and int(number or 0) >= gpus:
                fix = f"torch sees {gpus} GPUs here; --device cpu runs on the processor."
                raise UserError(f"there is no {device} on this machine.", where=store.plan().suite, fix=fix)
        if not known:
            store.write("machine.json", json.dumps({**facts, "git": git_facts(where)}, indent=1, ensure_ascii=False))

    run = Run(store.folder, catalog.plugins.files, met, jobs)
    with catalog.code(entry)(run) as execute:

        def keep(new: list[Record]) -> None:
            store.append(new)
            records.extend(new)
            for record in new:
                tell(catalog, "record_stored", watcher, record=record)

        for block in plan.blocks:

            def keep_and_show(new: list[Record], block: Block = block) -> None:
                keep(new)
                watcher.stored(block, records)

            watcher.block_begins(block, records)
            hook.run_block(block=block, done=list(records), keep=keep_and_show, measure=execute)
            watcher.block_ends(block, records)
        for block in suspects(plan, records):
            watcher.note(f"{block.name}: the baseline differs from itself; measuring it once more, alone")
            hook.run_block(block=block, done=list(records), keep=keep, measure=execute)
        for block in contested(plan, records, catalog) if confirm else ():
            watcher.note(f"{block.name}: a claim fails by it; measuring it once more")
            hook.run_block(block=block, done=list(records), keep=keep, measure=execute)
    return records


def tell(catalog: Catalog, hook: str, watcher: Watcher, **values: Any) -> None:
    """Call a hook that only observes. An observer that raises is named, and the run goes on."""
    for implementation in getattr(catalog.plugins.manager.hook, hook).get_hookimpls():
        try:
            implementation.function(*(values[name] for name in implementation.argnames))
        except Exception as error:  # a plugin may raise anything
            watcher.problem(f"plugin {implementation.plugin_name}: {hook} failed: {type(error).__name__}: {error}")


def git_facts(folder: Path) -> dict[str, Any]:
    """Commit and whether there are uncommitted changes, of the checkout around a folder; empty outside one."""
    try:
        commit, status = (
            subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
            ).stdout
            for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"commit": commit.strip(), "dirty": bool(status.strip())}
