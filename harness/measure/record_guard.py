"""Protects records from `run_block` hooks of plugins while a block is measured.

A hook may add to what was measured. It cannot change it, withhold it, or invent it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.errors import UserError
from harness.plugins.catalog import Catalog
from harness.plugins.isolation import error_text, isolated
from harness.plugins.manager import CORE
from harness.records.plan import Block
from harness.records.record import Record

Keep = Callable[[list[Record]], None]
Execute = Callable[[Block, list[Record], Keep], None]
Key = tuple[str, str, str, int]


def plugins_around_blocks(catalog: Catalog) -> str:
    """The plugins that implement `run_block`, in words; empty where there are none."""
    implementations = catalog.plugins.manager.hook.run_block.get_hookimpls()
    names = dict.fromkeys(each.plugin_name for each in implementations if each.plugin_name != CORE)
    return f"plugin {' or '.join(names)}" if names else ""


def measure_inside_hooks(
    catalog: Catalog,
    block: Block,
    records: Sequence[Record],
    execute: Execute,
    store: Keep,
    problem: Callable[[str], None],
) -> None:
    """Measure a block inside the `run_block` hooks of plugins. A hook that raises is named, and the run goes on."""
    RecordGuard(block, records, execute, store, plugins_around_blocks(catalog), problem).run(catalog)


class RecordGuard:
    """One block inside hooks. `plugins` names them; `problem` is called with what they do wrong."""

    def __init__(
        self, block: Block, records: Sequence[Record], execute: Execute, store: Keep, plugins: str,
        problem: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.block, self.records, self.execute, self.store = block, records, execute, store
        self.plugins, self.problem = plugins, problem
        self.measured: dict[Key, Record] = {}
        self.returned: dict[Key, Record] = {}
        self.begun = False
        #: What ended the measurement early.
        self.ended_by: BaseException | None = None

    def run(self, catalog: Catalog) -> None:
        """Call the hooks. What the executor raises passes through them."""
        done = copy.deepcopy([record for record in self.records if record.block == self.block.id])
        try:
            with isolated(f"measuring {self.block.name}"):
                catalog.plugins.manager.hook.run_block(
                    block=copy.deepcopy(self.block), done=done, keep=self.keep, measure=self.measure
                )
        except (KeyboardInterrupt, UserError):
            raise
        except BaseException as error:  # a hook may raise anything
            if self.ended_by is None:
                self.complain(f"failed: {error_text(error)}")
        if self.ended_by is not None:
            raise self.ended_by
        if not self.begun:
            self.complain("does not measure the block")

    def measure(self, _block: Block, _done: list[Record], keep: Keep) -> None:
        """The `measure` that hooks call. It measures this block, and passes each replicate to the given `keep`."""

        def arrived(new: list[Record]) -> None:
            self.measured = {key(record): record for record in new}
            try:
                keep(copy.deepcopy(new))
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # raised by a hook's own `keep`; measuring goes on
                self.complain(f"failed: {error_text(error)}")
            finally:
                self.settle()

        self.begun = True
        try:
            self.execute(self.block, list(self.records), arrived)
        except BaseException as error:
            self.ended_by = error
            raise

    def keep(self, new: list[Record]) -> None:
        """The `keep` that hooks are given."""
        for record in new:
            measured = self.measured.get(key(record))
            if measured is None:
                self.complain("returns a record that was not measured; it is not stored")
            else:
                self.returned[key(record)] = self.as_measured(measured, record)

    def as_measured(self, measured: Record, record: Record) -> Record:
        """What is stored of a record that hooks returned: what was measured, and what they have added."""
        added = {name: value for name, value in record.data.items() if name not in measured.data}
        stored = replace(measured, data={**measured.data, **added})
        if stored != record:
            self.complain("changes a record; it is stored as it was measured")
        try:
            json.dumps(added)
        except (TypeError, ValueError) as error:
            self.complain(f"adds data that JSON cannot store: {error_text(error)}")
            return measured
        return stored

    def settle(self) -> None:
        """Store the replicate that has arrived, complete, also where hooks withhold some of it."""
        if self.returned.keys() != self.measured.keys():
            self.complain("withholds records; they are stored")
        self.store([self.returned.get(place, record) for place, record in self.measured.items()])
        self.measured, self.returned = {}, {}

    def complain(self, what: str) -> None:
        """Name the hooks around this block. Which of several it was is not known."""
        self.problem(f"{self.plugins}: run_block {what} ({self.block.name})")


def key(record: Record) -> Key:
    """What distinguishes a record from the others of its block."""
    return (record.measure, record.level, record.role, record.replicate)
