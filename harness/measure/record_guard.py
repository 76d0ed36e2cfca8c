"""How records come from where a block is measured, past the hooks around it, into the store.

A `run_block` hook may add to what was measured. It can neither change it, nor keep it back, nor make it up.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.plugins.isolation import in_short
from harness.records.plan import Block, Record

Keep = Callable[[list[Record]], None]
Measure = Callable[[Block, list[Record], Keep], None]


class Handover:
    """One block on its way into the store. `guests` are the plugins whose hooks stand around it, in words; `problem` is
    told what they do that they may not."""

    def __init__(self, block: Block, store: Keep, guests: str, problem: Callable[[str], None]) -> None:
        self.block, self.store, self.guests, self.problem = block, store, guests, problem
        self.measured: dict[tuple[str, str, str, int], Record] = {}
        self.handed_on: dict[tuple[str, str, str, int], Record] = {}
        #: Whether it was measured at all, and what ended that.
        self.begun = False
        self.ended_by: BaseException | None = None

    def lent(self, records: Sequence[Record]) -> list[Record]:
        """Records as hooks get them: to be changed as they like."""
        return copy.deepcopy(list(records)) if self.guests else list(records)

    def around(self, execute: Measure, done: Callable[[], list[Record]]) -> Measure:
        """The `measure` that hooks call: it measures this block, `done` being all records so far, and hands each
        replicate to the `keep` it is given."""

        def measure(_block: Block, _done: list[Record], keep: Keep) -> None:
            def arrived(new: list[Record]) -> None:
                self.measured = {key(record): record for record in new}
                try:
                    keep(self.lent(new))
                except KeyboardInterrupt:
                    raise
                except BaseException as error:  # of a hook's own `keep`, which is no reason to stop measuring
                    if not self.guests:
                        raise
                    self.complain(f"failed: {in_short(error)}")
                finally:
                    self.settle()

            self.begun = True
            try:
                execute(self.block, done(), arrived)
            except BaseException as error:
                self.ended_by = error
                raise

        return measure

    def keep(self, new: list[Record]) -> None:
        """The `keep` that hooks are given."""
        for record in new:
            measured = self.measured.get(key(record))
            if measured is None:
                self.complain("hands over a record that was not measured; it is not kept")
            else:
                self.handed_on[key(record)] = self.as_measured(measured, record)

    def as_measured(self, measured: Record, record: Record) -> Record:
        """What is stored of a record that hooks had in hands: what was measured, and what they have added."""
        if record is measured:
            return measured
        added = {name: value for name, value in record.data.items() if name not in measured.data}
        kept = replace(measured, data={**measured.data, **added})
        if kept != record:
            self.complain("changes a record; it is kept as it was measured")
        try:
            json.dumps(added)
        except (TypeError, ValueError) as error:
            self.complain(f"adds what cannot be stored: {in_short(error)}")
            return measured
        return kept

    def settle(self) -> None:
        """Store the replicate that has arrived, whole, whatever hooks have kept back of it."""
        if self.handed_on.keys() != self.measured.keys():
            self.complain("keeps records back; they are kept all the same")
        self.store([self.handed_on.get(place, record) for place, record in self.measured.items()])
        self.measured, self.handed_on = {}, {}

    def complain(self, what: str) -> None:
        """Name the hooks around this block: which of several it was cannot be told."""
        self.problem(f"{self.guests}: run_block {what} ({self.block.name})")


def key(record: Record) -> tuple[str, str, str, int]:
    """What tells a record from the others of its block."""
    return (record.measure, record.level, record.role, record.replicate)
