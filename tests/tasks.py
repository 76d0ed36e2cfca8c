"""Tasks for the code of kinds of measurement, run in the process of the test."""

from __future__ import annotations

from typing import Any

from harness.measure.runtime.builder import TrialBuilder
from harness.measure.runtime.task import Task
from harness.measure.runtime.watchdog import Watchdog
from harness.plugins.catalog import Catalog
from harness.records.plan import Block


def task(block: Block, level: str, catalog: Catalog | TrialBuilder, mode: str = "train", **more: Any) -> Task:
    """A task for a level of a block, by default with the settings of learning. Its watchdog sets no alarm, since that
    would end the process of the test."""
    builder = catalog if isinstance(catalog, TrialBuilder) else TrialBuilder(catalog)
    return Task(
        block=block,
        mode=mode,
        builder=builder,
        watchdog=Watchdog(0.0),
        level=level,
        **{"settings": block.measures.learning, **more},
    )
