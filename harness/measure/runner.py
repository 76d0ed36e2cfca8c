"""A plan becomes records: blocks go to the executor, each replicate's records to the store at once."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.analysis.controls import suspects
from harness.analysis.findings import contested
from harness.errors import UserError
from harness.measure.record_guard import Handover, Keep, Measure
from harness.plugins.catalog import Catalog, Entry
from harness.plugins.isolation import guest, in_short
from harness.plugins.manager import CORE
from harness.plugins.parts import Executor
from harness.records.plan import Block, Plan, Record
from harness.records.store import Store

#: Facts that must be the same when a run is resumed: its records are compared with each other.
SAME_MACHINE = ("processor", "cores", "torch", "python", "threads")


@dataclass(frozen=True)
class Run:
    """What an executor is told of the run."""

    folder: Path
    files: Sequence[Path]
    met: Callable[[Mapping[str, Any]], None]
    jobs: int = 1
    #: Installed plugins that are left out here, and are to be left out where it measures.
    without: Sequence[str] = ()


class Watcher:
    """What a run tells of itself while it goes on; `harness.api.progress` draws it."""

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
    except (KeyboardInterrupt, UserError):
        raise
    except BaseException as error:  # an executor may raise anything
        if entry.plugin == CORE:
            raise
        raise UserError(f"executor {executor} (plugin {entry.plugin}) failed: {in_short(error)}.") from error
    finally:
        store.unlock()


def _measure(
    plan: Plan, store: Store, catalog: Catalog, entry: Entry, watcher: Watcher, where: Path, confirm: bool, jobs: int
) -> list[Record]:
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
        for problem in facts.get("plugin_problems", ()):
            watcher.problem(problem)
        if not known:
            store.write("machine.json", json.dumps({**facts, "git": git_facts(where)}, indent=1, ensure_ascii=False))

    guests = guests_of(catalog, "run_block")
    run = Run(store.folder, catalog.plugins.files, met, jobs, catalog.plugins.without)
    with catalog.code(entry)(run) as execute:

        def keep(new: list[Record]) -> None:
            store.append(new)
            records.extend(new)
            for record in new:
                tell(catalog, "record_stored", watcher, record=record)

        def measure(block: Block, keep: Keep) -> None:
            run_block(catalog, Handover(block, keep, guests, watcher.problem), execute, records)

        for block in plan.blocks:

            def keep_and_show(new: list[Record], block: Block = block) -> None:
                keep(new)
                watcher.stored(block, records)

            watcher.block_begins(block, records)
            measure(block, keep_and_show)
            watcher.block_ends(block, records)
        for block in suspects(plan, records):
            watcher.note(f"{block.name}: the baseline differs from itself; measuring it once more, alone")
            measure(block, keep)
        for block in contested(plan, records, catalog) if confirm else ():
            watcher.note(f"{block.name}: a claim fails by it; measuring it once more")
            measure(block, keep)
    return records


def guests_of(catalog: Catalog, hook: str) -> str:
    """The plugins but the core that implement a hook, in words; empty where there are none."""
    implementations = getattr(catalog.plugins.manager.hook, hook).get_hookimpls()
    names = dict.fromkeys(each.plugin_name for each in implementations if each.plugin_name != CORE)
    return f"plugin {' or '.join(names)}" if names else ""


def run_block(catalog: Catalog, handover: Handover, execute: Measure, records: list[Record]) -> None:
    """Have one block measured, inside the hooks around it. A hook that raises is named, and the run goes on with the
    next block; what the executor raises goes through them."""
    block = handover.block
    theirs = handover.lent([record for record in records if record.block == block.id])
    measure = handover.around(execute, lambda: list(records))
    try:
        with guest(f"measuring {block.name}"):
            catalog.plugins.manager.hook.run_block(
                block=copy.deepcopy(block), done=theirs, keep=handover.keep, measure=measure
            )
    except (KeyboardInterrupt, UserError):
        raise
    except BaseException as error:  # a hook may raise anything
        if handover.ended_by is None:
            handover.complain(f"failed: {in_short(error)}")
    if handover.ended_by is not None:
        raise handover.ended_by
    if not handover.begun:
        handover.complain("does not measure the block")


def tell(catalog: Catalog, hook: str, watcher: Watcher, **values: Any) -> None:
    """Call a hook that only observes, with copies of what it is told. An observer that raises is named, and the run
    goes on."""
    for implementation in getattr(catalog.plugins.manager.hook, hook).get_hookimpls():
        who = f"plugin {implementation.plugin_name}: {hook}"
        try:
            with guest(f"telling {who}"):
                implementation.function(*copy.deepcopy([values[name] for name in implementation.argnames]))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may raise anything
            watcher.problem(f"{who} failed: {in_short(error)}")


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
