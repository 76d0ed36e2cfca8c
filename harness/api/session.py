"""A run from a suite to its report, as the command line and the Python interface do it. Nothing here prints."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.analysis.findings import blocks_to_remeasure
from harness.analysis.timing import baselines_to_remeasure
from harness.api.lookup import PluginChoice, parse_only
from harness.errors import UserError
from harness.measure.runner import Runner, Watcher, notify
from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.plugins.file_paths import stored_path
from harness.plugins.parts import Executor
from harness.records.plan import THREADS, Block, Plan
from harness.records.record import Record
from harness.records.store import Store
from harness.report.report import Report
from harness.report.writer import report_run
from harness.suite.loader import Suite, load_suite, parse_suite
from harness.suite.names import composed
from harness.suite.values import SuiteValues
from harness.suite.yaml_source import read_file

#: The most threads of a measuring process.
MOST_THREADS = 1024


def check_threads(text: str) -> None:
    """Raise UserError for a wrong value of the variable that sets the number of threads."""
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= MOST_THREADS:
        what = f"expected a number of threads from 1 to {MOST_THREADS}, found {text!r}."
        raise UserError(what, where=f"environment variable {THREADS}", fix="Correct the variable, or unset it.")


@dataclass(frozen=True)
class SuiteOverrides:
    """What the caller changes in a suite. `gate`: something depends on the claims, so verdicts need five processes.
    `seeds` is the number of seeds after a run was extended; `without` are the plugins that an earlier part of the run
    left out; `faster_level` is the error rate that a series gives this run (`harness.api.series`)."""

    settings: Sequence[str] = ()
    only: Sequence[str] = ()
    preset: str | None = None
    quick: bool = False
    gate: bool = False
    seeds: int | None = None
    without: Sequence[str] = ()
    faster_level: float | None = None

    @classmethod
    def of(
        cls, settings: Sequence[str], only: Sequence[str], device: str | None, preset: str | None, **others: Any
    ) -> SuiteOverrides:
        """From the options of a command."""
        return cls([*settings, *([f"base.device={device}"] if device else [])], only, preset, **others)

    @classmethod
    def from_plan(cls, overrides: Mapping[str, Any]) -> SuiteOverrides:
        """From the overrides that a plan stores."""
        known = {"settings": overrides["set"], **overrides}
        return cls(**{name: known[name] for name in cls.__dataclass_fields__ if name in known})

    def where_possible(self, suite: Path) -> SuiteOverrides:
        """The same without the preset if the suite does not have it: not every suite of a folder needs to."""
        source = read_file(suite)[1].value
        has_it = isinstance(source, dict) and composed(self.preset or "") in (source.get("presets") or {})
        return self if has_it else replace(self, preset=None)

    def for_plan(self, catalog: Catalog, folder: Path) -> dict[str, Any]:
        """The overrides as a plan stores them. `folder` is that of the suite, to which its paths are relative."""
        others = ("settings", "only", "without")
        changed = {name: value for name, value in vars(self).items() if value and name not in others}
        if catalog.plugins.without:
            changed["without"] = list(catalog.plugins.without)
        if (stored := stored_path(folder, Path())) != ".":
            changed["folder"] = stored
        plugins = [str(file) for file in catalog.plugins.files]
        return {"set": list(self.settings), "only": list(self.only), "plugins": plugins, **changed}

    def plan(self, suite: Suite, catalog: Catalog) -> Plan:
        """The plan of a suite that was read with the same settings."""
        check_threads(os.environ.get(THREADS, "1"))
        plan = make_plan(
            suite, catalog, only=parse_only(self.only), quick=self.quick, gate=self.gate, seeds=self.seeds,
            overrides=self.for_plan(catalog, suite.folder),
        )  # fmt: skip
        return plan if self.faster_level is None else plan.with_faster_level(self.faster_level)


def plan_of(given: Path | SuiteValues, overrides: SuiteOverrides, plugins: PluginChoice) -> tuple[Suite, Catalog, Plan]:
    """The suite, the catalog and the plan, with the overrides applied."""
    catalog = plugins.catalog(overrides.without)
    suite = load_suite(given, catalog, overrides.settings, overrides.preset)
    return suite, catalog, overrides.plan(suite, catalog)


@dataclass(frozen=True)
class ExecutionOptions:
    """How to execute a plan: the executor, how many runs of a learning measure train at once (None: one per core), and
    whether to measure again the blocks that make a claim false."""

    executor: str = "local"
    jobs: int | None = None
    confirm: bool = False


@dataclass(frozen=True)
class Session:
    """A run that was begun or resumed. `suite_folder` is where its suite lies: the git commit there is recorded."""

    store: Store
    catalog: Catalog
    plan: Plan
    suite_folder: Path

    @classmethod
    def begin(
        cls,
        suite: Path | SuiteValues,
        overrides: SuiteOverrides,
        plugins: PluginChoice,
        results: Path,
        options: ExecutionOptions,
    ) -> Session:
        """A new run of a suite, which is a file or given as values."""
        loaded, catalog, plan = plan_of(suite, overrides, plugins)
        catalog.find(Executor, options.executor)
        return cls(Store.create(results, plan, loaded.text), catalog, plan, loaded.folder)

    @classmethod
    def resume(cls, folder: Path, plugins: PluginChoice, seeds: int | None = None) -> Session:
        """An earlier run, planned again, with `seeds` seeds if that is more. Its plugin files are used if `plugins` has
        none, and it leaves out the same plugins as before. Raises UserError if plugins or data have changed."""
        store = Store.open(folder)
        stored = store.plan()
        if not plugins.files:
            plugins = replace(plugins, files=tuple(map(Path, stored.overrides["plugins"])))
        catalog = plugins.catalog_for([store])
        overrides = SuiteOverrides.from_plan(stored.overrides)
        overrides = replace(overrides, seeds=max(seeds or 0, overrides.seeds or 0) or None)
        text, source = read_file(folder / "suite.yaml")
        suite = parse_suite(
            source,
            stored.suite,
            text,
            catalog,
            overrides.settings,
            overrides.preset,
            Path(stored.overrides.get("folder", "")),
        )
        plan = overrides.plan(suite, catalog)
        if [block.id for block in plan.blocks] != [block.id for block in stored.blocks]:
            raise UserError(
                "plugins or data have changed since this run began, so new records could not be compared with it.",
                where=str(folder),
                fix="Start a new run.",
            )
        plan = replace(plan, remarks=stored.remarks)  # these name the places in the file that the user wrote
        if plan != stored:
            store.keep(plan)
        return cls(store, catalog, plan, Path())

    def with_faster_level(self, level: float) -> Session:
        """The same run, in which the verdict *faster* has the error rate of a try of a series. Nothing may have been
        measured yet."""
        plan = self.plan.with_faster_level(level)
        plan = replace(plan, overrides={**plan.overrides, "faster_level": level})
        self.store.keep(plan)
        return replace(self, plan=plan)

    def execute(self, options: ExecutionOptions, watcher: Watcher) -> Report:
        """Measure what is missing, write the report and call the hook `run_finished`.

        A UserError leaves no empty folder behind. KeyboardInterrupt passes; everything measured so far is stored."""
        try:
            Runner(
                self.plan, self.store, self.catalog, watcher, self.suite_folder, options.executor,
                options.jobs or len(os.sched_getaffinity(0)), partial(self.doubtful, confirm=options.confirm),
            ).run()  # fmt: skip
        except UserError:
            self.store.discard_if_empty()
            raise
        except BrokenPipeError:  # the reader of our output has closed it
            raise
        except OSError as error:
            found = self.store.system_error(error)
            self.store.discard_if_empty()
            raise found from error
        watcher.measured()
        report = self.report()
        notify(self.catalog, "run_finished", watcher, folder=self.store.folder)
        return report

    def report(self) -> Report:
        """Write the report of what is stored. Reading it back takes 30 ms a megabyte, and what the report says is then
        what can be rebuilt from the folder."""
        return report_run(self.store, self.catalog)

    def doubtful(self, plan: Plan, records: Sequence[Record], confirm: bool) -> Iterator[tuple[str, Block]]:
        """The blocks to measure again, with the reason: baselines that differ from themselves, and with `confirm` the
        blocks that make a claim false. `records` grows while these are measured."""
        for block in baselines_to_remeasure(plan, records):
            yield "the baseline differs from itself; measuring it again, alone", block
        for block in blocks_to_remeasure(plan, records, self.catalog) if confirm else ():
            yield "a claim is false here; measuring it again", block
