"""This machine, now: is the same told the same, and is an effect of known size found? And recordings of its noise."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.analysis import stats
from harness.analysis.controls import floor_of
from harness.analysis.stats import Array
from harness.analysis.timing import CPU_SHARE, Comparison, Measured
from harness.errors import UserError
from harness.measure.coordinator import measure_block
from harness.measure.servers import Servers
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.plugins.manager import load_plugins
from harness.records.plan import Block
from harness.records.record import Record
from harness.suite.loader import parse_suite
from harness.suite.yaml_source import read_text
from harness.tools.selftest.traces import LEAST_PAIRS, PROCESSES

SPECIMEN = Path(__file__).parents[2] / "testing" / "specimen.py"

SUITE = """
question: Is the same told the same, and is an effect of known size found?
base:
  model: specimen
  dataset: {name: specimen_points, batch_size: 128}
  use: [descent]
axes:
  what:
    base: {}
    same: {}
    slowed: {use: [{name: waste, share: 0.05}]}
compare: {axis: what, baseline: base}
measure:
  speed: {half_width: 99%, budget: 1 s, batches: 4}
"""

#: The effect that is planted.
EFFECT = 0.05


@dataclass(frozen=True)
class Experiment:
    """One comparison of five fresh processes: of the baseline with itself, or with the planted effect."""

    comparison: Comparison
    planted: float

    @property
    def excludes(self) -> bool:
        """Whether the 95 % interval excludes no difference."""
        low, high = self.comparison.interval or (0.0, 2.0)
        return low > 1 or high < 1

    @property
    def covers(self) -> bool:
        """Whether it holds the truth."""
        low, high = self.comparison.interval or (1.0, 1.0)
        return low <= 1 + self.planted <= high


@dataclass(frozen=True)
class Summary:
    """Experiments, counted. `coordinator` is the share of a core that this process used while others measured."""

    same: Sequence[Experiment]
    planted: Sequence[Experiment]
    coordinator: float

    @property
    def significant(self) -> int:
        """A/A intervals that exclude no difference: 5 % of them do by chance."""
        return sum(experiment.excludes for experiment in self.same)

    @property
    def false_verdicts(self) -> int:
        """A/A comparisons called faster or slower."""
        return sum(experiment.comparison.verdict in ("faster", "slower") for experiment in self.same)

    @property
    def found(self) -> int:
        """Planted effects called slower, with an interval that holds their true size."""
        return sum(e.comparison.verdict == "slower" and e.covers for e in self.planted)

    @property
    def contended(self) -> int:
        """Comparisons in which the core was shared."""
        return sum(e.comparison.cpu_share < CPU_SHARE for e in (*self.same, *self.planted))

    @property
    def holds(self) -> bool:
        """At most one A/A in eight significant, at least nine in ten effects found. (Of forty, more than five happen
        by chance once in seventy runs.)"""
        return self.significant * 8 <= max(8, len(self.same)) and self.found * 10 >= 9 * len(self.planted)

    def lines(self) -> list[str]:
        """In words."""
        everything = (*self.same, *self.planted)
        if not everything:
            return ["Nothing was measured."]
        halves = [e.comparison.estimate.half_width() for e in everything if e.comparison.estimate]
        visible = float(np.median([math.expm1(stats.smallest_visible(half, stats.FLOOR, 5)) for half in halves]))
        lines = [
            f"The baseline against itself, {len(self.same)} times: {self.significant} intervals exclude no difference "
            f"(5 % are expected to), {self.false_verdicts} called faster or slower.",
            f"+{EFFECT:.0%} planted, {len(self.planted)} times: {self.found} called slower by an interval that holds "
            f"{EFFECT:.0%}.",
            f"The smallest difference that five processes see here in 8 of 10 cases: {visible:.1%}.",
            f"The coordinator used {self.coordinator:.1%} of a core meanwhile.",
        ]
        if self.contended:
            lines.append(f"In {self.contended} of {len(everything)} the core was shared, and CPU time decided.")
        return [*lines, "The bars are met." if self.holds else "A BAR IS MISSED."]

    def as_json(self) -> Mapping[str, Any]:
        """For scripts."""
        return {
            "same": [list(e.comparison.interval or ()) for e in self.same],
            "planted": [list(e.comparison.interval or ()) for e in self.planted],
            "significant": self.significant,
            "false_verdicts": self.false_verdicts,
            "found": self.found,
            "contended": self.contended,
            "coordinator": self.coordinator,
            "holds": self.holds,
        }


def summary(found: Sequence[Experiment], coordinator: float) -> Summary:
    """Count experiments."""
    return Summary([e for e in found if not e.planted], [e for e in found if e.planted], coordinator)


def specimen_block() -> Block:
    """The block that is measured: base, same and slowed."""
    catalog = Catalog(load_plugins([SPECIMEN]))
    return make_plan(parse_suite(read_text(SUITE, "selftest"), "selftest", SUITE, catalog), catalog).blocks[0]


@contextmanager
def servers(without: Sequence[str] = ()) -> Iterator[Servers]:
    """Fork servers that know the specimen, `without` some installed plugins, with a folder of their own."""
    with (
        tempfile.TemporaryDirectory(prefix="harness-selftest-") as folder,
        Servers(Path(folder), Catalog(load_plugins([SPECIMEN], without))) as running,
    ):
        yield running


def live(same: int, planted: int) -> Iterator[Experiment]:
    """Measure `same` A/A comparisons and `planted` ones with an effect, each in five fresh processes. Raises UserError
    where the machine cannot measure at all."""
    block = specimen_block()
    wanted = ["same"] * same + ["slowed"] * planted
    with servers() as running:
        for number, level in enumerate(wanted):
            # Another context, so that each experiment draws its own orders.
            this = replace(block.without({"same", "slowed"} - {level}), context={"experiment": str(number)})
            yield Experiment(measure(this, level, running), EFFECT if level == "slowed" else 0.0)


def measure(block: Block, level: str, running: Servers) -> Comparison:
    """A level of the block against its baseline."""
    records: list[Record] = []
    measure_block(block, [], records.extend, running)
    broken = next((record for record in records if record.outcome != "ok"), None)
    if broken is not None:
        raise UserError(f"the self-test's own model cannot be measured: {broken.reason}.")
    measured = Measured(block, records, "train")
    trial = next(trial for trial in block.trials if trial.level == level)
    floor = floor_of(measured.log_ratios(block.baseline.level, "control"))
    return measured.compare(trial, "step_time", lambda samples: samples.seconds, floor, False)


def record_noise(count: int, seconds: float) -> Iterator[tuple[str, Array]]:
    """Record `count` traces of `seconds` in each of two environments: "nat", the machine as it is, and "load", with a
    burner on the same core. Yields each with its environment."""
    block = specimen_block().alone()
    assert block.measures.speed is not None
    speed = block.measures.speed.changed(batches=1, seconds=seconds / 2, visits=LEAST_PAIRS * PROCESSES)
    block = replace(block, measures=block.measures.with_(speed=speed))
    for environment in ("nat", "load"):
        with servers() as running:
            server = running.get({})
            core = min(os.sched_getaffinity(0))
            if environment == "load":
                os.sched_setaffinity(server.process.pid, {core})
            server.ask(do="prepare", block=block.to_json())
            with burner(core) if environment == "load" else nothing():
                for number in range(count):
                    members = [(block.baseline.level, role) for role in ("variant", "control")]
                    message = {"kind": "speed", "stage": "speed", "mode": "train", "replicate": number}
                    answer = server.ask(do="measure", **message, members=members)
                    if "data" not in answer:
                        raise UserError(f"the self-test's own model cannot be measured: {answer.get('reason')}.")
                    yield environment, trace_of(answer["data"])


def trace_of(members: list[dict[str, Any]]) -> Array:
    """The baseline's and the control's samples as (pairs, 4) microseconds a step."""
    columns = []
    for member in members:
        data = member["data"]
        columns += [np.array(data[clock]) * 1e-3 / data["repeats"] for clock in ("wall", "cpu")]
    return np.column_stack(columns)


@contextmanager
def burner(core: int) -> Iterator[None]:
    """Keep one core busy meanwhile."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    os.sched_setaffinity(process.pid, {core})
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def nothing() -> Iterator[None]:
    """No burner."""
    yield
