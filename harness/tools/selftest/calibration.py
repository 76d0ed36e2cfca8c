"""How often the verdicts are wrong, on recorded noise. Deterministic: fixed seeds, no clock.

An experiment replays some simulated processes (`harness.tools.selftest.traces.segment`) with a known difference through
the very code that judges a run. Many of them make a cell; cells are held to bars.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.analysis import stats
from harness.analysis.samples import Clock, Samples
from harness.analysis.stats import Array, Estimate
from harness.analysis.timing import CPU_SHARE, Measured, decide
from harness.analysis.verdicts import Verdict
from harness.records.plan import Block, Spec, Trial
from harness.records.settings import Measures, Speed
from harness.tools.selftest.traces import Traces, segment

#: Experiments a cell: a share of 5 % is then known to ±0.7 %.
REPLAYS = 1000
#: A fresh recording with fewer traces than this in an environment says little about it.
ENOUGH_TRACES = 60


#: Which clock decides (None: the one that the method chooses), processes, true difference.
CONDITIONS: tuple[tuple[Clock | None, int, float], ...] = (
    ("wall", 5, 0.0), ("wall", 10, 0.0), ("cpu", 5, 0.0), ("cpu", 10, 0.0),
    (None, 5, 0.0), (None, 5, 0.02), (None, 5, 0.05), ("wall", 5, 0.02), ("cpu", 5, 0.02), ("cpu", 5, 0.05),
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """Experiments under one condition, counted: `effect` is the true difference, shares are of all experiments.

    `clock` is the one that decided; None leaves the choice to the method. `excludes` is how often the 95 % interval
    excluded 0, `covers` how often it held the true difference."""

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
    """A bar that a share must reach or stay below. `binding` is False where it is only reported."""

    name: str
    share: float
    bar: float
    must: Literal["at most", "at least"]
    binding: bool = True

    @property
    def holds(self) -> bool:
        """Whether the bar is met."""
        return self.share <= self.bar if self.must == "at most" else self.share >= self.bar


def calibrate(
    traces: Traces, replays: int = REPLAYS, *, shipped: bool = True, say: Callable[[str], None] = lambda text: None
) -> tuple[list[Cell], list[Check]]:
    """All cells and the bars they are held to (docs/method.md has the table). On another recording than the shipped
    one, only the rates of errors bind: what can be found depends on the machine it was made on."""
    cells = []
    for environment, group in traces.items():
        for clock, processes, effect in CONDITIONS:
            say(f"{environment}, {clock or 'either'} clock, {processes} processes, {effect:+.0%}")
            cells.append(cell(group, environment, clock, processes, effect, replays))
    checks = [check for c in cells for check in checks_of(c, is_contended(traces[c.environment]), shipped)]
    for environment, group in traces.items():
        share = one_after_the_other(group, replays)
        name = f"{environment}: the usual way (all of A, then all of B, Welch's t) raises false alarms"
        # The burner's noise is what shows it most; elsewhere it is told, not asked for.
        checks.append(Check(name, share, 0.15, "at least", binding=shipped and environment == "load"))
    return cells, checks


def is_contended(traces: Sequence[Array]) -> bool:
    """Whether something else ran on the core in most of the traces."""
    return float(np.median([trace[:, [1, 3]].sum() / trace[:, [0, 2]].sum() for trace in traces])) < CPU_SHARE


def checks_of(c: Cell, contended: bool, shipped: bool) -> Iterator[Check]:
    """What is asked of a cell."""
    clock = f"{c.clock} clock" if c.clock else "the method's clock"
    name = f"{c.environment}, {clock}, {c.processes} processes"
    if c.effect == 0:
        yield Check(f"{name}: 95 % interval of no difference excludes 0", c.excludes, 0.075, "at most")
        bar = 0.05 if contended and c.clock == "wall" else 0.01
        yield Check(f"{name}: no difference called faster or slower", c.faster + c.slower, bar, "at most")
    if c.effect == 0.02:
        yield Check(f"{name}: +2 %, the margin, called equivalent", c.equivalent, 0.08, "at most")
    if c.clock == "cpu" and c.effect == 0.02:
        bar = 0.78 if contended else 0.92
        yield Check(f"{name}: 95 % interval of +2 % excludes 0", c.excludes, bar, "at least", binding=shipped)
    if c.clock == "cpu" and c.effect == 0.05:
        yield Check(f"{name}: +5 % called slower", c.slower, 0.91, "at least", binding=shipped)
    if contended and c.clock == "wall" and c.processes == 5:
        words = "no difference" if c.effect == 0 else f"{c.effect:+.0%}"
        yield Check(f"{name}: {words} left undecided", c.undecided, 0.90, "at least", binding=shipped)
    if c.clock is None:
        yield Check(f"{name}: interval covers {c.effect:+.0%}", c.covers, 0.92, "at least")


def cell(
    traces: Sequence[Array], environment: str, clock: Clock | None, processes: int, effect: float, replays: int
) -> Cell:
    """Many experiments under one condition."""
    draw = random.Random(f"{environment} {clock} {processes} {effect}")
    found = [experiment(traces, processes, effect, draw, clock) for _ in range(replays)]
    intervals = [estimate.interval() for estimate, _ in found]
    truth = math.log1p(effect)

    def share(verdict: str) -> float:
        return sum(each == verdict for _, each in found) / replays

    return Cell(
        environment=environment,
        clock=clock,
        processes=processes,
        effect=effect,
        excludes=sum(low > 0 or high < 0 for low, high in intervals) / replays,
        faster=share("faster"),
        slower=share("slower"),
        equivalent=share("equivalent"),
        undecided=share("undecided"),
        covers=sum(low <= truth <= high for low, high in intervals) / replays,
    )


def experiment(
    traces: Sequence[Array], processes: int, effect: float, draw: random.Random, clock: Clock | None = None
) -> tuple[Estimate, Verdict]:
    """Two things whose times differ by `effect` and by nothing else: the estimate of their ratio, and the verdict."""
    replayed = []
    for _ in range(processes):
        part = segment(draw.choice(traces), draw) * 1e-6
        slower = effect * np.median(part[:, :2], axis=0)
        replayed.append({("a", "variant"): samples(part[:, :2]), ("b", "variant"): samples(part[:, 2:] + slower)})
    measured = Measured.of_processes(BLOCK, "train", replayed)
    if clock is not None:
        measured.clock = clock
    found = stats.estimate(measured.log_ratios("b", "variant"))
    return found, decide(found, measured.settings, stats.FLOOR)[0]


def samples(times: Array) -> Samples:
    """Wall and CPU seconds, (n, 2), as one process's samples of one batch."""
    n = len(times)
    return Samples(times[:, 0], times[:, 1], np.zeros(n, dtype=np.int64), np.arange(n), {}, {})


