"""When the timing of a block has enough processes."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis import stats
from harness.analysis.timing import Measured, decide, looks_of
from harness.analysis.verdicts import Verdict
from harness.records.plan import Block
from harness.records.record import Record


def another_process(block: Block, records: Sequence[Record], mode: str) -> bool:
    """Whether another process is due: the intervals are too wide, or a verdict is missing, and there is time left."""
    measured = Measured(block, records, mode)
    settings, k, looks = measured.settings, len(measured.processes), looks_of(block)
    if not k or settings.quick:
        return not k
    estimates = [e for level, e in measured.estimates().items() if level not in measured.broken and e.k > 1]
    if settings.until_decided:
        # Verdicts use the stricter level POCOCK, since each look may stop the run. The floor also depends on the
        # controls of other blocks, so a report can still say undecided.
        verdicts = {decide(e, settings, stats.FLOOR, looks[0])[0] for e in estimates}
        enough = verdicts.isdisjoint((Verdict.UNDECIDED, Verdict.INVALID))
    else:
        enough = stats.is_precise([e.half_width() for e in estimates], k, settings.half_width, looks[-1])
    return stats.go_on(enough, k, measured.seconds, settings.budget, looks)
