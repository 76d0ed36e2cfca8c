"""`harness.run`, `harness.resume` and `harness.open`: the command line's verbs for Python and notebooks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.api import lookup, session
from harness.api.lookup import PluginChoice
from harness.api.progress import Progress
from harness.api.result import Result
from harness.api.session import ExecutionOptions, SuiteOverrides
from harness.errors import UserError
from harness.measure.runner import Watcher
from harness.report.report import make_report
from harness.report.writer import report_run

if TYPE_CHECKING:
    from harness.plugins.catalog import Catalog
    from harness.records.plan import Plan
    from harness.records.store import Store

StrPath = str | Path
#: ``path=value`` texts as --set takes them, or a mapping of paths to values.
Settings = Sequence[str] | Mapping[str, Any]
#: ``axis=level,level`` texts as --only takes them, or a mapping of axes to levels.
Only = Sequence[str] | Mapping[str, str | Sequence[str]]


class Listener(Watcher):
    """Hears what a run tells of itself, and keeps what went wrong. Nothing is shown."""

    def __init__(self) -> None:
        self.problems: set[str] = set()

    def problem(self, text: str) -> None:
        """Something went wrong that does not touch what is measured."""
        self.problems.add(text)


def run(
    suite: StrPath,
    *,
    preset: str | None = None,
    settings: Settings = (),
    only: Only = (),
    device: str | None = None,
    quick: bool = False,
    until_decided: bool = False,
    confirm: bool = False,
    plugins: Iterable[StrPath] = (),
    without: Iterable[str] = (),
    results: StrPath = "results",
    executor: str = "local",
    jobs: int | None = None,
    progress: bool = False,
) -> Result:
    """Measure a suite and give what it shows; the same as ``harness run``, whose options these are.

    `confirm` measures what a claim fails by once more, as ``--gate`` does. With `progress`, comparisons are written to
    the standard error output as they come. A trial that fails is part of the result, which is then not `ok`. Raises
    UserError for a mistake in what is asked. KeyboardInterrupt passes, and says where everything measured is kept.
    """
    path = Path(suite)
    if path.is_dir():
        raise UserError("is a folder of suites.", where=str(path), fix="Run its suites one by one.")
    overrides = SuiteOverrides.of(
        _texts(settings, "settings"), _texts(only, "only"), device, preset, quick=quick, until_decided=until_decided
    )
    options = ExecutionOptions(executor, jobs, confirm)
    begun = session.begin(path, overrides, _choice(plugins, without), Path(results), options)
    return _executed(begun, options, path.parent, progress)


def resume(
    folder: StrPath,
    *,
    seeds: int | None = None,
    plugins: Iterable[StrPath] = (),
    executor: str = "local",
    jobs: int | None = None,
    progress: bool = False,
) -> Result:
    """Go on with a run that was stopped, or to more `seeds`; the same as ``harness run --resume``."""
    options = ExecutionOptions(executor, jobs)
    return _executed(session.resume(Path(folder), _choice(plugins), seeds), options, Path(), progress)


def open(run: StrPath = "latest", *, results: StrPath = "results", plugins: Iterable[StrPath] = ()) -> Result:
    """What an earlier run shows: a run's folder, "latest", or a suite's name for its latest run under `results`.

    Nothing is measured or written, and no torch is imported. Metrics of plugin files are those of `plugins`; installed
    plugins that the run was without are left out."""
    store = lookup.store_of(lookup.folder_of(str(run), Path(results)))
    return Result(make_report(store, _choice(plugins).catalog_for([store])), store.folder.resolve())


def _choice(plugins: Iterable[StrPath], without: Iterable[str] = ()) -> PluginChoice:
    return PluginChoice(tuple(map(Path, plugins)), tuple(without))


def _executed(begun: tuple[Store, Catalog, Plan], options: ExecutionOptions, where: Path, progress: bool) -> Result:
    store, catalog, plan = begun
    watcher = Progress(plan, catalog, sys.stderr) if progress else Listener()
    try:
        report = session.execute(store, catalog, plan, options, where, watcher)
    except KeyboardInterrupt as error:
        report_run(store, catalog)
        kept = f"what is measured is kept in {store.folder}: harness.open shows it, harness.resume goes on"
        raise KeyboardInterrupt(kept) from error
    return Result(report, store.folder.resolve(), tuple(sorted(watcher.problems)))


def _texts(given: Settings | Only, name: str) -> list[str]:
    """The same as the command line writes it."""
    if isinstance(given, str):
        raise UserError(f"{name} takes a list or a mapping, not one text.", fix=f"Write {name}=[{given!r}].")
    if not isinstance(given, Mapping):
        return [str(text) for text in given]
    if name == "only":
        return [f"{axis}={_levels(levels)}" for axis, levels in given.items()]
    # JSON is YAML, in which settings are read.
    return [f"{path}={json.dumps(value, ensure_ascii=False)}" for path, value in given.items()]


def _levels(levels: str | Sequence[str]) -> str:
    return levels if isinstance(levels, str) else ",".join(map(str, levels))
