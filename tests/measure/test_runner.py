"""The runner: hooks are called, observers cannot break a run, and run_block can be wrapped."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pluggy
import pytest
from made import record

import harness
from harness.errors import UserError
from harness.measure.runner import Runner, Watcher, git_facts
from harness.plugins.catalog import Catalog
from harness.plugins.manager import Plugins, load_plugins
from harness.records.record import Record
from harness.records.store import Store


class Observer:
    """A plugin that logs the calls of its hooks, measures nothing, and raises on request."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def execute(self, block, done, keep):
        self.calls.append(f"measure with {len(done)} done")
        keep([record(block, trial.level, len(done), [1, 2]) for trial in block.trials])

    @harness.hookimpl
    def provide_executors(self):
        @contextmanager
        def execute(run):
            run.on_machine({"processor": "fake", "gpus": 0})

            yield lambda block, done, keep: self.execute(block, done, keep)

        yield harness.Executor("fake", execute)

    @harness.hookimpl
    def plan_ready(self, plan):
        self.calls.append(f"{len(plan.blocks)} blocks")
        raise RuntimeError("observers may fail")

    @harness.hookimpl
    def record_stored(self, record):
        self.calls.append(f"stored {record.level}")

    @harness.hookimpl(wrapper=True)
    def run_block(self, block):
        self.calls.append("before")
        result = yield
        self.calls.append("after")
        return result


@pytest.fixture
def observed(planned, tmp_path):
    plugins: Plugins = load_plugins()
    observer = Observer()
    plugins.manager.register(observer, name="observer")
    plugins.versions["observer"] = "1"
    plan = planned()
    return observer, plan, Store.create(tmp_path, plan, "text"), Catalog(plugins)


def test_hooks_are_called_in_order_and_cannot_break_the_run(observed):
    observer, plan, store, catalog = observed
    problems: list[str] = []
    watcher = Watcher()
    watcher.problem = problems.append  # type: ignore[method-assign]
    records = Runner(plan, store, catalog, watcher, Path(), executor="fake").run()
    assert observer.calls == ["1 blocks", "before", "measure with 0 done", "stored plain", "stored backwards", "after"]
    assert problems == ["plugin observer: plan_ready failed: RuntimeError: observers may fail"]
    assert store.records() == records
    assert store.machine()["processor"] == "fake"


def test_a_run_cannot_be_resumed_on_another_machine(observed):
    _, plan, store, catalog = observed
    store.write("machine.json", '{"processor": "another"}')
    with pytest.raises(
        UserError, match="this is not the machine on which the run began: processor was another and is fake"
    ):
        Runner(plan, store, catalog, Watcher(), Path(), executor="fake").run()
    assert not store.records()


def test_every_hook_is_documented_with_an_example():
    from harness.plugins import hookspecs

    specs = [f for f in vars(hookspecs).values() if hasattr(f, "harness_spec")]
    assert len(specs) == 14
    for spec in specs:
        assert f"def {spec.__name__}(" in spec.__doc__, spec.__name__
        assert "@harness.hookimpl" in spec.__doc__
    assert isinstance(harness.hookimpl, pluggy.HookimplMarker)


class Wrapper:
    """A `run_block` with the given body."""

    def __init__(self, body: Callable[..., Any]) -> None:
        self.body = body

    @harness.hookimpl(tryfirst=True)
    def run_block(self, block, done, keep, measure):
        return self.body(block, done, keep, measure)


def forges(block, done, keep, measure):
    measure(block, done, lambda new: keep([replace(r, data={**r.data, "wall": [0]}) for r in new]))
    return True


def forges_in_place(block, done, keep, measure):
    measure(block, done, lambda new: [new[0].data.update(wall=[0]), keep(new)])
    return True


def keeps_back(block, done, keep, measure):
    measure(block, done, lambda new: keep(new[:1]))
    return True


def swallows(block, done, keep, measure):
    measure(block, done, lambda new: None)
    return True


def makes_up(block, done, keep, measure):
    measure(block, done, keep)
    keep([record(block, trial.level, 7, [1, 1]) for trial in block.trials])
    return True


