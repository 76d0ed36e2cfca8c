"""How often verdicts are wrong on recorded noise. Deterministic: fixed seeds, no clock.

An experiment replays a few simulated processes (`harness.tools.selftest.traces.segment`) with a known difference
through the code that analyses a run. Many experiments under one condition give the rates that are checked.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from harness.analysis import stats
from harness.analysis.samples import Clock, Samples
from harness.analysis.stats import Array, Estimate
from harness.analysis.timing import CPU_SHARE, Measured, decide
from harness.analysis.verdicts import Verdict
from harness.records.plan import Block, Spec, Trial
from harness.records.settings import Measures, Speed
from harness.tools.selftest.traces import Traces, segment

#: Experiments per condition: a rate of 5 % is then known to ±0.7 %.
REPLAYS = 1000
#: A recording with fewer traces than this in an environment says little about it.
ENOUGH_TRACES = 60

#: The deciding clock (None: the one that the method chooses), processes, true difference.
CONDITIONS: tuple[tuple[Clock | None, int, float], ...] = (
    ("wall", 5, 0.0), ("wall", 10, 0.0), ("cpu", 5, 0.0), ("cpu", 10, 0.0),
    (None, 5, 0.0), (None, 5, 0.02), (None, 5, 0.05), ("wall", 5, 0.02), ("cpu", 5, 0.02), ("cpu", 5, 0.05),
)  # fmt: skip


@dataclass(frozen=True)
class Rates:
    """The rates of outcomes in experiments under one condition. `effect` is the true difference, `clock` the deciding
    one; None leaves the choice to the method. `excludes` is how often the 95 % interval excludes 0, `covers` how often
    it includes the true difference."""

    environment: str
    clock: Clock | None
    processes: int
    effect: float
    excludes: float
    faster: float
    slower: float
    equivalent: float
    undecided: float
    covers: float


@dataclass(frozen=True)
class Check:
    """A rate and its limit. It is only shown if it is not `binding`."""

    name: str
    share: float
    limit: float
    must: Literal["at most", "at least"]
    binding: bool = True

    @property
    def holds(self) -> bool:
        """Whether the rate is within the limit."""
        return self.share <= self.limit if self.must == "at most" else self.share >= self.limit


def calibrate(
    traces: Traces, replays: int = REPLAYS, *, shipped: bool = True, say: Callable[[str], None] = lambda text: None
) -> tuple[list[Rates], list[Check]]:
    """The rates under all conditions, and their limits (docs/method.md has the table). On a recording that is not the
    shipped one, only error rates are binding: how much can be detected depends on the machine."""
    rates: list[Rates] = []
    checks: list[Check] = []
    for environment, group in traces.items():
        contended = is_contended(group)
        for clock, processes, effect in CONDITIONS:
            say(f"{environment}, {clock or 'either'} clock, {processes} processes, {effect:+.0%}")
            rates.append(rates_under(group, environment, clock, processes, effect, replays))
            checks += checks_of(rates[-1], contended, shipped)
    for environment, group in traces.items():
        share = false_alarms_in_sequence(group, replays)
        name = f"{environment}: all of A, then all of B, compared by Welch's t test: false alarms"
        # The negative control. It shows most under load; elsewhere it is only reported.
        checks.append(Check(name, share, 0.15, "at least", binding=shipped and environment == "load"))
    return rates, checks


def is_contended(traces: Sequence[Array]) -> bool:
    """Whether something else ran on the core in most of the traces."""
    return float(np.median([trace[:, [1, 3]].sum() / trace[:, [0, 2]].sum() for trace in traces])) < CPU_SHARE


def checks_of(rates: Rates, contended: bool, shipped: bool) -> Iterator[Check]:
    """The limits under one condition."""
    clock = f"{rates.clock} clock" if rates.clock else "the method's clock"
    name, effect = f"{rates.environment}, {clock}, {rates.processes} processes", rates.effect
    if effect == 0:
        yield Check(f"{name}: 95 % interval of no difference excludes 0", rates.excludes, 0.075, "at most")
        limit = 0.05 if contended and rates.clock == "wall" else 0.01
        yield Check(f"{name}: no difference called faster or slower", rates.faster + rates.slower, limit, "at most")
    if effect == 0.02:
        yield Check(f"{name}: +2 %, the margin, called equivalent", rates.equivalent, 0.08, "at most")
    if rates.clock == "cpu" and effect == 0.02:
        limit = 0.78 if contended else 0.92
        yield Check(f"{name}: 95 % interval of +2 % excludes 0", rates.excludes, limit, "at least", binding=shipped)
    if rates.clock == "cpu" and effect == 0.05:
        yield Check(f"{name}: +5 % called slower", rates.slower, 0.91, "at least", binding=shipped)
    if contended and rates.clock == "wall" and rates.processes == 5:
        words = "no difference" if effect == 0 else f"{effect:+.0%}"
        yield Check(f"{name}: {words} left undecided", rates.undecided, 0.90, "at least", binding=shipped)
    if rates.clock is None:
        yield Check(f"{name}: interval covers {effect:+.0%}", rates.covers, 0.92, "at least")


def rates_under(
    traces: Sequence[Array], environment: str, clock: Clock | None, processes: int, effect: float, replays: int
) -> Rates:
    """The rates in many experiments under one condition."""
    draw = random.Random(f"{environment} {clock} {processes} {effect}")
    found = [experiment(traces, processes, effect, draw, clock) for _ in range(replays)]
    intervals = [estimate.interval() for estimate, _ in found]
    truth = math.log1p(effect)
    names = (Verdict.FASTER, Verdict.SLOWER, Verdict.EQUIVALENT, Verdict.UNDECIDED)
    return Rates(
        environment, clock, processes, effect,
        excludes=sum(low > 0 or high < 0 for low, high in intervals) / replays,
        covers=sum(low <= truth <= high for low, high in intervals) / replays,
        **{str(name): sum(verdict == name for _, verdict in found) / replays for name in names},
    )  # fmt: skip


def experiment(
    traces: Sequence[Array], processes: int, effect: float, draw: random.Random, clock: Clock | None = None
) -> tuple[Estimate, Verdict]:
    """The estimate and verdict for two levels whose times differ by `effect` and by nothing else."""
    replayed = []
    for _ in range(processes):
        part = segment(draw.choice(traces), draw) * 1e-6
        added = effect * np.median(part[:, :2], axis=0) if effect else 0.0
        replayed.append({("a", "variant"): samples(part[:, :2]), ("b", "variant"): samples(part[:, 2:] + added)})
    measured = Measured.of_processes(BLOCK, "train", replayed)
    if clock is not None:
        measured.clock = clock
    found = stats.estimate(measured.log_ratios("b", "variant"))
    return found, decide(found, measured.settings, stats.FLOOR)[0]


def samples(times: Array) -> Samples:
    """Wall and CPU seconds, shape (n, 2), as the samples of one process and one batch."""
    n = len(times)
    return Samples(times[:, 0], times[:, 1], np.zeros(n, dtype=np.int64), np.arange(n), {}, {})


def false_alarms_in_sequence(traces: Sequence[Array], replays: int) -> float:
    """The negative control: how often the two halves of one level's times, the first taken as A's and the second as
    B's, differ by Welch's t test at 5 %. If this were rare, the recording would have too little drift to show
    anything."""
    draw = random.Random("one after the other")
    alarms = 0
    for _ in range(replays):
        times = segment(draw.choice(traces), draw)[:, 0]
        a, b = times[: len(times) // 2], times[len(times) // 2 :]
        alarms += stats.welch(stats.estimate(a.tolist()), stats.estimate(b.tolist())).p_value() < 0.05
    return alarms / replays


def _trial(level: str) -> Trial:
    nothing = Spec("replayed", {}, "selftest", "")
    return Trial(level, nothing, nothing, (), 1, 0, "cpu", level, "rounding")


BLOCK = Block({}, (_trial("a"), _trial("b")), Measures.of(speed=Speed()))


def to_json(rates: Sequence[Rates], checks: Sequence[Check]) -> dict[str, Any]:
    """The rates and their limits as JSON values."""
    return {"rates": [vars(one) for one in rates], "checks": [{**vars(c), "holds": c.holds} for c in checks]}
