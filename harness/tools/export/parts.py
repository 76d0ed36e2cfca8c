"""Where the code of a trial's parts is found in the source of their plugins."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from harness.errors import UserError
from harness.plugins.catalog import Catalog, Entry
from harness.tools.export.modules import Modules, Outside, Unit
from harness.tools.export.shake import Meaning


def modules_of(catalog: Catalog, entries: Iterable[Entry]) -> Modules:
    """The modules whose code may be taken along: the core's, and those of the plugins' packages and files."""
    inside = {"harness"} | {
        str(getattr(plugin, "__name__", "")).partition(".")[0] for plugin in catalog.plugins.manager.get_plugins()
    }
    for entry in entries:
        if isinstance(entry.part.build, str):
            inside.add(entry.part.build.partition(":")[0].partition(".")[0])
    return Modules(frozenset(inside - {""}), frozenset(file.parent for file in catalog.plugins.files))


def locate_part(modules: Modules, entry: Entry) -> Meaning:
    """What a part's code is called in its module."""
    owner = entry.owner
    if not isinstance(entry.part.build, str):
        return locate(modules, entry.part.build, owner)
    module, _, attribute = entry.part.build.partition(":")
    if not modules.is_inside(module):
        return Outside(f"{module}.{attribute}")
    found, _ = modules.resolve(modules.source(module), attribute, [])
    if found is None:
        raise UserError(f"{owner}: no statement of {module} binds {attribute}, so its code cannot be exported.")
    return found


def locate(modules: Modules, code: Callable[..., Any] | type, owner: str) -> Meaning:
    """What a function or class is called in its module. Raises UserError for one that has no name at its top."""
    module, name = str(getattr(code, "__module__", "")), str(getattr(code, "__qualname__", ""))
    home = sys.modules.get(module)
    names = [name, *(other for other, value in vars(home).items() if value is code)] if home else []
    for known in names:
        there = getattr(home, known, None)
        # A file that was loaded twice has two of each, and one source.
        twin = (getattr(there, "__module__", ""), getattr(there, "__qualname__", "")) == (module, known)
        if there is not code and not twin:
            continue
        if not modules.is_inside(module):
            return Outside(f"{module}.{known}")
        if modules.source(module).binding(known):
            return Unit(module, known)
    raise UserError(
        f"{owner}: its code ({name or type(code).__name__}) has no name at the top of a module: it cannot be exported.",
        fix="Define it there with def or class, and name that.",
    )
