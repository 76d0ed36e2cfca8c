"""Which clock decides a comparison: wall time, or CPU time where another program used the core.

A trial must not be able to choose its clock. Whether the core was shared is therefore read from the baseline and its
control alone, and CPU time is used for another trial only if it spends its wall time as the baseline does: a trial that
waits, or works in other threads or processes, has less CPU time than work.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.analysis import stats
from harness.analysis.samples import Clock, Samples
from harness.records.plan import Block

#: The samples of one process by (level, role).
Process = Mapping[tuple[str, str], Samples]

#: Below this share of CPU time in wall time, another program used the measuring core.
CPU_SHARE = 0.90
#: Two trials whose shares of CPU time differ by more than this do not spend their time in the same way. The shares of
#: identical trials in the recordings differ by at most 0.057.
SHARE_GAP = 0.08
#: The same for the samples that were not preempted, where the shares of identical trials differ by less than 0.005,
#: and for the interval of the ratio of two shares.
UNDISTURBED_GAP = 0.02


@dataclass(frozen=True)
class Shares:
    """How a trial spends wall time: medians over processes of the share of CPU time of its thread, of its process, and
    of its process in samples without preemption (None where that is not known)."""

    thread: float = 1.0
    process: float = 1.0
    undisturbed: float | None = None

    @classmethod
    def of(cls, samples: Sequence[Samples]) -> Shares:
        """The shares of a trial from its samples in each process."""
        if not samples:
            return cls()
        thread, process = (_median([getattr(one, name) for one in samples]) for name in ("cpu_share", "process_share"))
        alone = [share for one in samples if (share := one.undisturbed_share) is not None]
        return cls(thread, process, _median(alone) if alone else None)

    def differs_from(self, other: Shares) -> bool:
        """Whether the trial waits, or works elsewhere, more or less than another one."""
        if max(abs(self.thread - other.thread), abs(self.process - other.process)) > SHARE_GAP:
            return True
        known = self.undisturbed is not None and other.undisturbed is not None
        return known and abs(self.undisturbed - other.undisturbed) > UNDISTURBED_GAP  # type: ignore[operator]


class ClockChoice:
    """The clock of a block, and which of its levels may be compared by it.

    `cpu_share` is the smaller share of CPU time of the baseline and its control. `contended`: the core was shared, and
    no clock can replace wall time."""

    def __init__(self, block: Block, processes: Sequence[Process]) -> None:
        baseline = self._name = block.baseline.level
        self._known: dict[tuple[str, str], bool] = {}
        # A program may wait, or use several processes, as it likes: what counts is how long a user waits for it.
        self._on_cpu = all(trial.device == "cpu" for trial in block.trials) and not block.of_programs
        members = [(baseline, "variant"), (baseline, "control")]
        both = [Shares.of([p[member] for p in processes if member in p]) for member in members]
        self._baseline = both[0]
        self._processes = processes
        self.cpu_share = min(share.thread for share in both)
        # During a GPU's step the host only queues work and waits, so its CPU time says nothing.
        shared = self.cpu_share < CPU_SHARE and self._on_cpu and not self._baseline_waits()
        self.contended = shared and block.threads > 1  # CPU time of several threads says nothing about wall time
        self.clock: Clock = "cpu" if shared and not self.contended else "wall"

    def _baseline_waits(self) -> bool:
        """Whether the baseline has a low share of CPU time without another program: CPU time would ignore its waits."""
        alone = self._baseline.undisturbed
        return alone is not None and alone < 1 - UNDISTURBED_GAP

    def differs(self, level: str, role: str = "variant") -> bool:
        """Whether a level spends its wall time in another way than the baseline."""
        if not self._on_cpu or (level, role) == (self._name, "variant"):
            return False
        if (level, role) not in self._known:
            pairs = [(p[self._name, "variant"], p[level, role]) for p in self._processes if (level, role) in p]
            differs = Shares.of([pair[1] for pair in pairs]).differs_from(self._baseline) or shares_differ(pairs)
            self._known[level, role] = differs
        return self._known[level, role]

    def of(self, level: str, role: str = "variant") -> Clock:
        """The clock by which a level is compared with the baseline."""
        return "wall" if self.clock == "cpu" and self.differs(level, role) else self.clock


def shares_differ(pairs: Sequence[tuple[Samples, Samples]]) -> bool:
    """Whether the ratio of two shares of CPU time differs from 1 in all processes alike. On a shared core, both shares
    vary from process to process, and together."""
    shares = [(a.process_share, b.process_share) for a, b in pairs]
    ratios = [math.log(b / a) for a, b in shares if a > 0 and b > 0]
    if len(ratios) < 2:
        return False
    low, high = stats.estimate(ratios).interval()
    return low > UNDISTURBED_GAP or high < -UNDISTURBED_GAP


def _median(values: Iterable[Any]) -> float:
    return float(np.median([*values]))
