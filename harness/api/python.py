"""`harness.run`, `harness.resume` and `harness.open`: the commands for Python and notebooks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.api.lookup import PluginChoice, open_run
from harness.api.progress import Progress
from harness.api.result import Result
from harness.api.session import ExecutionOptions, Session, SuiteOverrides
from harness.errors import UserError
from harness.measure.runner import Watcher
from harness.report.report import make_report
from harness.suite.values import SuiteValues

StrPath = str | Path
#: ``path=value`` texts as --set takes them, or a mapping of paths to values.
Settings = Sequence[str] | Mapping[str, Any]
#: ``axis=level,level`` texts as --only takes them, or a mapping of axes to levels, which may be numbers.
Only = Sequence[str] | Mapping[str, str | float | Sequence[str | float]]


class ProblemCollector(Watcher):
    """Collects the problems of a run and shows nothing."""

    def __init__(self) -> None:
        self.problems: set[str] = set()

    def problem(self, text: str) -> None:
        """Something went wrong that does not affect what is measured."""
        self.problems.add(text)


def run(
    suite: StrPath | Mapping[str, Any],
    *,
    name: str = "suite",
    preset: str | None = None,
    settings: Settings = (),
    only: Only = (),
    device: str | None = None,
    quick: bool = False,
    confirm: bool = False,
    plugins: Iterable[StrPath] = (),
    without: Iterable[str] = (),
    results: StrPath = "results",
    executor: str = "local",
    jobs: int | None = None,
    progress: bool = False,
) -> Result:
    """Measure a suite, which is a file or a dictionary, and return its result. The runs of a dictionary are stored
    under `name`. All other parameters are the options of ``harness run``.

    `confirm` measures at least five processes, and the blocks of a false claim again, as ``--gate`` does. With
    `progress`, comparisons are written to standard error as they come. A trial that fails is part of the result, which
    is then not `ok`. Raises UserError for a mistake in the arguments or the suite. On Ctrl-C it raises
    KeyboardInterrupt, whose message names the folder of the run.
    """
    given = SuiteValues(name, suite) if isinstance(suite, Mapping) else Path(suite)
    if isinstance(given, Path) and given.is_dir():
        raise UserError("this is a folder of suites.", where=str(given), fix="Run its suites one by one.")
    overrides = SuiteOverrides.of(
        _texts(settings, "settings"), _texts(only, "only"), device, preset, quick=quick, gate=confirm
    )
    options = ExecutionOptions(executor, jobs, confirm)
    session = Session.begin(given, overrides, choice(plugins, without), Path(results), options)
    return executed(session, options, progress)


def resume(
    run: StrPath,
    *,
    results: StrPath = "results",
    seeds: int | None = None,
    plugins: Iterable[StrPath] = (),
    executor: str = "local",
    jobs: int | None = None,
    progress: bool = False,
) -> Result:
    """Continue a run that was stopped, or extend it to more `seeds`, as ``harness run --resume`` does. `run` is its
    folder, or a name as `open` takes it."""
    session = Session.resume(open_run(run, Path(results)).folder, choice(plugins), seeds)
    return executed(session, ExecutionOptions(executor, jobs), progress)


def open(run: StrPath = "latest", *, results: StrPath = "results", plugins: Iterable[StrPath] = ()) -> Result:
    """The result of an earlier run: its folder, "latest", a suite's name for its latest run under `results`, or NAME~1
    for the run before that.

    Nothing is measured or written, and torch is not imported. The metrics of `plugins`, which are plugin files, are
    computed too. Installed plugins that the run left out are left out again."""
    store = open_run(run, Path(results))
    return Result(make_report(store, choice(plugins).catalog_for([store])), store.folder.resolve())


def choice(plugins: Iterable[StrPath], without: Iterable[str] = ()) -> PluginChoice:
    """The plugins as a session takes them."""
    return PluginChoice(tuple(map(Path, plugins)), tuple(without))


def executed(session: Session, options: ExecutionOptions, progress: bool) -> Result:
    """Measure a session, and return its result."""
    watcher = Progress(session.plan, session.catalog, sys.stderr) if progress else ProblemCollector()
    folder = session.store.folder
    try:
        report = session.execute(options, watcher)
    except KeyboardInterrupt as error:
        session.report()
        stored = f"everything measured is stored in {folder}; harness.open shows it, harness.resume continues"
        raise KeyboardInterrupt(stored) from error
    return Result(report, folder.resolve(), tuple(sorted(watcher.problems)))


def _texts(given: Settings | Only, name: str) -> list[str]:
    """Options as the command line writes them."""
    if isinstance(given, str):
        raise UserError(f"{name} takes a list or a mapping, not one text.", fix=f"Write {name}=[{given!r}].")
    if not isinstance(given, Mapping):
        return [str(text) for text in given]
    if name == "only":
        return [f"{axis}={_levels(levels)}" for axis, levels in given.items()]
    # JSON is YAML, in which settings are read.
    return [f"{path}={json.dumps(value, ensure_ascii=False)}" for path, value in given.items()]


def _levels(levels: Any) -> str:
    several = isinstance(levels, Iterable) and not isinstance(levels, str)
    return ",".join(map(str, levels)) if several else str(levels)
