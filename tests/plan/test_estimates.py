"""The arithmetic of estimated times, with made-up seconds of steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from toy_suite import SUITE, read, toy_catalog

from harness.builtin import cost, health, memory
from harness.builtin.cost import Cost
from harness.builtin.health import Health
from harness.builtin.memory import Memory
from harness.cli.options import duration
from harness.errors import UserError
from harness.plan import estimates
from harness.plan.estimates import PROCESS, estimated_seconds, for_blocks, kind_seconds, processes, time_range
from harness.plan.planner import make_plan
from harness.plugins.catalog import Entry, Measure
from harness.plugins.kinds import MeasureKind
from harness.plugins.rehearsal import LevelTimes, Rehearsal
from harness.records.settings import QUICK_SECONDS, Learning, Profile, Settings, Speed


def block_of(**settings):
    """A block of two levels with these kinds of measurement."""
    block = make_plan(read(SUITE), toy_catalog()).blocks[0]
    return replace(block, measures=replace(block.measures, kinds={}).with_(**settings))


def times(step: float = 0.010, **others) -> LevelTimes:
    known = {"build": 0.02, "first": {"train": 2 * step}, "profiled": {"train": 0.03}, "training": step}
    return LevelTimes(**{"step": {"train": step}, "evaluation": 0.5, **known, **others})


def rehearsal(**others) -> Rehearsal:
    levels = {"plain": times(), "backwards": times()}
    return Rehearsal(**{"levels": levels, "load": 0.4, "fork": 0.05, "verify": 1.5, **others})


SPEED = Speed(seconds=0.5, warm_up=0.25, batches=8, visits=5, budget=60.0, half_width=0.01)
LOOKS = SPEED.looks


def test_one_process_of_timing():
    """Two levels and the control: builds and a fork, warm-up, whole passes for the wanted time, and the end."""
    block = block_of(speed=SPEED)
    one_pass = 8 * 3 * 0.010 * 1.05
    warm_up, measured = 0.48 + 3 * one_pass * 3 / 8, 6 * one_pass  # 0.75 s of warm-up, and 1.5 s measured
    expected = 0.05 + 3 * 0.02 + warm_up + measured + PROCESS
    assert estimates.process_seconds(SPEED, block, rehearsal(), "train") == pytest.approx(expected)


def test_slow_steps_take_the_least_number_of_visits():
    slow = rehearsal(levels={"plain": times(0.1), "backwards": times(0.3)})
    one_pass = 8 * (0.1 + 0.3 + 0.1) * 1.05
    first = 2 * 8 * 0.5
    expected = 0.05 + 3 * 0.02 + first + 2 * one_pass * 3 / 8 + 5 * one_pass + PROCESS
    assert estimates.process_seconds(SPEED, block_of(speed=SPEED), slow, "train") == pytest.approx(expected)


def test_a_quick_run_has_one_process_of_a_fixed_time():
    quick = SPEED.changed(quick=True)
    found = estimates.speed_seconds(quick, block_of(speed=quick), rehearsal())
    assert found.least == found.expected == found.most
    assert QUICK_SECONDS < found.expected < QUICK_SECONDS + 2


@pytest.mark.parametrize(
    ("noise", "each", "expected"),
    [
        (0.0, 1.0, LOOKS[0]),  # precise at the first look
        (0.5, 1.0, LOOKS[-1]),  # never precise
        (0.5, 60 / LOOKS[1] - 0.1, LOOKS[1]),  # the budget ends it at the second look
        (0.5, 100.0, LOOKS[0]),  # the first processes always run
    ],
)
def test_the_number_of_processes_depends_on_noise_and_budget(noise, each, expected):
    assert processes(SPEED, each, LOOKS, noise) == expected


def test_a_difference_that_the_rehearsal_shows_is_decided_at_the_first_look():
    """Without a rehearsal it is not known whether levels differ: the expected time is the mean of both cases."""
    speed = SPEED.changed(until="decided", budget=600.0).as_planned(plain=False)
    assert speed.looks[0] == 3
    block = block_of(speed=speed)

    def expected(there: Rehearsal) -> float:
        found, each = (
            estimates.speed_seconds(speed, block, there),
            estimates.process_seconds(speed, block, there, "train"),
        )
        assert found.least == pytest.approx(3 * each)
        assert found.least <= found.expected <= found.most
        return found.expected / each

    equal = [processes(speed, 1.0, speed.looks, noise) for noise in estimates.NOISE]
    assert all(5 <= k <= 20 for k in equal)
    assert expected(rehearsal(assumed=True)) == pytest.approx((3 + sum(equal) / 3) / 2)
    assert expected(rehearsal()) == pytest.approx(sum(equal) / 3)
    slower = rehearsal(levels={"plain": times(), "backwards": times(0.013)})
    assert expected(slower) == pytest.approx(3)


def test_levels_that_are_decided_are_not_measured_further():
    speed = SPEED.changed(until="decided", budget=600.0).as_planned(plain=False)
    block = block_of(speed=speed)
    block = replace(block, trials=(*block.trials, replace(block.trials[1], level="slow")))
    there = rehearsal(levels={"plain": times(), "backwards": times(), "slow": times(0.02)})
    k = processes(speed, 1.0, speed.looks, 0.005)
    found = estimates.expected_processes(speed, block, there, "train", 1.0, 0.005)
    assert found == pytest.approx(3 + (k - 3) * 3 / 4)


def test_the_parts_of_a_block_sum_to_its_time():
    """Each has the number of its units, from which a run knows how much is left."""
    settings = {
        "speed": SPEED.changed(of=("train",)),
        "memory": Memory(of=("train",)),
        "learning": Learning(seeds=(0, 1, 2), steps=100, evaluations=4),
    }
    block = block_of(**settings)
    parts = estimates.parts_of(block, toy_catalog(), rehearsal())
    assert [(part.name, part.mode) for part in parts] == [
        ("verify", ""), ("speed", "train"), ("memory", ""), ("learning", "")
    ]  # fmt: skip
    assert parts[2].units == 2 * (1 + 3), "one process and three for resident memory, of two trials"
    assert parts[3].units == 2 * 3
    total = estimated_seconds(block, toy_catalog(), rehearsal())
    assert total == pytest.approx([sum(part.seconds[i] for part in parts) for i in range(3)])


def test_a_report_takes_longer_with_plots(monkeypatch):
    block = block_of(speed=SPEED, profile=Profile(of=("train",), steps=3))
    assert estimates.plot_count([block] * 3) == 1 + 3
    assert estimates.plot_count([block] * 30) == 1 + estimates.MOST_EXPLAINED
    with_plots = estimates.report_seconds([block])
    monkeypatch.setattr(estimates, "find_spec", lambda name: None)
    assert with_plots - estimates.report_seconds([block]) == pytest.approx(2 * estimates.REPORT_OF_PLOT)


def test_the_range_of_timing():
    block = block_of(speed=SPEED)
    found = estimates.speed_seconds(SPEED, block, rehearsal())
    each = estimates.process_seconds(SPEED, block, rehearsal(), "train")
    assert found.least == pytest.approx(LOOKS[0] * each)
    assert found.least <= found.expected <= found.most
    assert found.most <= SPEED.budget + each


def test_profiles_are_plain_and_profiled_steps_in_turns():
    settings = Profile(of=("train",), steps=3)
    found = estimates.profile_seconds(settings, block_of(profile=settings), rehearsal())
    each = 0.05 + 0.02 + PROCESS + estimates.PROFILER + 5 * 8 * 0.04 + 5 * 8 * 0.010 + 3 * 3 * 0.03
    assert found == pytest.approx(2 * each)


def test_learning_counts_evaluations_and_runs_at_the_same_time():
    settings = Learning(seeds=(0, 1, 2), steps=100, evaluations=4)
    block = block_of(learning=settings)
    run = 0.05 + 0.02 + PROCESS + 100 * 0.010 + 5 * 0.5
    assert estimates.learning_seconds(settings, block, rehearsal()) == pytest.approx(6 * run)
    assert estimates.learning_seconds(settings, block, rehearsal(jobs=2)) == pytest.approx(3 * run + 0.4)
    epochs = Learning(seeds=(0, 1, 2), epochs=2.0, evaluations=4)
    assert estimates.learning_seconds(epochs, block, rehearsal(steps=100)) == pytest.approx(6 * run)
    timed = Learning(seeds=(0, 1, 2), seconds=1.0, evaluations=4)
    assert estimates.learning_seconds(timed, block, rehearsal(jobs=2)) == pytest.approx(6 * run)


def test_the_other_kinds_of_the_core():
    block = block_of(memory=Memory(of=("train",)))
    assert memory.seconds(Memory(of=("train",)), block, rehearsal()) == pytest.approx(
        2 * (4 * (0.07 + PROCESS) + 8 * (3 * 0.02 + (4 + 2 * memory.PROFILED) * 0.01))
    )
    assert cost.seconds(Cost(of=("train",)), block, rehearsal()) == pytest.approx(
        2 * (4 * (0.07 + PROCESS) + cost.PRODUCTS + 8 * (4 * 0.02 + (5 + cost.COUNTED) * 0.01))
    )
    assert health.seconds(Health(steps=100, looks=4), block, rehearsal()) == pytest.approx(
        2 * (0.05 + 2 * 0.02 + PROCESS + (100 + 5 * health.LOOK) * 0.01)
    )


def test_a_block_is_loaded_and_verified_once():
    learning = Learning(seeds=(0,), steps=10, evaluations=1)
    found = estimated_seconds(block_of(learning=learning), toy_catalog(), rehearsal())
    runs = estimates.learning_seconds(learning, block_of(learning=learning), rehearsal())
    assert found == pytest.approx((0.4 + 1.5 + PROCESS + runs,) * 3)


def measure_with(estimate) -> Measure:
    return Measure(Entry(MeasureKind("third", "x:y", estimate=estimate), "someone", "1"), Settings)


@pytest.mark.parametrize(
    ("estimate", "expected"),
    [
        (1.5, (3.0, 3.0, 3.0)),  # for each trial
        (lambda settings, block: (2, 4), (2, 3, 4)),
        (lambda settings, block: (2, 2.5, 4), (2, 2.5, 4)),
        (lambda settings, block, rehearsal: 100 * rehearsal.of_step("train"), (2, 2, 2)),
    ],
)
def test_kinds_of_third_parties(estimate, expected):
    found = kind_seconds(measure_with(estimate), Settings(), block_of(speed=SPEED), rehearsal())
    assert found == pytest.approx(expected)


def test_an_estimate_that_fails_names_its_plugin():
    with pytest.raises(UserError, match=r"measure third .* its estimate failed: ZeroDivisionError"):
        kind_seconds(measure_with(lambda settings, block: 1 / 0), Settings(), block_of(), rehearsal())


def test_a_block_that_was_not_rehearsed_is_between_the_nearest_ones():
    block = block_of(speed=SPEED)
    one, other = rehearsal(load=1.0), rehearsal(load=8.0, levels={"plain": times(0.08)})
    found = for_blocks([block] * 5, [one, None, None, other, None])
    assert [each.load for each in found] == pytest.approx([1.0, 2.0, 4.0, 8.0, 8.0])
    assert [each.levels["plain"].step["train"] for each in found] == pytest.approx([0.01, 0.02, 0.04, 0.08, 0.08])
    assert [each.levels["backwards"].step["train"] for each in found[:3]] == pytest.approx([0.01] * 3)
    assert found[3].levels["backwards"].step == {"train": pytest.approx(0.08)}, "the mean of the levels that it has"
    assert found[1].levels["plain"].evaluation == pytest.approx(0.5)
    assert [each.assumed for each in for_blocks([block] * 2, [None, None])] == [True, True]


def test_numbers_as_ranges_and_times_in_words():
    assert time_range(3) == (3, 3, 3)
    assert [duration(seconds) for seconds in (0.2, 45.4, 59.6, 112, 600, 7800)] == [
        "1 s", "45 s", "1 min", "1 min 50 s", "10 min", "2 h 10 min",
    ]  # fmt: skip
