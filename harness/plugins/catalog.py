"""From names to parts, and from parts to the code they name."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from harness.errors import Place, UserError, did_you_mean
from harness.plugins.isolation import error_text, errors_to, isolated
from harness.plugins.kinds import MeasureKind
from harness.plugins.manager import CORE, PluginProblem, Plugins, installed, load_plugins
from harness.plugins.parts import Command, Dataset, Executor, Metric, Model, Optimization, Part, Promise, Reporter

if TYPE_CHECKING:
    from harness.records.settings import Settings

#: Each kind of part and the hook that provides it.
KINDS: dict[type[Part], str] = {
    Model: "provide_models",
    Dataset: "provide_datasets",
    Optimization: "provide_optimizations",
    Metric: "provide_metrics",
    Reporter: "provide_reporters",
    Executor: "provide_executors",
    Promise: "provide_promises",
    MeasureKind: "provide_measures",
    Command: "register_commands",
}
#: The most parts of a kind that a plugin may provide. It ends hooks that yield without end.
MOST = 1000


@dataclass(frozen=True)
class Entry:
    """A part and the plugin that provides it."""

    part: Any
    plugin: str
    version: str

    @property
    def owner(self) -> str:
        """The part and its plugin, as messages name them."""
        return f"{self.part.kind} {self.part.name} (plugin {self.plugin})"


@dataclass(frozen=True)
class Measure:
    """A kind of measurement with its plugin, and the class of its settings."""

    entry: Entry
    settings: type[Settings]

    @property
    def kind(self) -> MeasureKind:
        """The kind itself."""
        kind: MeasureKind = self.entry.part
        return kind


class Catalog:
    """All parts of all plugins, by kind and name. Only the hooks of `kinds` are called.

    A name that two plugins provide cannot be used until one of them is removed or left out; all other names can. A name
    of the core always means the core's part."""

    def __init__(self, plugins: Plugins, kinds: Iterable[type[Part]] = KINDS) -> None:
        self.plugins = plugins
        self.problems: list[PluginProblem] = list(plugins.problems)
        self._entries: dict[str, dict[str, list[Entry]]] = {kind.kind: {} for kind in KINDS}
        for kind in kinds:
            hook = KINDS[kind]
            # Implementations are called one by one, so that one that raises does not hide the others.
            for implementation in getattr(plugins.manager.hook, hook).get_hookimpls():
                self._add(kind, hook, implementation.plugin_name, implementation.function)
        for by_name in self._entries.values():
            for name, entries in by_name.items():
                if len(entries) > 1:
                    self._settle(name, entries)

    def _settle(self, name: str, entries: list[Entry]) -> None:
        """Record which plugins provide the same name. If one of them is the core, its part is used."""
        ours = [entry for entry in entries if entry.plugin == CORE]
        if ours:
            for other in entries:
                if other not in ours:
                    reason = f"provides {other.part.kind} {name!r}, which is a name of the core; it is not used"
                    self.problems.append(PluginProblem(other.plugin, reason))
            entries[:] = ours
            return
        others = " and ".join(entry.plugin for entry in entries[1:])
        reason = f"provides {entries[0].part.kind} {name!r}, and so does {others}"
        self.problems.append(PluginProblem(entries[0].plugin, reason))

    def _add(self, kind: type[Part], hook: str, plugin: str, provide: Callable[[], Any]) -> None:
        def problem(reason: str) -> None:
            self.problems.append(PluginProblem(plugin, f"{hook} {reason}"))

        parts: list[Any] = []
        wrong: list[str] = []
        # A plugin that fails here does not stop the others.
        with errors_to(lambda error: problem(f"failed: {error}")), isolated(f"asking {plugin} for its {kind.kind}s"):
            parts = list(itertools.islice(provide(), MOST + 1))
            wrong = [complaint_of(part, kind) for part in parts]
        if len(parts) > MOST:
            problem(f"yields more than {MOST} parts; none of them is used")
            return
        for part, complaint in zip(parts, wrong, strict=False):
            if complaint:
                problem(complaint)
            else:
                entry = Entry(part, plugin, self.plugins.versions[plugin])
                self._entries[kind.kind].setdefault(part.name, []).append(entry)

    def entries(self, kind: type[Part]) -> dict[str, Entry]:
        """The usable parts of one kind by name, in the order in which plugins provide them, without those that are not
        listed."""
        found = self._entries[kind.kind]
        return {name: entries[0] for name, entries in found.items() if len(entries) == 1 and entries[0].part.listed}

    def get(self, kind: type[Part], name: str) -> Entry | None:
        """The usable part of this name, also one that is not listed; None if there is none."""
        found = self._entries[kind.kind].get(name, [])
        return found[0] if len(found) == 1 else None

    def _names(self, kind: type[Part]) -> list[str]:
        """The names of all listed parts of a kind, also of those that two plugins provide."""
        return [name for name, entries in self._entries[kind.kind].items() if entries[0].part.listed]

    def find(self, kind: type[Part], name: str, where: Place | None = None) -> Entry:
        """The part of this kind and name. Raises UserError with the nearest name, with both plugins of a conflict, or
        with the plugins that failed to import and may provide it."""
        entries = self._entries[kind.kind].get(name, [])
        if len(entries) == 1:
            return entries[0]
        if entries:
            both = " and ".join(entry.plugin for entry in entries)
            files = {file.name for file in self.plugins.files}
            fix = "Uninstall one of them, or use --without NAME."
            if all(entry.plugin in files for entry in entries):
                fix = "Give only one of them to -p."
            raise UserError(f"two plugins provide {_a(kind.kind)} named {name!r}: {both}.", where=where, fix=fix)
        for other in KINDS:
            if other is not kind and name in self._names(other):
                fix = f"{name!r} is {_a(other.kind)}" + (
                    ": list it under use." if other is Optimization else f", not {_a(kind.kind)}."
                )
                break
        else:
            fix = did_you_mean(name, self._names(kind))
            broken = [problem for problem in self.plugins.problems if "import failed" in problem.reason]
            if broken:
                fix += f" A plugin that failed to import may provide it ({'; '.join(map(str, broken))})."
            elif not self._names(kind):
                fix = f"No installed plugin provides any {kind.kind}. Is rnn-harness-plugins installed?"
        raise UserError(f"there is no {kind.kind} named {name!r}.", where=where, fix=fix)

    def named(self, name: str) -> list[Entry]:
        """The parts of all kinds with this name. Raises UserError with the nearest names if there is none."""
        found = [entry for by_name in self._entries.values() for entry in by_name.get(name, []) if entry.part.listed]
        if not found:
            known = {name for kind in KINDS for name in self._names(kind)}
            raise UserError(f"there is no part named {name!r}.", fix=did_you_mean(name, known))
        return found

    @cached_property
    def measures(self) -> dict[str, Measure]:
        """The kinds of measurement by name, with their settings classes. One whose settings class cannot be imported
        is left out; the problem is recorded."""
        found = {}
        for name, entry in self.entries(MeasureKind).items():
            try:
                form = resolve(entry.part.settings, entry.owner)
            except UserError as error:
                self.problems.append(PluginProblem(entry.plugin, str(error)))
            else:
                found[name] = Measure(entry, cast("type[Settings]", form))
        return found

    def code(self, entry: Entry, where: Place | None = None) -> Callable[..., Any]:
        """The callable that builds a part. Raises UserError, which names the plugin, if it cannot be imported."""
        return resolve(entry.part.build, entry.owner, where)


