"""Profiles of timelines that were made by hand, so that their sums are known."""

import pytest

from harness.measure.kinds.profile import MARK as PROFILE_MARK
from harness.measure.kinds.profile import TRACE_EVENTS, tidy
from harness.measure.kinds.profile_events import (
    MARK,
    Event,
    Kernel,
    Operator,
    Phase,
    StepProfile,
    median_of_passes,
    profile_of_step,
)


def mark(name: str, at: int) -> Event:
    return Event(MARK + name, at, at + 2)


STEP = [
    Event("before", 0, 5, id=1),
    mark("step", 10),  # the step starts at 12
    Event("outer", 20, 50, id=2),
    Event("inner", 22, 30, id=3),
    Event("inner", 30, 40, id=4),  # starts where the other one ends: they are siblings
    Event("leaf", 32, 36, id=5),
    mark("forward", 60),
    Event("outer", 70, 80, id=6),
    mark("backward", 100),
    Event("after", 105, 110, id=7),
]


def test_self_time_of_operators_by_phase():
    found = profile_of_step(STEP)
    assert {key: row.own for key, row in found.operators.items()} == {
        ("forward", "outer"): 30 - 8 - 10, ("forward", "inner"): 8 + 10 - 4, ("forward", "leaf"): 4,
        ("backward", "outer"): 10,
    }  # fmt: skip
    assert {key: (row.calls, row.called, row.leaves) for key, row in found.operators.items()} == {
        ("forward", "outer"): (1, 2, 0), ("forward", "inner"): (2, 1, 1), ("forward", "leaf"): (1, 0, 1),
        ("backward", "outer"): (1, 0, 1),
    }  # fmt: skip
    assert found.events == 5


def test_a_phase_is_the_time_between_two_marks_with_the_time_outside_operators():
    found = profile_of_step(STEP)
    assert found.phases == {"forward": Phase(48, 18, 1), "backward": Phase(38, 28, 1)}
    for phase in found.phases:
        own = sum(row.own for (where, _), row in found.operators.items() if where == phase)
        assert own + found.phases[phase].between == found.phases[phase].wall


def test_a_repeated_phase_is_summed():
    found = profile_of_step([mark("step", 0), mark("forward", 10), mark("update", 20), mark("forward", 30)])
    assert found.phases == {"forward": Phase(16, 16, 0), "update": Phase(8, 8, 0)}


def test_simultaneous_threads_do_not_count_twice():
    events = [
        mark("step", 0), Event("a", 10, 30, thread=1, id=1), Event("b", 20, 50, thread=2, id=2),
        Event("c", 25, 28, thread=1, id=3), mark("backward", 60),
    ]  # fmt: skip
    found = profile_of_step(events)
    assert found.phases["backward"].between == 58 - 40
    assert (found.operators["backward", "a"].own, found.operators["backward", "a"].called) == (17, 1)
    assert (found.operators["backward", "b"].own, found.operators["backward", "b"].called) == (30, 0)


def test_kernels_belong_to_the_operator_that_launched_them():
    kernels = [
        Event("gemm", 200, 240, kind="kernel", launched_by=3),
        Event("gemm", 240, 250, kind="kernel", launched_by=6),
    ]
    found = profile_of_step([*STEP, *kernels, Event("stray", 0, 9, kind="kernel", launched_by=99)])
    assert (found.operators["forward", "inner"].kernels, found.operators["forward", "inner"].device) == (1, 40)
    assert found.kernels == {("forward", "gemm"): Kernel(1, 40), ("backward", "gemm"): Kernel(1, 10)}


def test_the_median_over_passes_ignores_an_interruption():
    def one(own: int, name: str = "mm") -> StepProfile:
        return StepProfile({("forward", name): Operator(1, 1, 0, own)}, {"forward": Phase(own + 5, 5, 1)})

    whole = median_of_passes([[one(10), one(30)], [one(9000), one(31)], [one(12), one(32)]])
    assert whole.operators == {("forward", "mm"): Operator(2, 2, 0, 12 + 31)}
    assert whole.phases == {"forward": Phase(17 + 36, 10, 2)}
    rare = median_of_passes([[one(10)], [one(10)], [one(7, "once")]])
    assert rare.operators["forward", "once"].own == 0
    assert whole.columns()["operators"]["own"] == [43]
    assert whole.columns()["phases"]["phase"] == ["forward"]


def trace(count: int) -> dict:
    plain = {"ph": "X", "cat": "cpu_op", "pid": 1, "tid": 1}
    marks = [{**plain, "cat": "user_annotation", "name": PROFILE_MARK + name, "ts": ts, "dur": 1.0} for name, ts in
             (("step", 0.0), ("forward", count + 1.0), ("backward", count + 9.0))]  # fmt: skip
    events = [{**plain, "name": "aten::mm", "ts": 1.0 + i, "dur": 0.5} for i in range(count)]
    return {"traceEvents": [{"ph": "M", "name": "process_name", "pid": 1}, *events, *marks]}


def test_the_marks_of_a_trace_become_spans_named_as_phases():
    made = trace(3)
    assert tidy(made) is False
    spans = [event for event in made["traceEvents"] if event.get("cat") == "user_annotation"]
    assert [(span["name"], span["ts"], span["dur"]) for span in spans] == [
        ("forward", 1.0, 3.0),
        ("backward", 5.0, 7.0),
    ]
    assert not any(PROFILE_MARK in event["name"] for event in made["traceEvents"])


@pytest.mark.parametrize("more", [0, 500])
def test_a_long_trace_is_truncated(more):
    made = trace(TRACE_EVENTS - 10 + more)  # and two marks are among what is timed
    assert tidy(made) is bool(more)
    assert len(made["traceEvents"]) <= TRACE_EVENTS + 10
    assert made["traceEvents"][0]["ph"] == "M"
