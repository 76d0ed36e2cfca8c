"""Protects records from the `run_block` hooks of plugins while a block is measured.

A hook may add data to records. It cannot change, withhold or invent what was measured.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.errors import UserError
from harness.plugins.catalog import Catalog
from harness.plugins.isolation import error_text, errors_to, isolated
from harness.plugins.manager import CORE
from harness.records.plan import Block
from harness.records.record import Record

Keep = Callable[[list[Record]], None]
Execute = Callable[[Block, list[Record], Keep], None]
Key = tuple[str, str, str, int]


def inside_hooks(execute: Execute, catalog: Catalog, problem: Callable[[str], None]) -> Execute:
    """The function that measures a block inside the `run_block` hooks of plugins; `execute` itself if there are none. A
    hook that raises is reported by `problem`, and the run continues."""
    hook = catalog.plugins.manager.hook.run_block
    names = dict.fromkeys(each.plugin_name for each in hook.get_hookimpls() if each.plugin_name != CORE)
    if not names:
        return execute
    plugins = f"plugin {' or '.join(map(str, names))}"

    def guarded(block: Block, done: list[Record], keep: Keep) -> None:
        def report(problem_text: str) -> None:  # which of several plugins did it is not known
            problem(f"{plugins}: run_block {problem_text} ({block.name})")

        RecordGuard(block, done, execute, keep, report).run(hook)

    return guarded


class RecordGuard:
    """One block inside hooks. `report` is called with what they do wrong."""

    def __init__(
        self, block: Block, done: list[Record], execute: Execute, store: Keep, report: Callable[[str], None]
    ) -> None:
        self.block, self.done, self.execute, self.store, self.report = block, list(done), execute, store, report
        #: The records of the latest replicate by key: as they were measured, and as hooks returned them.
        self.measured: dict[Key, Record] = {}
        self.returned: dict[Key, Record] = {}
        self.started = False
        #: The exception that ended the measurement early.
        self.error: BaseException | None = None

    def run(self, hook: Any) -> None:
        """Call the hooks. What the executor raises passes through them."""
        done = copy.deepcopy([record for record in self.done if record.block == self.block.id])
        try:
            with isolated(f"measuring {self.block.name}"):
                hook(block=copy.deepcopy(self.block), done=done, keep=self.keep, measure=self.measure)
        except (KeyboardInterrupt, UserError):
            raise
        except BaseException as error:  # a hook may raise anything
            if self.error is None:
                self.report(f"failed: {error_text(error)}")
        if self.error is not None:
            raise self.error
        if not self.started:
            self.report("does not measure the block")

    def measure(self, _block: Block, _done: list[Record], keep: Keep) -> None:
        """The `measure` that hooks call. It measures this block, and calls the hook's `keep` with each replicate."""

        def keep_replicate(new: list[Record]) -> None:
            self.measured, self.returned = {key(record): record for record in new}, {}
            try:
                with errors_to(lambda text: self.report(f"failed: {text}")):  # measuring continues
                    keep(copy.deepcopy(new))
            finally:
                if self.returned.keys() != self.measured.keys():
                    self.report("withholds records; they are stored")
                stored = [self.returned.get(key(record), record) for record in new]
                self.store(stored)
                self.done += stored
                self.measured = {}

        self.started = True
        try:
            self.execute(self.block, list(self.done), keep_replicate)
        except BaseException as error:
            self.error = error
            raise

    def keep(self, new: list[Record]) -> None:
        """The `keep` that hooks get."""
        for record in new:
            measured = self.measured.get(key(record))
            if measured is None:
                self.report("returns a record that was not measured; it is not stored")
            else:
                self.returned[key(record)] = self.with_additions(measured, record)

    def with_additions(self, measured: Record, record: Record) -> Record:
        """The record as measured, with the data that hooks have added."""
        added = {name: value for name, value in record.data.items() if name not in measured.data}
        stored = replace(measured, data={**measured.data, **added})
        if stored != record:
            self.report("changes a record; it is stored as it was measured")
        try:
            json.dumps(added)
        except (TypeError, ValueError) as error:
            self.report(f"adds data that JSON cannot store: {error_text(error)}")
            return measured
        return stored


def key(record: Record) -> Key:
    """What distinguishes a record from the others of its block."""
    return (record.measure, record.level, record.role, record.replicate)
