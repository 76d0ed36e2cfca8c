"""The reference of the command line. It is made from the click commands and the exit codes (harness/errors.py)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from _generate import markdown as md
from harness.cli.app import GROUPS, cli, load
from harness.errors import EXIT_CODES
from harness.plugins.catalog import Catalog
from harness.plugins.parts import Command
from harness.report.formats.markdown import escape


def page(catalog: Catalog) -> str:
    """The page."""
    entries = sorted(catalog.entries(Command).values(), key=lambda entry: GROUPS.index(entry.part.group))
    return md.page(
        "Command line",
        "harness/builtin/commands.py, harness/cli/, harness/tools/ and harness/errors.py",
        md.fence("text", "harness [-p FILE] COMMAND [OPTIONS] ..."),
        "`harness --help` and `harness COMMAND --help` show the same text; `-h` is short for `--help`. An option with "
        "`...` after it may be given more than once. [Exit codes](#exit-codes) explains how a command ends. Plugins "
        "can add commands with the hook [`register_commands`](hooks.md#register_commands).",
        md.table(
            ["group", "command", "what it does"],
            (
                (entry.part.group, f"[{md.code(entry.part.name)}](#harness-{entry.part.name})", entry.part.summary)
                for entry in entries
            ),
        ),
        options_table(cli, click.Context(cli, info_name="harness")),
        *(block for entry in entries for block in of_command(f"harness {entry.part.name}", load(entry))),
        "## Exit codes",
        md.table(["code", "meaning"], ((str(code), in_line(text)) for code, text in EXIT_CODES.items())),
    )


def of_command(name: str, command: click.Command) -> Iterator[str]:
    """A command under its own heading, then the commands below it."""
    context = click.Context(command, info_name=name)
    yield f"## {name}"
    yield md.fence("text", " ".join([name, *command.collect_usage_pieces(context)]))
    yield from paragraphs(command.help or "")
    yield arguments_table(command)
    yield options_table(command, context)
    if isinstance(command, click.Group):
        for below in sorted(command.commands):
            yield from of_command(f"{name} {below}", command.commands[below])


def paragraphs(text: str) -> Iterator[str]:
    """The help of a command. A paragraph that click does not wrap becomes a block of code."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.lstrip().startswith("\b"):
            yield md.fence("text", inspect.cleandoc(paragraph.replace("\b", "")))
        else:
            yield in_line(paragraph)


def in_line(text: str) -> str:
    """Plain text as Markdown. Options and text in backquotes become code."""
    pieces = re.split(r"(`[^`]+`|(?<![\w-])--?[a-z][\w-]*)", " ".join(text.split()))
    return "".join(md.code(p.strip("`")) if index % 2 else escape_part(p) for index, p in enumerate(pieces))


def escape_part(text: str) -> str:
    """A piece of a line, escaped, with its spaces at both ends."""
    return f"{' ' if text[:1] == ' ' else ''}{escape(text)}{' ' if text[-1:] == ' ' and text.strip() else ''}"


def arguments_table(command: click.Command) -> str:
    """A table of the arguments; empty if there are none."""
    rows = [
        (
            md.code(parameter.metavar or (parameter.name or "").upper()),
            type_of(parameter),
            "required" if parameter.required else "optional",
        )
        for parameter in command.params
        if isinstance(parameter, click.Argument)
    ]
    return md.table(["argument", "value", ""], rows) if rows else ""


def type_of(argument: click.Argument) -> str:
    """The value of an argument, in one or two words."""
    if isinstance(argument.type, click.Choice):
        what = md.listed([md.code(str(choice)) for choice in argument.type.choices])
    else:
        kinds = {"path": "a path", "file": "a path", "integer": "a whole number", "float": "a number"}
        what = kinds.get(argument.type.name, "text")
    return f"{what}, repeatable" if argument.nargs == -1 else what


def options_table(command: click.Command, context: click.Context) -> str:
    """A table of the options without --help; empty if there are none."""
    rows = []
    for option in command.params:
        record = option.get_help_record(context) if isinstance(option, click.Option) else None
        if record and "--help" not in option.opts:
            names, meaning = record
            if option.envvar and "env var" not in meaning:
                meaning += f" [env var: {option.envvar}]"
            rows.append((md.code(f"{names} ..." if option.multiple else names), in_line(meaning)))
    return md.table(["option", "meaning"], rows) if rows else ""
