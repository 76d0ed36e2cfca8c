"""Functions of the user: what verification accepts and refuses, and what is caught while they are timed."""

from pathlib import Path

import pytest
import torch

from harness.api.ab_functions import FunctionComparison
from harness.errors import UserError
from harness.measure.kinds.speed import measure_speed
from harness.measure.kinds.verify import verify_block
from harness.measure.runtime.builder import TrialBuilder
from harness.measure.runtime.failure import TrialFailed
from harness.measure.runtime.functions import Arguments, yielded
from harness.measure.runtime.global_state import GlobalState
from harness.measure.runtime.task import Task
from harness.measure.runtime.watchdog import Watchdog
from harness.measure.worker import as_loaded
from harness.plan.planner import make_plan
from harness.plugins.catalog import core_catalog
from harness.records.settings import Speed
from harness.suite.loader import load_suite

FILE = Path(__file__).parents[1] / "functions.py"


@pytest.fixture(scope="module")
def catalog():
    return core_catalog()


@pytest.fixture(autouse=True)
def unchanged():
    """What a function changes is put back, as it is where a process ends."""
    state = GlobalState()
    yield
    state.restore()


def block_of(catalog, old, new, inputs="make", **options):
    names = [f"{FILE}:{old}", f"{FILE}:{new}"]
    suite = FunctionComparison(names, inputs=f"{FILE}:{inputs}" if inputs else "", **options).suite()
    (block,) = make_plan(load_suite(suite, catalog), catalog).blocks
    builder = TrialBuilder(catalog)
    return as_loaded(block, builder.data(block.baseline.dataset)), builder


def verified(catalog, new, old="honest", inputs="make", **options):
    """The finding about the second function."""
    return verify_block(*block_of(catalog, old, new, inputs, **options), Watchdog(0))[-1]


def timed(catalog, new, **options):
    """The samples of a short measurement."""
    block, builder = block_of(catalog, "honest", new, **options)
    members = [*((trial.level, "variant") for trial in block.trials), (block.baseline.level, "control")]
    settings = Speed(of="call", seconds=0.02, warm_up=0.001, quick=False).changed(batches=block.measures.speed.batches)
    return measure_speed(Task(block, block.measures.modes[0], builder, Watchdog(0), settings, members=members))


@pytest.mark.parametrize(
    ("old", "new", "inputs"),
    [
        ("honest", "other_order", "make"),
        ("nested", "nested_again", "make_keywords"),
        ("array_sum", "python_sum", "make_arrays"),
        ("counted", "formula", ""),
    ],
)
def test_functions_that_agree_up_to_rounding_are_accepted(catalog, old, new, inputs, tmp_path):
    if new == "nested_again":
        new_file = tmp_path / "again.py"
        new_file.write_text(FILE.read_text())
        names = [f"{FILE}:{old}", f"{new_file}:{old}"]
        suite = FunctionComparison(names, inputs=f"{FILE}:{inputs}").suite()
        (block,) = make_plan(load_suite(suite, catalog), catalog).blocks
        assert verify_block(block, TrialBuilder(catalog), Watchdog(0))[-1]["outcome"] == "ok"
    else:
        assert verified(catalog, new, old, inputs)["outcome"] == "ok"


@pytest.mark.parametrize(
    ("new", "says"),
    [
        ("wrong", r"result is off by 1.2e-03 of its largest value, at \(1, 2\): .* and not .* \(rounding allows .*input 0"),
        ("lower", r"result is off by .* of its largest value"),
        ("returns_half", "result has dtype float16 and not float32"),
        ("returns_more", r"it lacks result, which the baseline has"),
        ("by_identity", "it keeps results of earlier calls"),
        ("one_buffer", "two calls return the same memory"),
        ("in_thread", "result is off by"),
    ],
)  # fmt: skip
def test_functions_that_return_something_else_are_invalid(catalog, new, says):
    import re

    finding = verified(catalog, new)
    assert finding["outcome"] == "invalid"
    assert re.search(says, finding["reason"]), finding["reason"]


def test_texts_and_other_values_must_be_equal(catalog):
    finding = verified(catalog, "other_text", "nested", "make_keywords")
    assert "result['sum'][1] is 'texd' and not 'text'" in finding["reason"]


