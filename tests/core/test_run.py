"""The loop over blocks: hooks are told, observers cannot break a run, and run_block can be wrapped."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import pluggy
import pytest
from made import record

import harness
from harness.catalog import Catalog
from harness.errors import UserError
from harness.execution import Watcher, git_facts, run_plan
from harness.plugins import Plugins, load_plugins
from harness.store import Store


class Observer:
    """A plugin that writes down what it is told, measures nothing itself, and raises where it is asked to."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @harness.hookimpl
    def provide_executors(self):
        @contextmanager
        def execute(run):
            run.met({"processor": "fake", "gpus": 0})

            def measure(block, done, keep):
                self.told.append(f"measure with {len(done)} done")
                keep([record(block, trial.level, len(done), [1, 2]) for trial in block.trials])

            yield measure

        yield harness.Executor("fake", execute)

    @harness.hookimpl
    def plan_ready(self, plan):
        self.told.append(f"{len(plan.blocks)} blocks")
        raise RuntimeError("observers may fail")

    @harness.hookimpl
    def record_stored(self, record):
        self.told.append(f"stored {record.level}")

    @harness.hookimpl(wrapper=True)
    def run_block(self, block):
        self.told.append("before")
        result = yield
        self.told.append("after")
        return result


@pytest.fixture
def observed(planned, tmp_path):
    plugins: Plugins = load_plugins()
    observer = Observer()
    plugins.manager.register(observer, name="observer")
    plugins.versions["observer"] = "1"
    plan = planned()
    return observer, plan, Store.create(tmp_path, plan, "text"), Catalog(plugins)


def test_hooks_are_told_in_order_and_cannot_break_the_run(observed):
    observer, plan, store, catalog = observed
    problems: list[str] = []
    watcher = Watcher()
    watcher.problem = problems.append  # type: ignore[method-assign]
    records = run_plan(plan, store, catalog, executor="fake", watcher=watcher, where=Path())
    assert observer.told == ["1 blocks", "before", "measure with 0 done", "stored plain", "stored backwards", "after"]
    assert problems == ["plugin observer: plan_ready failed: RuntimeError: observers may fail"]
    assert store.records() == records
    assert store.machine()["processor"] == "fake"


def test_another_machine_may_not_go_on(observed):
    _, plan, store, catalog = observed
    store.write("machine.json", '{"processor": "another"}')
    with pytest.raises(UserError, match="this is not the machine the run began on: processor was another and is fake"):
        run_plan(plan, store, catalog, executor="fake", watcher=Watcher(), where=Path())
    assert not store.records()


def test_the_hooks_that_exist_are_documented_with_an_example():
    from harness import hookspecs

    specs = [f for f in vars(hookspecs).values() if hasattr(f, "harness_spec")]
    assert len(specs) == 12
    for spec in specs:
        assert f"def {spec.__name__}(" in spec.__doc__, spec.__name__
        assert "@harness.hookimpl" in spec.__doc__
    assert isinstance(harness.hookimpl, pluggy.HookimplMarker)


def test_git_facts_outside_a_checkout(tmp_path):
    assert git_facts(tmp_path) == {}
