"""The options that choose plugins, and the plugins that they choose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from harness.api.lookup import PluginChoice
from harness.plugins.catalog import Catalog

#: The key under which a command's contexts store the chosen plugins.
_PLUGINS = "harness.plugins"


def plugins_of(context: click.Context) -> PluginChoice:
    """The plugins that the command line chooses."""
    choice: PluginChoice = context.meta.get(_PLUGINS, PluginChoice())
    return choice


def _add_files(context: click.Context, _: click.Parameter, files: tuple[Path, ...]) -> None:
    choice = plugins_of(context)
    context.meta[_PLUGINS] = PluginChoice((*choice.files, *files), choice.without)


def _add_without(context: click.Context, _: click.Parameter, names: tuple[str, ...]) -> None:
    choice = plugins_of(context)
    context.meta[_PLUGINS] = PluginChoice(choice.files, (*choice.without, *names))


def plugin_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose plugins. They work before the command and after it, and before --help."""
    more = click.option(
        "-p", "--plugin", multiple=True, type=click.Path(path_type=Path), metavar="FILE", is_eager=True,
        expose_value=False, callback=_add_files, help="Load a plugin from a Python file.",
    )  # fmt: skip
    fewer = click.option(
        "--without", multiple=True, metavar="PLUGIN", is_eager=True, expose_value=False, callback=_add_without,
        help="Leave out an installed plugin. HARNESS_WITHOUT=A,B does the same.",
    )  # fmt: skip
    return more(fewer(command))


def catalog_of(context: click.Context) -> Catalog:
    """The catalog of the plugins that the command line chooses."""
    return plugins_of(context).catalog()


def stopped_while(stop: BaseException) -> str:
    """What plugin code was doing when the user pressed Ctrl-C; empty if no plugin code was running."""
    notes = getattr(stop, "__notes__", ())
    return f" while {notes[0]}" if notes else ""
