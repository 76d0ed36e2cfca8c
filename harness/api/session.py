"""A run from what is asked to its report: what the command line and Python do alike. Nothing here prints.

What a step needs is imported inside it, so that a command line that only asks for help stays fast.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UserError
from harness.plugins.catalog import Catalog
from harness.records.plan import Plan
from harness.records.store import Store

if TYPE_CHECKING:
    from harness.measure.runner import Watcher
    from harness.plugins.catalog import Catalog
    from harness.records.plan import Plan
    from harness.records.store import Store
    from harness.report.report import Report
    from harness.suite.loader import Suite


@dataclass(frozen=True)
class Asked:
    """What is changed in a suite from outside. `seeds` adds seeds to those it has; `without` are installed plugins that
    were left out before."""

    settings: Sequence[str] = ()
    only: Sequence[str] = ()
    preset: str | None = None
    quick: bool = False
    until_decided: bool = False
    seeds: int | None = None
    without: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.quick and self.until_decided:
            raise UserError("a quick look never decides, so it cannot go on until decided.", fix="Leave out one.")

    @classmethod
    def of(
        cls, settings: Sequence[str], only: Sequence[str], device: str | None, preset: str | None, **how: Any
    ) -> Asked:
        """From the options of a verb."""
        return cls([*settings, *([f"base.device={device}"] if device else [])], only, preset, **how)

    @classmethod
    def from_overrides(cls, overrides: Mapping[str, Any]) -> Asked:
        """What an earlier run was asked for, as its plan keeps it."""
        known = {"settings": overrides["set"], **overrides}
        return cls(**{name: known[name] for name in cls.__dataclass_fields__ if name in known})

    def where_possible(self, suite: Path) -> Asked:
        """The same without the preset where a suite has no such one: of a folder, not every suite needs it."""
        from harness.suite.yaml_source import read_file

        source = read_file(suite)[1].value
        has_it = isinstance(source, dict) and self.preset in (source.get("presets") or {})
        return self if has_it else replace(self, preset=None)

    def overrides(self, catalog: Catalog) -> dict[str, Any]:
        """The same, as a plan keeps it."""
        others = ("settings", "only", "without")
        changed = {name: value for name, value in vars(self).items() if value and name not in others}
        if catalog.plugins.without:
            changed["without"] = list(catalog.plugins.without)
        plugins = [str(file) for file in catalog.plugins.files]
        return {"set": list(self.settings), "only": list(self.only), "plugins": plugins, **changed}

    def plan(self, suite: Suite, catalog: Catalog) -> Plan:
        """The plan of a suite that was read with the same settings."""
        from harness.plan.planner import make_plan

        return make_plan(
            suite, catalog, only=chosen(self.only), quick=self.quick, until_decided=self.until_decided,
            seeds=self.seeds, overrides=self.overrides(catalog),
        )  # fmt: skip


@dataclass(frozen=True)
class How:
    """How plans are carried out, whatever is in them: where, how many runs of a learning measure train at a time, and
    whether a claim that fails is measured once more."""

    executor: str = "local"
    jobs: int | None = None
    confirm: bool = False


def chosen(only: Sequence[str]) -> dict[str, list[str]]:
    """AXIS=LEVEL,LEVEL as a mapping; given twice for an axis, it keeps both."""
    found: dict[str, list[str]] = {}
    for text in only:
        axis, equals, levels = text.partition("=")
        if not equals or not levels:
            raise UserError("it takes AXIS=LEVEL or AXIS=LEVEL,LEVEL.", where=f"--only {text}")
        found.setdefault(axis, []).extend(levels.split(","))
    return found


def catalog_with(files: Iterable[str | Path], without: Iterable[str] = (), before: Collection[str] = ()) -> Catalog:
    """All installed parts, `without` those of some plugins, and those in plugin files. What was left out `before` is
    left out again, if it is still installed."""
    from harness.plugins.catalog import Catalog
    from harness.plugins.manager import installed, load_plugins

    there = installed() if before else ()
    return Catalog(load_plugins(map(Path, files), [*without, *(name for name in before if name in there)]))


def catalog_for(stores: Iterable[Store], files: Iterable[str | Path], without: Iterable[str] = ()) -> Catalog:
    """The catalog to read runs with: what they were without is left out."""
    return catalog_with(files, without, [name for store in stores for name in store.overrides().get("without", ())])


def plan_of(
    path: Path, asked: Asked, files: Iterable[str | Path], without: Iterable[str] = ()
) -> tuple[Suite, Catalog, Plan]:
    """The suite, the catalog and the plan, with what is changed from outside."""
    from harness.suite.loader import load_suite

    suite = load_suite(path, asked.settings, asked.preset)
    catalog = catalog_with(files, without, asked.without)
    return suite, catalog, asked.plan(suite, catalog)


def begin(
    path: Path, asked: Asked, files: Iterable[str | Path], results: Path, how: How, without: Iterable[str] = ()
) -> tuple[Store, Catalog, Plan]:
    """The store, catalog and plan of a new run."""
    from harness.plugins.parts import Executor
    from harness.records.store import Store

    suite, catalog, plan = plan_of(path, asked, files, without)
    catalog.find(Executor, how.executor)
    return Store.create(results, plan, suite.text), catalog, plan


def take_up(
    folder: Path, files: Iterable[str | Path], seeds: int | None = None, without: Iterable[str] = ()
) -> tuple[Store, Catalog, Plan]:
    """The store, catalog and plan of a run to go on with. Where no plugin files are given, those that it was planned
    with; what it was without is left out."""
    from harness.records.store import Store

    store = Store.open(folder)
    catalog = catalog_for([store], tuple(files) or store.overrides()["plugins"], without)
    return store, catalog, replan(store, catalog, seeds)


def replan(store: Store, catalog: Catalog, seeds: int | None = None) -> Plan:
    """The plan of an earlier run, made anew, with more seeds if so asked, and kept; raises UserError where plugins or
    data are no longer the same."""
    from harness.suite.loader import parse_suite
    from harness.suite.yaml_source import read_file

    stored = store.plan()
    asked = Asked.from_overrides(stored.overrides)
    asked = replace(asked, seeds=max(seeds or 0, asked.seeds or 0) or None)
    text, source = read_file(store.folder / "suite.yaml")
    plan = asked.plan(parse_suite(source, stored.suite, text, asked.settings, asked.preset), catalog)
    if [block.id for block in plan.blocks] != [block.id for block in stored.blocks]:
        raise UserError(
            "plugins or data have changed since this run began, so new records could not be compared with it.",
            where=str(store.folder),
            fix="Start a new run.",
        )
    if plan != stored:
        store.keep(plan)
    return plan


def carry_out(store: Store, catalog: Catalog, plan: Plan, how: How, where: Path, watcher: Watcher) -> Report:
    """Measure what is not measured yet, report, and tell who observes. `where` is whose git commit is recorded.

    A mistake leaves no empty folder behind. KeyboardInterrupt passes; what is measured by then is kept."""
    from harness.measure.runner import run_plan, tell

    jobs = how.jobs or len(os.sched_getaffinity(0))
    try:
        run_plan(
            plan, store, catalog, executor=how.executor, watcher=watcher, where=where, confirm=how.confirm, jobs=jobs
        )
    except UserError:
        store.discard_if_empty()
        raise
    report = finish(store, catalog)
    tell(catalog, "run_finished", watcher, folder=store.folder)
    return report


def finish(store: Store, catalog: Catalog) -> Report:
    """Make the report and let every reporter write it. One that fails is among the report's problems."""
    from harness.report.writer import report_run

    return report_run(store, catalog)


