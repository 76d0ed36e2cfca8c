"""Finding plugins. A broken plugin does not stop the others: its problem is recorded under its name."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pluggy

from harness.errors import UserError, did_you_mean
from harness.plugins import hookspecs
from harness.plugins.code_files import line_in, modules_of
from harness.plugins.isolation import error_text, errors_to, isolated, one_line

GROUP = "harness"
#: The distribution that provides the core's own parts.
CORE = "rnn-harness"
#: The variable that names installed plugins to leave out, separated by commas.
WITHOUT = "HARNESS_WITHOUT"


@dataclass(frozen=True)
class PluginProblem:
    """A plugin that cannot be used, or only in part, and why."""

    plugin: str
    reason: str

    def __str__(self) -> str:
        return f"plugin {self.plugin}: {self.reason}"


@dataclass
class Plugins:
    """The plugins of this process: pluggy's manager, the version of each plugin, and what went wrong. `without` are the
    installed plugins that were left out. `state_changes` are the changes to global state that imports have made; they
    have been undone."""

    manager: pluggy.PluginManager
    versions: dict[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    problems: list[PluginProblem] = field(default_factory=list)
    without: tuple[str, ...] = ()
    state_changes: list[PluginProblem] = field(default_factory=list)

    def reporter(self, name: str, what: str) -> Callable[[str], None]:
        """A function that records that `what` happened to a plugin, with the text of the error."""
        return lambda error: self.problems.append(PluginProblem(name, f"{what}: {error}"))


def load_plugins(
    files: Iterable[Path] = (),
    without: Iterable[str] = (),
    *,
    restore: Callable[[], Sequence[str]] = lambda: (),
) -> Plugins:
    """Load every installed plugin (entry points of the group "harness") and the plugin `files`.

    The plugins named in `without`, or in the variable HARNESS_WITHOUT, are not imported. `restore` is called after each
    import: it undoes changes to global state and returns what they were.

    Raises UserError for a file that does not exist or fails to import, and for a plugin in `without` that is not
    installed.
    """
    manager = pluggy.PluginManager("harness")
    manager.add_hookspecs(hookspecs)
    known = installed()
    left_out = tuple(_left_out(without, known))
    plugins = Plugins(manager, files=tuple(Path(file).resolve() for file in files), without=left_out)
    for name, entry_point in known.items():
        if name.partition(":")[0] in left_out:
            manager.set_blocked(name)
            continue
        with errors_to(plugins.reporter(name, "import failed")), isolated(f"importing plugin {name}"):
            module = entry_point.load()
            _register(plugins, module, name, one_line(str(entry_point.dist.version)) if entry_point.dist else "0")
        plugins.state_changes += [PluginProblem(name, f"its import changes {what}; restored") for what in restore()]
    for file in plugins.files:
        name = one_line(file.name)
        module = _import_file(file)
        content = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        _register(plugins, module, name, f"sha256:{content}")
        plugins.state_changes += [PluginProblem(name, f"its import changes {what}; restored") for what in restore()]
    return plugins


def installed() -> Mapping[str, importlib.metadata.EntryPoint]:
    """The installed plugins by the name of their distribution. If a distribution has several entry points, the name of
    each follows after a colon."""
    found: dict[str, list[importlib.metadata.EntryPoint]] = {}
    for entry_point in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
        name = (entry_point.dist and entry_point.dist.name) or entry_point.name
        found.setdefault(one_line(name), []).append(entry_point)
    return {
        name if len(entry_points) == 1 else f"{name}:{entry_point.name}": entry_point
        for name, entry_points in found.items()
        for entry_point in entry_points
    }


def _left_out(without: Iterable[str], known: Iterable[str]) -> dict[str, None]:
    """The distributions that `without` and the variable name, in any spelling."""
    names = {_spelling(name): name for name in (each.partition(":")[0] for each in known)}
    asked = [(name, f"--without {name}") for name in without]
    asked += [(name.strip(), WITHOUT) for name in os.environ.get(WITHOUT, "").split(",") if name.strip()]
    found: dict[str, None] = {}
    for name, where in asked:
        if _spelling(name) == CORE:
            what = f"{CORE} is the core itself and cannot be left out."
            raise UserError(what, where=where, fix="Leave out the plugin that conflicts with it.")
        if _spelling(name) not in names:
            fix = did_you_mean(name, (each for spelling, each in names.items() if spelling != CORE))
            raise UserError(f"no plugin named {name!r} is installed.", where=where, fix=fix)
        found[names[_spelling(name)]] = None
    return found


def _spelling(name: str) -> str:
    """The normalised name of a distribution, as pip compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _register(plugins: Plugins, module: object, name: str, version: str) -> None:
    known = {attribute for attribute in vars(hookspecs) if hasattr(getattr(hookspecs, attribute), "harness_spec")}
    try:
        with isolated(f"registering plugin {name}"):
            for attribute in dir(module):
                if hasattr(getattr(module, attribute, None), "harness_impl") and attribute not in known:
                    reason = f"implements the unknown hook {attribute!r}. {did_you_mean(attribute, known)}"
                    plugins.problems.append(PluginProblem(name, reason))
            plugins.manager.register(module, name=name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module may raise when its attributes are read
        reason = one_line(str(error)) if isinstance(error, pluggy.PluginValidationError) else error_text(error)
        plugins.problems.append(PluginProblem(name, f"cannot be registered: {reason}"))
        if plugins.manager.is_registered(module):
            plugins.manager.unregister(module)
        return
    plugins.versions[name] = version


def _import_file(file: Path) -> ModuleType:
    name = file.stem
    if not file.is_file():
        raise UserError("plugin file not found.", where=str(file), fix="Give -p the path of a Python file.")
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) != str(file):
        raise UserError(f"a module named {name!r} is imported already.", where=str(file), fix="Rename the file.")
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UserError("this is not a Python file.", where=str(file), fix="The name of a plugin file ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that references like "my_cell:build" find it
    try:
        with modules_of(file.parent), isolated(f"importing {file.name}"):  # so that it can import its neighbours
            spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # it may raise anything
        sys.modules.pop(name, None)
        line = line_in(error, file)
        raise UserError(
            f"the plugin file failed to import: {error_text(error)}",
            where=f"{file}:{line}" if line else str(file),
        ) from error
    return module
