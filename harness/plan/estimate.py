"""How long a plan will take, at least and at most."""

from __future__ import annotations

from harness.plugins.catalog import Catalog, resolve
from harness.records.plan import Block
from harness.records.settings import Learning, Settings, Speed

#: Seconds that verification of a block takes.
VERIFICATION = 2.0
#: Seconds of one training step, for want of a measurement.
STEP = 0.01


def estimated_seconds(block: Block, catalog: Catalog) -> tuple[float, float]:
    """The least time that a block takes where steps take a few milliseconds, and what its budgets allow, in seconds."""
    least = most = VERIFICATION
    for name, measure in catalog.measures.items():
        settings = block.measures.get(name, measure.settings)
        if settings is None:
            continue
        estimate = measure.kind.estimate
        if isinstance(estimate, (int, float)):
            modes = getattr(settings, "of", None) or ("",)
            low = high = float(estimate) * len(block.trials) * len(modes)
        else:
            low, high = resolve(estimate, measure.entry.owner)(settings, block)
        least, most = least + low, most + high
    return least, most


def speed_seconds(settings: Settings, block: Block) -> tuple[float, float]:
    """Five processes in each mode (ten where processes take turns, one in a quick run), and the budget."""
    speed = block.measures.speed or Speed()
    processes = 1 if speed.quick else 10 if block.takes_turns else 5
    least = len(speed.of) * processes * (len(block.trials) + 1) * (speed.seconds + speed.warm_up)
    return least, max(least, speed.budget * len(speed.of))


def learning_seconds(settings: Settings, block: Block) -> tuple[float, float]:
    """Every trial under every seed, one run at a time."""
    learning = block.measures.learning or Learning()
    each = learning.seconds or STEP * (learning.steps or 1000)
    seconds = each * len(learning.seeds) * len(block.trials)
    return seconds, seconds