def went_wrong(report: Report) -> bool:
    """Whether a trial failed or broke its promise, or a metric or reporter could not do its work."""
    return bool(report.problems or report.findings.broken)


def run_of(run: Path | None, results: Path) -> Store:
    """The run in a folder; the newest one where it is not given, or "latest"."""
    from harness.records.store import Store

    return Store.latest(results) if run is None or run == Path("latest") else Store.open(run)


def folder_of(name: str, results: Path) -> Path:
    """The run that a name means: a folder, latest, a suite's name or file for its latest run, or NAME~N."""
    from harness.records.store import Store, runs_of

    if Path(name).is_dir() and (Path(name) / "plan.json").is_file():
        return Path(name)
    stem, _, back = name.partition("~")
    if back and not back.isdecimal():
        raise UserError("it takes NAME~N, N runs before the latest.", where=name)
    if Path(stem).suffix == ".yaml":
        stem = Path(stem).stem
    if stem == "latest" and not back:
        return Store.latest(results).folder
    if stem == "latest":
        stem = Store.latest(results).folder.parent.name
    if Path(name).is_dir():
        return Path(name)
    folders = runs_of(results, stem)
    if int(back or 0) >= len(folders):
        raise UserError(f"there are only {len(folders)} runs of {stem}.", where=name)
    return folders[-1 - int(back or 0)]


def store_of(folder: Path) -> Store:
    """The store of a run. Raises UserError where the folder is none, or that of a page."""
    from harness.records.store import Store
    from harness.report.suite_batch import SuiteBatch as Page

    if Page.is_one(folder):
        raise UserError("is the page of a folder of suites.", where=str(folder), fix="Name one of its runs.")
    return Store.open(folder)


def kept(context: Mapping[str, str], only: Mapping[str, Sequence[str]]) -> bool:
    """Whether a context is among those asked for."""
    return all(context[axis] in levels for axis, levels in only.items() if axis in context)
