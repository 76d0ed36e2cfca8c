"""Find what a command names: the levels of an axis, and stored runs. Nothing here prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import UserError
from harness.records.store import Store, runs_of


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
    """Whether the levels of a context are all among those in `only`."""
    return all(context[axis] in levels for axis, levels in only.items() if axis in context)


def run_of(run: Path | None, results: Path) -> Store:
    """The run in a folder; the latest one for None and for "latest"."""
    return Store.latest(results) if run is None or run == Path("latest") else Store.open(run)


def folder_of(name: str, results: Path) -> Path:
    """The folder of the run that a name means: a folder, "latest", a suite's name or file for its latest run, or
    NAME~N for the Nth run before that."""
    if (Path(name) / "plan.json").is_file():
        return Path(name)
    stem, _, back = name.partition("~")
    if back and not back.isdecimal():
        raise UserError("expected NAME~N, the Nth run before the latest.", where=name)
    if Path(stem).suffix == ".yaml":
        stem = Path(stem).stem
    if stem == "latest":
        latest = Store.latest(results).folder
        if not back:
            return latest
        stem = latest.parent.name
    if Path(name).is_dir():
        return Path(name)
    folders = runs_of(results, stem)
    if int(back or 0) >= len(folders):
        raise UserError(f"there are only {len(folders)} runs of {stem}.", where=name)
    return folders[-1 - int(back or 0)]


def store_of(folder: Path) -> Store:
    """The store of a run. Raises UserError if the folder holds no run, or the page of several suites."""
    from harness.report.suite_batch import SuiteBatch  # most commands that look up a run need none of the reports

    if SuiteBatch.is_in(folder):
        raise UserError("this is the page of a folder of suites.", where=str(folder), fix="Name one of its runs.")
    return Store.open(folder)
