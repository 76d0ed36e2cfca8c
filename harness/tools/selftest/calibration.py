"""How often verdicts are wrong on recorded noise. Deterministic: fixed seeds, no clock.

An experiment replays simulated processes (`harness.tools.selftest.traces.segment`) with a known difference through the
code that analyses a run, and stops when a run would stop. Many experiments under one condition give the rates that are
checked.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np

from harness.analysis import stats
from harness.analysis.clocks import CPU_SHARE, Process
from harness.analysis.samples import Clock, Samples, step_time
from harness.analysis.standing import is_settled
from harness.analysis.stats import Array
from harness.analysis.time_verdicts import looks_of
from harness.analysis.timing import Comparison, Measured
from harness.analysis.verdicts import Verdict
from harness.records.plan import Block, Spec, Trial
from harness.records.settings import Measures, Speed
from harness.tools.selftest.traces import Traces, segment

#: Experiments per condition: a rate of 5 % is then known to ±0.7 %.
REPLAYS = 1000
#: A recording with fewer traces than this in an environment says little about it.
ENOUGH_TRACES = 60

#: How a level differs from the baseline: ``(wall and CPU seconds of the level, shape (n, 2)) -> the same``.
Change = Callable[[Array], Array]


def slower(share: float) -> Change:
    """Every step is slower by this share of the median step."""
    return lambda times: times + share * np.median(times, axis=0)


def waiting(share: float) -> Change:
    """Every step waits for this share of its time, without using the processor."""
    return lambda times: np.column_stack([times[:, 0] + share * times[:, 1], times[:, 1]])


def moved(share: float) -> Change:
    """This share of the work is done by another thread, while the step waits for it. The wall time stays the same."""
    return lambda times: np.column_stack([times[:, 0], (1 - share) * times[:, 1]])


def every(period: int, share: float) -> Change:
    """Every n-th step takes longer by this share of the median step."""
    return lambda times: times + share * np.median(times, axis=0) * (np.arange(len(times)) % period == 0)[:, None]


@dataclass(frozen=True)
class Condition:
    """A known difference under one rule. `effect` is the true difference of wall time. With `clock`, that clock
    decides, and not the one that the method selects."""

    name: str
    effect: float
    change: Change
    gate: bool = False
    clock: Clock | None = None

    @property
    def words(self) -> str:
        """The condition as text."""
        rule = "gate" if self.gate else "default"
        return f"{rule}{f', {self.clock} clock' if self.clock else ''}: {self.name}"


CONDITIONS = (
    *(
        Condition(name, effect, slower(effect), gate)
        for gate in (False, True)
        for name, effect in (("no difference", 0.0), ("+2 %, the margin", 0.02), ("+5 %", 0.05))
    ),
    Condition("no difference", 0.0, slower(0.0), clock="wall"),
    Condition("no difference", 0.0, slower(0.0), clock="cpu"),
    Condition("every tenth step doubled, +10 %", 0.10, every(10, 1.0)),
    Condition("waits for 30 % of the step", 0.30, waiting(0.3)),
    Condition("60 % of the work in another thread", 0.0, moved(0.6)),
)


@dataclass(frozen=True)
class Rates:
    """The rates of outcomes in experiments under one condition. `processes` is their mean number. `covers` is how often
    the interval includes the true difference, and `excludes` how often it excludes 0."""

    environment: str
    condition: str
    processes: float
    effect: float
    excludes: float
    faster: float
    slower: float
    equivalent: float
    not_slower: float
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
        for condition in CONDITIONS:
            say(f"{environment}, {condition.words}")
            rates.append(rates_under(group, environment, condition, replays))
            checks += checks_of(rates[-1], condition, contended, shipped)
    for environment, group in traces.items():
        share = false_alarms_in_sequence(group, replays)
        name = f"{environment}: all of A, then all of B, compared by Welch's t test: false alarms"
        # The negative control: a recording in which this is rare has too little drift to test a method with.
        checks.append(Check(name, share, 0.075, "at least", binding=shipped))
    return rates, checks


def is_contended(traces: Sequence[Array]) -> bool:
    """Whether something else ran on the core in most of the traces."""
    return float(np.median([trace[:, [1, 3]].sum() / trace[:, [0, 2]].sum() for trace in traces])) < CPU_SHARE


def checks_of(rates: Rates, condition: Condition, contended: bool, shipped: bool) -> Iterator[Check]:
    """The limits under one condition."""
    name, effect = f"{rates.environment}, {condition.words}", condition.effect
    honest = condition.clock is None
    if condition.name.startswith("no difference"):
        limit = 0.05 if contended and condition.clock == "wall" else 0.02
        yield Check(f"{name}: called faster or slower", rates.faster + rates.slower, limit, "at most")
    if effect == 0.02:
        wrong = rates.equivalent + rates.not_slower + rates.faster
        yield Check(f"{name}: called equivalent, not slower or faster", wrong, 0.05, "at most")
        yield Check(f"{name}: called slower", rates.slower, 0.5, "at least", binding=shipped)
    if effect == 0.05:
        yield Check(f"{name}: called slower", rates.slower, 0.9, "at least", binding=shipped)
    if effect == 0.10:
        wrong = rates.equivalent + rates.not_slower + rates.faster
        yield Check(f"{name}: called equivalent, not slower or faster", wrong, 0.01, "at most")
        yield Check(f"{name}: called slower", rates.slower, 0.85, "at least", binding=shipped)
    if effect == 0.30:
        limit = 0.05 if contended else 0.01
        wrong = rates.equivalent + rates.not_slower + rates.faster
        yield Check(f"{name}: called equivalent, not slower or faster", wrong, limit, "at most")
        yield Check(f"{name}: called slower", rates.slower, 0.99, "at least", binding=shipped and not contended)
    if "another thread" in condition.name:
        yield Check(f"{name}: called faster or slower", rates.faster + rates.slower, 0.02, "at most")
    elif honest and effect < 0.1:
        yield Check(f"{name}: the interval covers the difference", rates.covers, 0.94, "at least")


def rates_under(traces: Sequence[Array], environment: str, condition: Condition, replays: int) -> Rates:
    """The rates in many experiments under one condition."""
    draw = random.Random(f"{environment} {condition.words}")
    found = [experiment(traces, condition, draw) for _ in range(replays)]
    estimates = [one.estimate for one in found if one.estimate is not None]
    intervals = [estimate.interval() for estimate in estimates]
    truth = math.log1p(condition.effect)
    names = (Verdict.FASTER, Verdict.SLOWER, Verdict.EQUIVALENT, Verdict.NOT_SLOWER, Verdict.UNDECIDED)
    return Rates(
        environment, condition.words, sum(estimate.k for estimate in estimates) / replays, condition.effect,
        excludes=sum(low > 0 or high < 0 for low, high in intervals) / replays,
        covers=sum(low <= truth <= high for low, high in intervals) / replays,
        **{name.replace(" ", "_"): sum(one.verdict == name for one in found) / replays for name in names},
    )  # fmt: skip


def experiment(traces: Sequence[Array], condition: Condition, draw: random.Random) -> Comparison:
    """The comparison of two levels that differ as the condition says and in nothing else, in as many processes as the
    rule takes."""
    block = block_of(gate=condition.gate)
    measured = Measured.of_processes(block, "train", [])
    looks = looks_of(block)
    for look in looks:
        measured.extend([process(traces, condition.change, draw) for _ in range(look - len(measured.processes))])
        if condition.clock is not None:
            measured.clock = condition.clock
        found = measured.compare(block.trials[1], "step_time", step_time, stats.FLOOR, False)
        if is_settled(found, measured.settings, looks, stats.FLOOR):
            break
    return found


def process(traces: Sequence[Array], change: Change, draw: random.Random) -> Process:
    """The samples of one simulated process."""
    part = segment(draw.choice(traces), draw) * 1e-6
    return {("a", "variant"): samples(part[:, :2]), ("b", "variant"): samples(change(part[:, 2:]))}


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


@cache
def block_of(*, gate: bool) -> Block:
    """Two levels under the default rule, or under that of a gate."""
    speed = Speed(until="decided").as_planned(plain=gate)
    return Block({}, (_trial("a"), _trial("b")), Measures.of(speed=speed))


def to_json(rates: Sequence[Rates], checks: Sequence[Check]) -> dict[str, Any]:
    """The rates and their limits as JSON values."""
    return {"rates": [vars(one) for one in rates], "checks": [{**vars(c), "holds": c.holds} for c in checks]}
