"""Find plugins. One broken plugin never kills the rest: what went wrong is kept and shown by name."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pluggy

from harness import hookspecs
from harness.errors import UserError, did_you_mean

GROUP = "harness"


@dataclass(frozen=True)
class PluginProblem:
    """A plugin that could not be used, wholly or in part, and why."""

    plugin: str
    reason: str

    def __str__(self) -> str:
        return f"plugin {self.plugin}: {self.reason}"


@dataclass
class Plugins:
    """The plugins of this process: pluggy's manager, each plugin's version, and what went wrong."""

    manager: pluggy.PluginManager
    versions: dict[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    problems: list[PluginProblem] = field(default_factory=list)


def load_plugins(files: Iterable[Path] = ()) -> Plugins:
    """Load every installed plugin (entry points of the group "harness") and the plugin `files`.

    Raises UserError for a file that is not there or fails to import: it was asked for by name.
    """
    manager = pluggy.PluginManager("harness")
    manager.add_hookspecs(hookspecs)
    plugins = Plugins(manager, files=tuple(Path(file).resolve() for file in files))
    for entry_point in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
        name = entry_point.dist.name if entry_point.dist else entry_point.name
        try:
            module = entry_point.load()
        except Exception as error:  # a plugin may raise anything; it is named and the others go on
            plugins.problems.append(PluginProblem(name, f"import failed: {type(error).__name__}: {error}"))
            continue
        _register(plugins, module, name, entry_point.dist.version if entry_point.dist else "0")
    for file in plugins.files:
        module = _import_file(file)
        content = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        _register(plugins, module, file.name, f"sha256:{content}")
    return plugins


def _register(plugins: Plugins, module: object, name: str, version: str) -> None:
    known = {attribute for attribute in vars(hookspecs) if hasattr(getattr(hookspecs, attribute), "harness_spec")}
    for attribute in dir(module):
        if hasattr(getattr(module, attribute, None), "harness_impl") and attribute not in known:
            reason = f"implements a hook {attribute!r} that there is not. {did_you_mean(attribute, known)}"
            plugins.problems.append(PluginProblem(name, reason))
    try:
        plugins.manager.register(module, name=name)
    except (pluggy.PluginValidationError, ValueError) as error:
        plugins.problems.append(PluginProblem(name, f"cannot be registered: {error}"))
        if plugins.manager.is_registered(module):
            plugins.manager.unregister(module)
        return
    plugins.versions[name] = version


def _import_file(file: Path) -> ModuleType:
    name = file.stem
    if not file.is_file():
        raise UserError("there is no such plugin file.", where=str(file), fix="Give -p the path of a Python file.")
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) != str(file):
        raise UserError(f"a module named {name!r} is imported already.", where=str(file), fix="Rename the file.")
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UserError("is not a Python file.", where=str(file), fix="A plugin file ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that references like "my_cell:build" find it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        line = _line_in(error, file)
        raise UserError(
            f"the plugin file failed to import: {type(error).__name__}: {error}",
            where=f"{file}:{line}" if line else str(file),
        ) from error
    return module


def _line_in(error: Exception, file: Path) -> int | None:
    if isinstance(error, SyntaxError):
        return error.lineno
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
