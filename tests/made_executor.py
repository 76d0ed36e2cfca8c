"""A plugin file whose executor "made" stores synthetic records without measuring.

A level takes 1 + the `share` of its optimizations times as long as the baseline. The toy's model `broken` fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from made_runs import FACTS, failure, timed

import harness
from harness.records.plan import Block
from harness.records.record import Record

MADE = Path(__file__)


@contextmanager
def execute(context: Any) -> Iterator[Callable[..., None]]:
    context.on_machine(FACTS)

    def measure(block: Block, done: list[Record], store: Callable[[list[Record]], None]) -> None:
        speed = block.measures.speed
        broken = [trial.level for trial in block.trials if trial.model.name == "broken"]
        timed_ones = [trial for trial in block.trials[1:] if trial.level not in broken]
        shares = {t.level: sum(spec.parameters.get("share", 0.0) for spec in t.use) for t in timed_ones}
        records = timed(block, {level: 1 + share for level, share in shares.items()}, processes=1 if speed.quick else 5)
        counts = {"points": [8.0]}  # the toy has a metric that uses it
        records = [replace(record, data={**record.data, "counts": counts}) for record in records]
        stored = {(record.block, record.measure, record.replicate) for record in done}
        if broken and (block.id, "verify", 0) not in stored:
            store([replace(failure(block, level), of=len(broken)) for level in broken])
        for mode in speed.of:
            for number in range(1 if speed.quick else 5):
                replicate = [replace(r, measure=f"speed.{mode}") for r in records if r.replicate == number]
                if (block.id, f"speed.{mode}", number) not in stored:
                    store(replicate)

    yield measure


@harness.hookimpl
def provide_executors() -> Iterator[harness.Executor]:
    yield harness.Executor("made", execute, "stores made records")