def test_functools_caches_are_named(catalog):
    assert "it keeps its results (functools)" in verified(catalog, "kept", "counted", "")["reason"]


@pytest.mark.parametrize(
    ("new", "says"),
    [
        ("in_place", "it changes its argument 0 in place, so a repeated call would do other work; time it with fresh"),
        ("other_dtype", "it changes torch's default dtype"),
        ("other_threads", "it changes the number of threads"),
        ("other_timer", "it changes time.perf_counter_ns"),
        ("other_synchronize", "it changes torch.cuda.synchronize"),
        ("fails", "calling it with input 0: ValueError: not today (functions.py:"),
        ("two_arguments", "it cannot be called with the inputs (1 positional argument): missing a required argument: 'y'"),
    ],
)  # fmt: skip
def test_functions_that_cannot_be_timed_fail(catalog, new, says):
    finding = verified(catalog, new)
    assert finding["outcome"] == "failed"
    assert says in finding["reason"]


def test_fresh_inputs_may_be_changed_in_place_if_both_do(catalog):
    assert verified(catalog, "in_place", fresh=True)["reason"].endswith(
        "it has argument 0 after the call, which the baseline lacks (input 0)"
    )


def test_gradients_are_compared(catalog):
    assert verified(catalog, "squared_but_not_its_gradient", "squared")["outcome"] == "ok"
    finding = verified(catalog, "squared_but_not_its_gradient", "squared", gradients=True)
    assert finding["outcome"] == "ok"  # x * x.detach() * 2 has the gradient 2 x, which is that of x * x
    assert (
        "gradient of argument 0 is off by"
        in verified(catalog, "constant_gradient", "squared", gradients=True)["reason"]
    )


def test_a_tolerance_replaces_what_rounding_explains(catalog):
    assert verified(catalog, "lower", tolerance=0.2)["outcome"] == "ok"
    assert "--tolerance allows 1.0e-04" in verified(catalog, "wrong", tolerance=1e-4)["reason"]


def test_different_functions_are_not_compared(catalog):
    assert verified(catalog, "returns_more", different=True)["outcome"] == "ok"


@pytest.mark.parametrize(
    ("new", "says"),
    [
        ("later_wrong", "a timed call did not return what was verified before"),
        ("by_value", "a call with values that it has not seen before takes"),
        ("goes_on", "work goes on after a call has returned"),
    ],
)
def test_work_that_the_clock_would_not_see_is_caught(catalog, new, says):
    with pytest.raises(TrialFailed, match=says) as raised:
        timed(catalog, new)
    assert raised.value.level == new


def test_a_slow_first_call_is_flagged(catalog):
    by_level = {(one["level"], one["role"]): one["data"]["flags"] for one in timed(catalog, "slow_first")}
    assert "slow_first_call" in by_level["slow_first", "variant"]
    assert "slow_first_call" not in by_level["honest", "variant"]


def test_inputs_are_timed_in_their_order(catalog):
    block, builder = block_of(catalog, "honest", "other_order")
    inputs = builder.data(block.baseline.dataset).train
    assert builder.work_set(block.baseline, 2) == inputs  # the same objects


@pytest.mark.parametrize("fresh", [False, True])
def test_every_input_is_timed(catalog, fresh):
    for one in timed(catalog, "other_order", fresh=fresh):
        assert set(one["data"]["batch"]) == {0, 1}
        assert min(one["data"]["wall"]) > 0


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ("make_nothing", "yields no arguments"),
        ("make_too_many", "yields more than 64 tuples of arguments"),
        ("make_badly", r"RuntimeError: no more \(functions.py:\d+\)"),
    ],
)
def test_mistakes_in_inputs_say_what_to_do(catalog, inputs, says):
    with pytest.raises(UserError, match=says):
        block_of(catalog, "honest", "wrong", inputs)


def test_what_is_yielded_becomes_arguments():
    x = torch.ones(2)
    assert Arguments.of((x, 1)) == ((x, 1), {})
    assert Arguments.of({"x": 1}) == ((), {"x": 1})
    assert Arguments.of([1, 2]) == (([1, 2],), {})
    assert yielded(lambda: (1, 2), "f") == [(1, 2)]
    assert yielded(lambda: [(1,), (2,)], "f") == [(1,), (2,)]
