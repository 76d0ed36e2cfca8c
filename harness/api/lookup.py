"""Find what the user names: plugins, stored runs, and levels of axes. Nothing here prints.

Every command imports this module, also for ``--help``, so it imports the records only when a run is opened.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UserError, did_you_mean
from harness.plugins.catalog import Catalog
from harness.plugins.manager import installed, load_plugins

if TYPE_CHECKING:
    from harness.records.store import Store


@dataclass(frozen=True)
class PluginChoice:
    """Which plugins to load: every installed one except those in `without`, and the plugin `files`."""

    files: tuple[Path, ...] = ()
    without: tuple[str, ...] = ()

    def catalog(self, earlier_without: Collection[str] = ()) -> Catalog:
        """The catalog of these plugins. What an earlier run left out is left out too, if it is still installed."""
        present = installed() if earlier_without else ()
        earlier = [name for name in earlier_without if name in present]
        return Catalog(load_plugins(self.files, [*self.without, *earlier]))

    def catalog_for(self, stores: Iterable[Store]) -> Catalog:
        """The catalog to read stored runs with. It leaves out the plugins that the runs left out."""
        return self.catalog([name for store in stores for name in store.overrides().get("without", ())])


def parse_only(texts: Sequence[str]) -> dict[str, list[str]]:
    """Levels by axis, from texts such as AXIS=LEVEL,LEVEL. An axis that is given twice gets the levels of both."""
    from harness.suite.names import composed

    found: dict[str, list[str]] = {}
    for text in texts:
        axis, equals, levels = text.partition("=")
        if not equals or not levels:
            raise UserError("expected AXIS=LEVEL or AXIS=LEVEL,LEVEL.", where=f"--only {text}")
        found.setdefault(composed(axis), []).extend(levels.split(","))
    return found


def is_selected(context: Mapping[str, str], only: Mapping[str, Sequence[str]]) -> bool:
    """Whether `only` has the level of each axis of a context that it names."""
    return all(context[axis] in levels for axis, levels in only.items() if axis in context)


def known_names(kind: str, wanted: Iterable[str], known: Collection[str], option: str = "") -> list[str]:
    """The known names that these texts mean. Raises UserError for a text that means none of this kind."""
    from harness.suite.names import find_name

    names = []
    for text in wanted:
        if (name := find_name(text, known)) is None:
            where = f"{option}{text}" if option else None
            raise UserError(f"there is no {kind} named {text!r}.", where=where, fix=did_you_mean(text, known))
        names.append(name)
    return names


def known_levels(
    only: Mapping[str, Sequence[str]], known: Mapping[str, Collection[str]], axis: str = "axis"
) -> dict[str, list[str]]:
    """The axes and levels that the texts of `only` mean. Raises UserError for one that is not known."""
    axes = known_names(axis, only, known, "--only ")
    return {
        axis: known_names("level", levels, known[axis], f"--only {axis}=")
        for axis, levels in zip(axes, only.values(), strict=True)
    }


def suite_called(text: str) -> str:
    """The name of the suite that a user calls by its name or by its file."""
    from harness.suite.names import composed
    from harness.suite.yaml_source import is_yaml

    return composed(Path(text).stem if is_yaml(Path(text)) else text)


def open_run(run: str | Path | None, results: Path) -> Store:
    """The run that a name means: a folder, "latest" or None for the latest run of all, the name or file of a suite for
    its latest run, or NAME~N for the Nth run before that. Raises UserError if there is none."""
    from harness.records.store import Store, is_run, runs_of, suites_with_runs
    from harness.report.suite_batch import SuiteBatch

    name = str(run or "latest")
    called, _, back = name.partition("~")
    suite = suite_called(called)
    is_path = Path(name).is_dir() or ("/" in name and suite == called)
    if is_path and (is_run(Path(name)) or suite not in ("latest", *suites_with_runs(results))):
        if SuiteBatch.is_in(Path(name)):
            raise UserError("this is the page of several suites.", where=name, fix="Give the folder of one run.")
        return Store.open(Path(name))
    if back and not back.isdecimal():
        raise UserError("expected NAME~N for the Nth run before the latest one, such as NAME~1.", where=name)
    if suite == "latest":
        latest = Store.latest(results)
        if not back:
            return latest
        suite = latest.folder.parent.name
    folders = runs_of(results, suite)
    if int(back or 0) >= len(folders):
        fix = f"Use a number below {len(folders)}, or leave it out for the latest run."
        raise UserError(f"the number of runs of {suite} is {len(folders)}.", where=name, fix=fix)
    return Store.open(folders[-1 - int(back or 0)])


def suite_of_runs(text: str | None, results: Path) -> str:
    """The suite whose runs a text means: its name or file, or any name of one of its runs."""
    from harness.records.store import suites_with_runs

    suite = suite_called((text or "latest").partition("~")[0])
    is_folder = Path(suite).is_dir() and suite not in suites_with_runs(results)
    return open_run(text, results).folder.resolve().parent.name if suite == "latest" or is_folder else suite
