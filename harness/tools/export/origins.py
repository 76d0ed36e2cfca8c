"""Where the code of a trial's parts is defined."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from harness.errors import UserError
from harness.plugins.catalog import Catalog, Entry
from harness.tools.export.modules import Definition, Modules, Origin
from harness.tools.export.names import Imported


def included_modules(catalog: Catalog, entries: Iterable[Entry]) -> Modules:
    """The modules whose code may be included: those of the core, of plugin packages and of plugin files."""
    names = {"harness"} | {str(getattr(plugin, "__name__", "")) for plugin in catalog.plugins.manager.get_plugins()}
    names |= {entry.part.build.partition(":")[0] for entry in entries if isinstance(entry.part.build, str)}
    packages = frozenset(name.partition(".")[0] for name in names if name)
    return Modules(packages, frozenset(file.parent for file in catalog.plugins.files))


def origin_of_part(modules: Modules, entry: Entry) -> Origin:
    """The origin of the code of a part. Raises UserError if its module does not define it."""
    if not isinstance(entry.part.build, str):
        return origin_of(modules, entry.part.build, entry.owner)
    module, _, attribute = entry.part.build.partition(":")
    if not modules.is_included(module):
        return Imported(module, attribute)
    found, _ = modules.resolve_name(modules.source(module), attribute, [])
    if found is None:
        raise UserError(f"{module} does not define {attribute}, so its code cannot be exported.", where=entry.owner)
    return found


def origin_of(modules: Modules, code: Callable[..., Any] | type, owner: str) -> Origin:
    """The origin of a function or class. Raises UserError if no name at the top of its module means it."""
    module, name = str(getattr(code, "__module__", "")), str(getattr(code, "__qualname__", ""))
    home = sys.modules.get(module)
    for known in [name, *(other for other, value in vars(home).items() if value is code)] if home else []:
        there = getattr(home, known, None)
        # A plugin file that was loaded twice has two objects for one definition.
        same_name = (getattr(there, "__module__", ""), getattr(there, "__qualname__", "")) == (module, known)
        if there is not code and not same_name:
            continue
        if not modules.is_included(module):
            return Imported(module, known)
        if modules.statements(Definition(module, known)):
            return Definition(module, known)
    raise UserError(
        f"its code ({name or type(code).__name__}) has no name at the top of a module, so it cannot be exported.",
        where=owner,
        fix="Define it there with def or class.",
    )
