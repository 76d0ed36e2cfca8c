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
    found: dict[str, list[str]] = {}
    for text in texts:
        axis, equals, levels = text.partition("=")
        if not equals or not levels:
            raise UserError("expected AXIS=LEVEL or AXIS=LEVEL,LEVEL.", where=f"--only {text}")
        found.setdefault(axis, []).extend(levels.split(","))
    return found


def is_selected(context: Mapping[str, str], only: Mapping[str, Sequence[str]]) -> bool:
    """Whether `only` has the level of each axis of a context that it names."""
    return all(context[axis] in levels for axis, levels in only.items() if axis in context)


def check_known(kind: str, names: Iterable[str], known: Collection[str], option: str = "") -> None:
    """Raise UserError for a name that is not among the known ones of this kind."""
    for name in names:
        if name not in known:
            where = f"{option}{name}" if option else None
            raise UserError(f"there is no {kind} named {name!r}.", where=where, fix=did_you_mean(name, known))


def open_run(run: str | Path | None, results: Path) -> Store:
    """The run that a name means: a folder, "latest" or None for the latest run of all, the name or file of a suite for
    its latest run, or NAME~N for the Nth run before that. Raises UserError if there is none."""
    from harness.records.store import Store, runs_of
    from harness.report.suite_batch import SuiteBatch

    name = str(run or "latest")
    suite, _, back = name.partition("~")
    is_file = Path(suite).suffix in (".yaml", ".yml")
    if Path(name).is_dir() or ("/" in name and not is_file):
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
    folders = runs_of(results, Path(suite).stem if is_file else suite)
    if int(back or 0) >= len(folders):
        fix = f"Use a number below {len(folders)}, or leave it out for the latest run."
        raise UserError(f"the number of runs of {suite} is {len(folders)}.", where=name, fix=fix)
    return Store.open(folders[-1 - int(back or 0)])