def core_catalog() -> Catalog:
    """The core's own parts. No other plugin is imported."""
    others = {name.partition(":")[0] for name in installed()} - {CORE}
    return Catalog(load_plugins(without=others))


def origin_of(entry: Entry, parameters: Mapping[str, Any], where: Place | None = None) -> tuple[str, str]:
    """Where the code of a part with these parameters is, and its version: the plugin, or the file that a parameter
    names. Raises UserError if there is no such file."""
    if entry.part.origin is None:
        return entry.plugin, entry.version
    try:
        name, version = resolve(entry.part.origin, entry.owner, where)(**parameters)
    except UserError as error:
        raise UserError(error.what, where=error.where or where, fix=error.fix) from None
    return name, version


def complaint_of(part: object, kind: type[Part]) -> str:
    """Why an object that a hook yields cannot be used as a part of this kind; empty if it can."""
    if not isinstance(part, kind):
        return f"yields a {type(part).__name__}; expected a harness.{kind.__name__}"
    try:
        complaint = kind.complaint(part)
    except Exception as error:  # caused by values of wrong types
        complaint = f"{part.name!r}: {error_text(error)}"
    return f"yields an unusable {kind.kind}: {complaint}" if complaint else ""


def resolve(reference: str | Callable[..., Any], owner: str, where: Place | None = None) -> Callable[..., Any]:
    """The callable that ``"module:attribute"`` names. A callable is returned unchanged."""
    if callable(reference):
        return reference
    module_name, _, attribute = reference.partition(":")
    if not module_name or not attribute:
        raise UserError(f"{owner}: {reference!r} is not of the form 'module:attribute'.", where=where)
    try:
        with isolated(f"importing {module_name} for {owner}"):
            module = importlib.import_module(module_name)
            found = getattr(module, attribute, None)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # plugin code may raise anything while it is imported
        raise UserError(f"{owner}: importing {module_name} failed: {error_text(error)}", where=where) from error
    if not callable(found):
        fix = did_you_mean(attribute, [name for name in vars(module) if not name.startswith("_")])
        raise UserError(f"{owner}: {module_name} has no callable {attribute!r}.", where=where, fix=fix)
    return found  # type: ignore[no-any-return]


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
