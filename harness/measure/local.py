"""The executor that measures on this machine, one block after another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from harness.measure.coordinator import measure_block
from harness.measure.record_guard import Execute
from harness.measure.servers import Servers

if TYPE_CHECKING:
    from harness.measure.runner import RunContext


@contextmanager
def execute(run: RunContext) -> Iterator[Execute]:
    """Yields ``execute(block, done, keep)``, to be called for one block after another."""
    with Servers(run.folder, run.catalog, run.on_machine, run.jobs) as servers:
        yield partial(measure_block, servers=servers)