def one_after_the_other(traces: Sequence[Array], replays: int) -> float:
    """The usual way, as the negative control: how often the two halves of one thing's times, A's first and then B's,
    differ by Welch's t at 5 %. Were this rare, the recording would be too tame to show anything."""
    draw = random.Random("one after the other")
    alarms = 0
    for _ in range(replays):
        times = segment(draw.choice(traces), draw)[:, 0]
        half = len(times) // 2
        alarms += welch(times[:half], times[half:]) < 0.05
    return alarms / replays


def welch(a: Array, b: Array) -> float:
    """The two-sided p value of Welch's t test."""
    parts = [float(x.var(ddof=1)) / len(x) for x in (a, b)]
    df = sum(parts) ** 2 / sum(part**2 / (len(x) - 1) for part, x in zip(parts, (a, b), strict=True))
    return 2 * stats.t_tail(abs(float(a.mean() - b.mean())) / math.sqrt(sum(parts)), df)


def _trial(level: str) -> Trial:
    nothing = Spec("replayed", {}, "selftest", "")
    return Trial(level, nothing, nothing, (), 1, 0, "cpu", level, "rounding")


BLOCK = Block({}, (_trial("a"), _trial("b")), Measures.of(speed=Speed()))


def as_json(cells: Sequence[Cell], checks: Sequence[Check]) -> Mapping[str, object]:
    """For scripts."""
    return {"cells": [vars(c) for c in cells], "checks": [{**vars(c), "holds": c.holds} for c in checks]}
