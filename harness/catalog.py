"""From names to parts, and from parts to the code they name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.errors import Place, UserError, did_you_mean
from harness.parts import Dataset, Executor, Metric, Model, Optimization, Part, Promise, Reporter
from harness.plugins import PluginProblem, Plugins

#: Each kind of part and the hook that provides it.
KINDS: dict[type[Part], str] = {
    Model: "provide_models",
    Dataset: "provide_datasets",
    Optimization: "provide_optimizations",
    Metric: "provide_metrics",
    Reporter: "provide_reporters",
    Executor: "provide_executors",
    Promise: "provide_promises",
}


@dataclass(frozen=True)
class Entry:
    """A part together with the plugin that brought it."""

    part: Any
    plugin: str
    version: str


class Catalog:
    """All parts of all plugins, by kind and name. A name that two plugins bring is unusable until one of
    them is removed; everything else keeps working."""

    def __init__(self, plugins: Plugins) -> None:
        self.plugins = plugins
        self.problems: list[PluginProblem] = list(plugins.problems)
        self._entries: dict[str, dict[str, list[Entry]]] = {kind.kind: {} for kind in KINDS}
        for kind, hook in KINDS.items():
            # One implementation after another, so that one that raises does not hide the others.
            for implementation in getattr(plugins.manager.hook, hook).get_hookimpls():
                self._add(kind, hook, implementation.plugin_name, implementation.function)
        for by_name in self._entries.values():
            for name, entries in by_name.items():
                if len(entries) > 1:
                    others = " and ".join(entry.plugin for entry in entries[1:])
                    self.problems.append(
                        PluginProblem(
                            entries[0].plugin, f"brings {entries[0].part.kind} {name!r}, and so does {others}"
                        )
                    )

    def _add(self, kind: type[Part], hook: str, plugin: str, provide: Callable[[], Any]) -> None:
        try:
            parts = list(provide())
        except Exception as error:  # named; the other plugins go on
            self.problems.append(PluginProblem(plugin, f"{hook} failed: {type(error).__name__}: {error}"))
            return
        for part in parts:
            if not isinstance(part, kind):
                reason = f"{hook} yields a {type(part).__name__} where a harness.{kind.__name__} is due"
                self.problems.append(PluginProblem(plugin, reason))
                continue
            entry = Entry(part, plugin, self.plugins.versions[plugin])
            self._entries[kind.kind].setdefault(part.name, []).append(entry)

    def entries(self, kind: type[Part]) -> dict[str, Entry]:
        """The usable parts of one kind by name, in the order in which plugins bring them."""
        found = self._entries[kind.kind]
        return {name: entries[0] for name, entries in found.items() if len(entries) == 1}

    def find(self, kind: type[Part], name: str, where: Place | None = None) -> Entry:
        """The part of this kind and name; raises UserError with the nearest name, or naming both plugins of a
        clash, or the plugins that failed to import and may have brought it."""
        entries = self._entries[kind.kind].get(name, [])
        if len(entries) == 1:
            return entries[0]
        if entries:
            both = " and ".join(entry.plugin for entry in entries)
            raise UserError(
                f"two plugins bring {_a(kind.kind)} named {name!r}: {both}.", where=where, fix="Uninstall one of them."
            )
        for other in KINDS:
            if other is not kind and name in self._entries[other.kind]:
                fix = f"{name!r} is {_a(other.kind)}" + (
                    ": write it under use." if other is Optimization else f", not {_a(kind.kind)}."
                )
                break
        else:
            fix = did_you_mean(name, self._entries[kind.kind])
            broken = [problem for problem in self.plugins.problems if "import failed" in problem.reason]
            if broken:
                fix += f" A plugin that failed to import may have brought it ({'; '.join(map(str, broken))})."
            elif not self._entries[kind.kind]:
                fix = f"No plugin here brings any {kind.kind}: is rnn-harness-plugins installed?"
        raise UserError(f"there is no {kind.kind} named {name!r}.", where=where, fix=fix)

    def named(self, name: str) -> list[Entry]:
        """Every part of any kind with this name; raises UserError with the nearest names if there is none."""
        found = [entry for by_name in self._entries.values() for entry in by_name.get(name, [])]
        if not found:
            known = {name for by_name in self._entries.values() for name in by_name}
            raise UserError(f"no part is named {name!r}.", fix=did_you_mean(name, known))
        return found

    def code(self, entry: Entry, where: Place | None = None) -> Callable[..., Any]:
        """The callable that builds a part; raises UserError naming the plugin where it cannot be imported."""
        return resolve(entry.part.build, f"{entry.part.kind} {entry.part.name} (plugin {entry.plugin})", where)


def resolve(reference: str | Callable[..., Any], owner: str, where: Place | None = None) -> Callable[..., Any]:
    """The callable behind ``"module:attribute"``; a callable is returned as it is."""
    if callable(reference):
        return reference
    module_name, _, attribute = reference.partition(":")
    if not module_name or not attribute:
        raise UserError(f"{owner}: {reference!r} is not of the form 'module:attribute'.", where=where)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # plugin code may raise anything while it is imported
        raise UserError(
            f"{owner}: importing {module_name} failed: {type(error).__name__}: {error}", where=where
        ) from error
    found = getattr(module, attribute, None)
    if not callable(found):
        fix = did_you_mean(attribute, [name for name in vars(module) if not name.startswith("_")])
        raise UserError(f"{owner}: {module_name} has no callable {attribute!r}.", where=where, fix=fix)
    return found  # type: ignore[no-any-return]


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
