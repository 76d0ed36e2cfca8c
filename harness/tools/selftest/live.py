"""Check the method on this machine with a level that is identical to the baseline and one that is slower by a known
amount, and record the noise of the machine."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.analysis import stats
from harness.analysis.clocks import CPU_SHARE
from harness.analysis.stats import Array
from harness.analysis.timing import Comparison, Measured, floor_of
from harness.analysis.verdicts import Verdict
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

SPECIMEN = Path(__file__).parents[2] / "testing" / "specimen.py"

SUITE = """
question: Is an identical level called different, and is an effect of known size detected?
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

#: The fewest pairs of samples in a recorded trace.
MIN_PAIRS = 100
#: By how much the level `slowed` is slower.
EFFECT = 0.05
BROKEN = "the model of the self-test cannot be measured"


@dataclass(frozen=True)
class Experiment:
    """One comparison in five new processes: of the baseline with itself, or with a level that has a known effect."""

    comparison: Comparison
    effect: float

    def includes(self, effect: float) -> bool:
        """Whether the 95 % interval includes an effect."""
        low, high = self.comparison.interval or (1.0, 1.0)
        return low <= 1 + effect <= high


@dataclass(frozen=True)
class Summary:
    """The outcomes of experiments. `coordinator` is the share of a core that this process used meanwhile."""

    experiments: Sequence[Experiment]
    coordinator: float

    @property
    def same(self) -> list[Experiment]:
        """Those that compare the baseline with itself."""
        return [one for one in self.experiments if not one.effect]

    @property
    def slowed(self) -> list[Experiment]:
        """Those with a known effect."""
        return [one for one in self.experiments if one.effect]

    @property
    def significant(self) -> int:
        """Intervals that exclude no difference although there is none: 5 % of them do by chance."""
        return sum(not one.includes(0.0) for one in self.same)

    @property
    def false_verdicts(self) -> int:
        """Comparisons of the baseline with itself that were called faster or slower."""
        return sum(one.comparison.verdict in (Verdict.FASTER, Verdict.SLOWER) for one in self.same)

    @property
    def detected(self) -> int:
        """Known effects that were called slower, with an interval that includes their true size."""
        return sum(one.comparison.verdict == Verdict.SLOWER and one.includes(EFFECT) for one in self.slowed)

    @property
    def contended(self) -> int:
        """Comparisons in which the core was shared."""
        return sum(one.comparison.cpu_share < CPU_SHARE for one in self.experiments)

    @property
    def holds(self) -> bool:
        """Whether at most one in eight identical levels is significant, and at least nine in ten known effects are
        detected. (Of forty, more than five are significant by chance once in seventy runs.)"""
        few = self.significant * 8 <= max(8, len(self.same))
        return few and self.detected * 10 >= 9 * len(self.slowed)

    def lines(self) -> list[str]:
        """The outcomes in sentences."""
        if not self.experiments:
            return ["Nothing was measured."]
        known = [one.comparison.estimate for one in self.experiments if one.comparison.estimate]
        visible = float(np.median([math.expm1(stats.smallest_visible(one, stats.FLOOR)) for one in known]))
        lines = [
            f"The baseline compared with itself, {len(self.same)} times: {self.significant} intervals exclude no "
            f"difference (5 % are expected to), {self.false_verdicts} called faster or slower.",
            f"A level that is {EFFECT:.0%} slower, {len(self.slowed)} times: {self.detected} called slower, with an "
            f"interval that includes {EFFECT:.0%}.",
            f"Sensitivity: five processes detect differences of {visible:.1%} in 80 % of cases.",
            f"The coordinating process used {self.coordinator:.1%} of a core meanwhile.",
        ]
        if self.contended:
            lines.append(f"In {self.contended} of {len(self.experiments)} the core was shared, so CPU time decided.")
        return [*lines, "All limits are met." if self.holds else "A limit is MISSED."]

    def to_json(self) -> dict[str, Any]:
        """The outcomes as JSON values."""
        counts = ("significant", "false_verdicts", "detected", "contended", "coordinator", "holds")
        return {
            **{name: [one.comparison.interval or () for one in getattr(self, name)] for name in ("same", "slowed")},
            **{name: getattr(self, name) for name in counts},
        }


