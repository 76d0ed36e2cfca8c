"""A level cannot choose the clock by which it is measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from made import block, record
from reference_findings import reference_runs

from harness.analysis.samples import Samples, step_time
from harness.analysis.timing import Measured
from harness.records.record import replicates
from harness.records.settings import Speed
from harness.records.store import Store
from harness.tools.selftest.calibration import block_of, every

STEPS = 40


def measured(shares: dict[str, float], *, preempted: float, waits: dict[str, float], process=None) -> Measured:
    """Two levels with steps of 5 ms of CPU time, and of 6 ms for "b". A step loses the same share of its wall time to
    another program where it is preempted, and its share of waiting everywhere. `shares` of the CPU time are of the
    measuring thread; the others are of `process`."""
    this = block("a", "b", speed=Speed(until="decided").as_planned(plain=False))
    records = []
    for number in range(5):
        random = np.random.default_rng(number)
        for level, role in (("a", "variant"), ("a", "control"), ("b", "variant")):
            cpu = (6e6 if level == "b" else 5e6) * random.normal(1, 0.002, STEPS)
            lost = random.random(STEPS) < preempted
            wall = cpu * (1 + waits.get(level, 0.0)) * np.where(lost, 1.7, 1.0)
            more = {} if process is None else {"process": [int(x) for x in cpu]}
            records.append(
                record(
                    this, level, number, wall, cpu * shares.get(level, 1.0), role=role,
                    switches=lost.astype(int).tolist(), **more,
                )
            )  # fmt: skip
    return Measured(this, records, "train")


def verdict(of: Measured):
    found = of.compare(of.block.trials[1], "step_time", step_time, 0.003, False)
    return found.clock, found.verdict, found.flags


def test_cpu_time_decides_where_the_core_is_shared():
    assert verdict(measured({}, preempted=0.5, waits={})) == ("cpu", "slower", ("cpu-clock",))
    assert verdict(measured({}, preempted=0.05, waits={}))[0] == "wall"


def test_work_in_another_thread_is_not_hidden():
    """Without the CPU time of the process, wall time decides."""
    found = measured({"b": 0.05}, preempted=0.5, waits={})
    assert found.clock == "cpu"
    assert verdict(found) != ("cpu", "faster", ("cpu-clock",))
    assert verdict(found)[0] == "wall"
    assert "other-cpu-share" in verdict(found)[2]
    # A small share of the work elsewhere counts, because the CPU time is that of the process.
    assert verdict(measured({"b": 0.97}, preempted=0.5, waits={}, process=True)) == ("cpu", "slower", ("cpu-clock",))


@pytest.mark.parametrize("preempted", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("share", [0.05, 0.3])
def test_waiting_is_never_faster_or_equivalent(preempted, share):
    """Its CPU time is 20 % above the baseline's."""
    clock, found, flags = verdict(measured({}, preempted=preempted, waits={"b": share}))
    assert clock == "wall"
    assert found in ("slower", "undecided")
    assert "other-cpu-share" in flags


def test_a_baseline_that_waits_is_measured_by_wall_time():
    """Its low share of CPU time is not that of another program: it is low in undisturbed samples, too."""
    clock, found, _ = verdict(measured({}, preempted=0.05, waits={"a": 0.3}))
    assert (clock, found) == ("wall", "faster")


def test_a_level_alone_does_not_make_the_core_shared():
    found = measured({"b": 0.05}, preempted=0.0, waits={})
    assert (found.clock, found.cpu_share) == ("wall", pytest.approx(1.0, abs=0.01))


@pytest.fixture(scope="module")
def quiet() -> list[list[dict[tuple[str, str], Samples]]]:
    """The processes of the blocks of all reference runs: the baseline as "a", and its control as "b"."""
    found = []
    for run in reference_runs():
        store = Store.open(run)
        records = store.records()
        for block_ in store.plan().blocks:
            for mode in block_.measures.timed_modes:
                processes = []
                for group in list(replicates(records, block_.id, f"speed.{mode}").values())[:5]:
                    of = {(r.level, str(r.role)): Samples.from_record(r.data) for r in group if r.outcome == "ok"}
                    a = of[block_.baseline.level, "variant"]
                    processes.append({("a", "variant"): a, ("b", "variant"): of[block_.baseline.level, "control"]})
                found.append(processes)
    return found


def planted(blocks, change, gate: bool) -> Counter[str]:
    """The verdicts on the control as it would be with a change."""
    verdicts: Counter[str] = Counter()
    for processes in blocks:
        changed = [{**one, ("b", "variant"): change(one["b", "variant"])} for one in processes]
        of = Measured.of_processes(block_of(gate=gate), "train", changed)
        verdicts[str(of.compare(of.block.trials[1], "step_time", step_time, 0.003, False).verdict)] += 1
    return verdicts


@pytest.mark.parametrize("gate", [False, True])
def test_planted_costs_on_the_quiet_blocks_of_the_reference_runs(quiet, gate):
    if not quiet:
        pytest.skip("a source distribution has no reference runs")
    n = len(quiet)
    assert n == 74

    def waits(samples: Samples) -> Samples:
        return replace(samples, wall=samples.wall + 0.3 * samples.cpu)

    def moved(samples: Samples) -> Samples:
        return replace(samples, cpu=0.4 * samples.cpu)

    def tenth(samples: Samples) -> Samples:
        both = every(10, 1.0)(np.column_stack([samples.wall, samples.cpu]))
        return replace(samples, wall=both[:, 0], cpu=both[:, 1])

    assert planted(quiet, waits, gate) == {"slower": n}
    assert set(planted(quiet, moved, gate)) <= {"equivalent", "not slower", "undecided"}
    assert planted(quiet, tenth, gate)["slower"] >= n - 2
    assert not {"equivalent", "not slower"} & set(planted(quiet, tenth, gate))
    assert set(planted(quiet, lambda samples: samples, gate)) <= {"equivalent", "not slower", "undecided"}
