"""The command line itself: it finds commands, shows ``harness --help``, and turns errors into exit codes."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from harness.cli.plugin_options import plugin_option, plugins_of, stopped_while
from harness.errors import FAILED, INTERRUPTED, MISTAKE, PIPE_CLOSED, UserError, UserErrors
from harness.plugins.catalog import Catalog, Entry, resolve
from harness.plugins.isolation import one_line, visible
from harness.plugins.manager import CORE, installed, load_plugins
from harness.plugins.parts import Command

#: The order of the groups in ``harness --help``. Groups of other plugins follow.
GROUPS = ("run", "look", "share", "extend", "check")


class PipeClosed(Exception):
    """The reader of our output has closed it."""


@contextmanager
def closed_pipes() -> Iterator[None]:
    """Raise PipeClosed for a BrokenPipeError, for which click ends with the code of a false claim."""
    try:
        yield
    except BrokenPipeError as error:
        raise PipeClosed from error


class Commands(click.Group):
    """The commands of the core and of all plugins. The module of a command is imported when the command runs or shows
    its own help."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """See click. Printing help fails if the reader has closed our output."""
        with closed_pipes():
            return super().make_context(*args, **kwargs)

    def invoke(self, context: click.Context) -> Any:
        """See click."""
        with closed_pipes():
            return super().invoke(context)

    def list_commands(self, context: click.Context) -> list[str]:
        """The names of all commands."""
        return list(command_catalog(context).entries(Command))

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """A command, or None. Other plugins are imported only for a name that is not the core's, since an option after
        the command may leave them out."""
        entry = core_commands().get(name) or command_catalog(context).entries(Command).get(name)
        return load(entry) if entry else None

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments begin with. Raises UserError if none or two plugins provide it."""
        if context.resilient_parsing:  # the user is still typing
            return super().resolve_command(context, arguments)
        name, *rest = arguments
        return name, load(core_commands().get(name) or command_catalog(context).find(Command, name)), rest

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in groups, with their whole summaries, and the plugins that cannot be used."""
        entries, problems = usable_commands(context)
        groups: dict[str, list[tuple[str, str]]] = {group: [] for group in GROUPS}
        width = max(map(len, entries), default=0)
        for name, entry in entries.items():
            groups.setdefault(entry.part.group, []).append((name.ljust(width), one_line(entry.part.summary)))
        for group, rows in groups.items():
            if rows:
                with formatter.section(group[0].upper() + group[1:]):
                    formatter.write_dl(rows)
        if problems:
            with formatter.section("Problems"):
                for problem in problems:
                    formatter.write_text(one_line(problem))

    def shell_complete(self, context: click.Context, incomplete: str) -> list[CompletionItem]:
        """The names that the shell offers. No command is imported for them."""
        entries = usable_commands(context)[0]
        found = [
            CompletionItem(name, help=entries[name].part.summary) for name in entries if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, context, incomplete)]


def core_commands() -> dict[str, Entry]:
    """The core's own commands. No other plugin is imported."""
    entry_point = installed()[CORE]
    return {command.name: Entry(command, CORE, "") for command in entry_point.load().register_commands()}


def command_catalog(context: click.Context) -> Catalog:
    """The commands of the plugins that the command line chooses. Hooks for other parts are not called."""
    choice = plugins_of(context)
    return Catalog(load_plugins(choice.files, choice.without), [Command])


def usable_commands(context: click.Context) -> tuple[dict[str, Entry], list[str]]:
    """The usable commands, and why plugins cannot be used: the core's alone if a plugin file fails to import."""
    try:
        catalog = command_catalog(context)
    except UserError as error:
        return core_commands(), [str(error)]
    return catalog.entries(Command), [str(problem) for problem in catalog.problems]


def load(entry: Entry) -> click.Command:
    """The click command of an entry. Raises UserError, which names the plugin, if there is none."""
    found = resolve(entry.part.build, entry.owner)
    if not isinstance(found, click.Command):
        what = f"{entry.owner}: expected a click.Command, got a {type(found).__name__}."
        raise UserError(what, fix="Decorate the function with click.command().")
    return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@plugin_option
@click.version_option(package_name=CORE, prog_name="harness")
def cli() -> None:
    """Does this choice actually help my recurrent model, and by how much?

    \b
    First steps:
      harness ab a.py:f b.py:f       compare two functions
      harness run suites/smoke.yaml  measure a small suite
      harness report                 show its results again
      harness describe lstm          describe a part
      harness new suite NAME         create your own suite
    """


def main() -> NoReturn:
    """Run the command line. Every error becomes a message on the error stream and an exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the caller has closed it
            setattr(sys, name, io.StringIO())
        elif isinstance(stream := getattr(sys, name), io.TextIOWrapper):  # a name that the encoding lacks is escaped
            stream.reconfigure(errors="backslashreplace")
    code = exit_code()
    for stream in (sys.stdout, sys.stderr):  # Python would end with another code if it could not flush them
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def exit_code() -> int:
    """Run the command line, and write errors to the error stream. Returns the exit code."""
    code: Any = 0
    try:
        try:
            code = cli.main(prog_name="harness", standalone_mode=False)
        except SystemExit as end:
            code = complain(end.code) if isinstance(end.code, str) else end.code
        sys.stdout.flush()
    except UserErrors as errors:
        code = complain(*map(str, errors.errors))
    except UserError as error:
        code = complain(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = MISTAKE
    except click.UsageError as error:
        hint = f" See: {error.ctx.command_path} --help" if error.ctx else ""
        code = complain(error.format_message() + hint)
    except click.ClickException as error:
        code = complain(error.format_message())
    except (KeyboardInterrupt, click.Abort) as stop:
        with suppress(OSError):
            click.echo(f"Stopped{stopped_while(stop.__cause__ or stop)}.", err=True)
        code = INTERRUPTED
    except (PipeClosed, BrokenPipeError):  # everything measured is on disk
        code = PIPE_CLOSED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        code = complain(f"{where}the system reports: {error.strerror or error}.")
    except Exception:
        # Python would end with 1, which says that a claim is false.
        with suppress(OSError):
            traceback.print_exc()
        code = FAILED
    return code if isinstance(code, int) else 0


def complain(*messages: str) -> int:
    """Print error messages and return the exit code."""
    with suppress(OSError):  # the error stream may be on a full disk, too
        for message in messages:
            click.echo(f"Error: {visible(message)}", err=True)
    return MISTAKE