def says_that_it_failed(block, done, keep, measure):
    measure(block, done, lambda new: keep([replace(r, outcome="failed", reason="no") for r in new]))
    return True


def raises_while_it_keeps(block, done, keep, measure):
    def keep_some(new):
        raise SystemExit(0)

    measure(block, done, keep_some)
    return True


def raises_after(block, done, keep, measure):
    measure(block, done, keep)
    raise SystemExit(0)


def of_another_block(block, done, keep, measure):
    measure(replace(block, context={"other": "1"}), [1, 2, 3], keep)
    return True


def watches_the_power(block, done, keep, measure):
    measure(block, done, lambda new: keep([replace(r, data={**r.data, "watts": 7}) for r in new]))
    return True


def adds_what_no_file_holds(block, done, keep, measure):
    measure(block, done, lambda new: keep([replace(r, data={**r.data, "watts": object()}) for r in new]))
    return True


AS_MEASURED = "changes a record; it is stored as it was measured"
KEPT = "withholds records; they are stored"
MEDDLING: dict[Any, list[str]] = {
    forges: [AS_MEASURED], forges_in_place: [AS_MEASURED], keeps_back: [KEPT], swallows: [KEPT],
    says_that_it_failed: [AS_MEASURED], makes_up: ["returns a record that was not measured; it is not stored"],
    raises_while_it_keeps: ["failed: SystemExit: 0", KEPT], raises_after: ["failed: SystemExit: 0"],
    of_another_block: [], watches_the_power: [],
    adds_what_no_file_holds: ["adds data that JSON cannot store: TypeError: Object of type object is not JSON serializable"],
}  # fmt: skip


def wrapped(observed, body) -> tuple[list[Record], list[str]]:
    """The records and problems of a run with a wrapper around its block."""
    _, plan, store, catalog = observed
    catalog.plugins.manager.register(Wrapper(body), name="wrapper")
    problems: list[str] = []
    watcher = Watcher()
    watcher.problem = problems.append  # type: ignore[method-assign]
    Runner(plan, store, catalog, watcher, Path(), executor="fake").run()
    found = [problem for problem in problems if "plan_ready" not in problem]
    assert all(p.startswith("plugin wrapper or observer: run_block ") and p.endswith(" (all)") for p in found)
    return store.records(), [p.removeprefix("plugin wrapper or observer: run_block ")[: -len(" (all)")] for p in found]


@pytest.mark.parametrize("body", MEDDLING, ids=lambda body: body.__name__)
def test_hooks_cannot_change_what_is_stored(observed, body):
    records, problems = wrapped(observed, body)
    plan = observed[1]
    assert [(r.level, r.outcome, r.data["wall"]) for r in records] == [
        ("plain", "ok", [1, 2]),
        ("backwards", "ok", [1, 2]),
    ]
    assert {r.block for r in records} == {plan.blocks[0].id}
    assert list(dict.fromkeys(problems)) == MEDDLING[body]
    assert all(r.data.get("watts") == (7 if body is watches_the_power else None) for r in records)


def exits_first(block, done, keep, measure):
    raise SystemExit(0)


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        (lambda block, done, keep, measure: True, ["does not measure the block"]),
        (exits_first, ["failed: SystemExit: 0", "does not measure the block"]),
    ],
)
def test_a_hook_that_does_not_measure_is_reported(observed, body, problems):
    assert wrapped(observed, body) == ([], problems)


@pytest.mark.parametrize("error", [KeyboardInterrupt, UserError("no room"), RuntimeError("a fault of ours")])
def test_an_exception_of_the_executor_passes_through_hooks(observed, error):
    observer, _, _, _ = observed

    def fails(block, done, keep):
        raise error

    def swallows_it(block, done, keep, measure):
        with suppress(BaseException):
            measure(block, done, keep)
        return True

    observer.execute = fails
    with pytest.raises(error if isinstance(error, type) else UserError) as caught:
        wrapped(observed, swallows_it)
    if isinstance(error, RuntimeError):
        assert str(caught.value) == "executor fake (plugin observer) failed: RuntimeError: a fault of ours."


def test_git_facts_outside_a_checkout(tmp_path):
    assert git_facts(tmp_path) == {}
