"""The executor that measures on this machine, one block after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from harness.measure.coordinator import Keep, Servers, measure_block
from harness.records.plan import Block, Record


@contextmanager
def execute(run: Any) -> Iterator[Callable[[Block, list[Record], Keep], None]]:
    """Yields ``execute(block, done, keep)``. `run` has the run's `folder`, its plugin `files`, `met`, which is
    told the machine's facts, `jobs`, how many may compute at a time where no clock runs, and the installed plugins that
    it is to do `without`."""
    with Servers(run.folder, run.files, run.met, run.jobs, run.without) as servers:
        yield lambda block, done, keep: measure_block(block, done, keep, servers)