def specimen_block() -> Block:
    """The block that is measured: base, same and slowed."""
    catalog = Catalog(load_plugins([SPECIMEN]))
    return make_plan(parse_suite(read_text(SUITE, "selftest"), "selftest", SUITE, catalog), catalog).blocks[0]


@contextmanager
def servers(without: Sequence[str] = ()) -> Iterator[Servers]:
    """Fork servers that have loaded the specimen, and not the plugins in `without`, with a folder of their own."""
    with (
        tempfile.TemporaryDirectory(prefix="harness-selftest-") as folder,
        Servers(Path(folder), Catalog(load_plugins([SPECIMEN], without))) as running,
    ):
        yield running


def live(same: int, slowed: int) -> Iterator[Experiment]:
    """Measure this many comparisons of the baseline with itself, and with the level that is slower, each in five new
    processes. Raises UserError if the machine cannot measure at all."""
    block = specimen_block()
    with servers() as running:
        for number, level in enumerate(["same"] * same + ["slowed"] * slowed):
            # Another context, so that each experiment draws its own orders.
            this = replace(block.without({"same", "slowed"} - {level}), context={"experiment": str(number)})
            yield Experiment(measure(this, level, running), EFFECT if level == "slowed" else 0.0)


def measure(block: Block, level: str, running: Servers) -> Comparison:
    """A level of the block compared with its baseline."""
    records: list[Record] = []
    measure_block(block, [], records.extend, running)
    broken = next((record for record in records if record.outcome != "ok"), None)
    if broken is not None:
        raise UserError(f"{BROKEN}: {broken.reason}.")
    measured = Measured(block, records, "train")
    floor = floor_of(measured.log_ratios(block.baseline.level, "control"))
    return measured.compare(block.trial(level), "step_time", lambda samples: samples.seconds, floor, False)


def record_noise(count: int, seconds: float) -> Iterator[tuple[str, Array]]:
    """Record `count` traces of `seconds` in each of two environments: "nat", the machine as it is, and "load", with a
    busy loop on the same core. Yields each trace with its environment."""
    block = specimen_block().alone()
    assert block.measures.speed is not None
    speed = block.measures.speed.changed(batches=1, seconds=seconds / 2, visits=MIN_PAIRS)
    block = replace(block, measures=block.measures.with_(speed=speed))
    members = [(block.baseline.level, role) for role in ("variant", "control")]
    for environment in ("nat", "load"):
        with servers() as running:
            server = running.get({})
            core = min(os.sched_getaffinity(0))
            if environment == "load":
                os.sched_setaffinity(server.process.pid, {core})
            server.ask(request="prepare", block=block.to_json())
            with busy_loop(core) if environment == "load" else nullcontext():
                for number in range(count):
                    message = {"kind": "speed", "stage": "speed", "mode": "train", "replicate": number}
                    answer = server.ask(request="measure", **message, members=members)
                    if "data" not in answer:
                        raise UserError(f"{BROKEN}: {answer.get('reason')}.")
                    yield environment, trace_of(answer["data"])


def trace_of(members: list[dict[str, Any]]) -> Array:
    """The samples of the baseline and the control in microseconds per step, shape (pairs, 4)."""
    columns = []
    for member in members:
        data = member["data"]
        columns += [np.array(data[clock]) * 1e-3 / data["repeats"] for clock in ("wall", "cpu")]
    return np.column_stack(columns)


@contextmanager
def busy_loop(core: int) -> Iterator[None]:
    """Keep one core busy meanwhile."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    os.sched_setaffinity(process.pid, {core})
    try:
        yield
    finally:
        process.kill()
        process.wait()
