"""``harness ab``: compare functions, or whole commands, without a suite."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from harness.cli.ab_commands import EXAMPLES, command_options
from harness.cli.options import as_json_option, budget_option, expect_option, new_device_option, results_option
from harness.cli.plugin_options import plugin_option, plugins_of
from harness.errors import UserError

#: The options by their headings in the help.
EPILOG = """\b
Examples:
  harness ab bench.py:old bench.py:new --inputs bench.py:make
  harness ab bench.py:softmax --git main --inputs bench.py:make --grad
""" + "\n".join(EXAMPLES)


@click.command(epilog=EPILOG)
@plugin_option
@click.argument("versions", nargs=-1, required=True, metavar="OLD NEW...")
@click.option(
    "--inputs", metavar="FILE:NAME", default="",
    help="The function that yields tuples of arguments. Every tuple is timed. A dictionary gives keyword arguments.",
)  # fmt: skip
@click.option(
    "--git", "commit", metavar="REF", default="",
    help="Take OLD from another commit of this repository: a branch, a tag or a hash. One function alone is compared "
    "with what it was then.",
)  # fmt: skip
@click.option("--grad", "gradients", is_flag=True, help="Time forward plus backward, and compare the gradients too.")
@click.option(
    "--fresh", is_flag=True,
    help="Give every call new copies of its arguments. By default, calls repeat with the same objects (warm caches).",
)  # fmt: skip
@click.option("--different", is_flag=True, help="Do not compare what the functions return. The results say so.")
@click.option(
    "--tolerance", type=click.FloatRange(0, 1), default=0.0, metavar="SHARE",
    help="The largest error, as a share of the largest value. By default, what rounding explains.",
)  # fmt: skip
@click.option("--margin", metavar="SHARE", default="", help="The largest difference that counts as equivalent: 2%.")
@budget_option
@new_device_option
@click.option("--why", is_flag=True, help="Profile all versions after timing: which operators make the difference?")
@expect_option
@click.option(
    "--series", metavar="NAME", default="",
    help="Make this a try of a series of many. NEW is kept, discarded or undecided, and the rate of false keeps holds "
    "over the whole series. The exit code is 0, 1 or 4.",
)  # fmt: skip
@command_options
@results_option
@as_json_option
@click.pass_context
def ab(
    context: click.Context, /, versions: tuple[str, ...], series: str, results: Path, as_json: bool, **options: Any
) -> None:
    """Compare two or more functions or commands: which is faster, and by how much?

    A function is FILE.py:NAME or PACKAGE.MODULE:NAME. First it is checked that NEW returns what OLD returns, as far as
    rounding allows. Then the versions are timed in fresh processes, in turns, beside a second measurement of OLD as a
    control. Repeated calls of the same arguments are timed unless you say --fresh.

    A command is a text with a space, or a program. It runs as it is, in fresh processes: wall time, CPU time, peak
    memory, and with --metric the scores that it prints, over seeds.

    A run is stored like that of a suite: `harness report`, `compare`, `export` and `run --resume` work on it.
    """
    from harness.api.ab_commands import CommandComparison, is_command
    from harness.api.ab_functions import FunctionComparison
    from harness.cli.ab_output import measure

    of_commands = any(map(is_command, versions))
    form = CommandComparison if of_commands else FunctionComparison
    comparison = form(versions, **options_for(form, options, context))
    code = measure(
        comparison.suite(), plugins_of(context), results,
        gate=bool(comparison.expect), as_json=as_json, series=series,
    )  # fmt: skip
    sys.exit(code)


def options_for(form: type[Any], options: Mapping[str, Any], context: click.Context) -> dict[str, Any]:
    """The options that a comparison has. Raises UserError if one was given that only the other kind of comparison
    has."""
    known = {field.name for field in fields(form)}
    for name in options:
        given = context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
        if name not in known and given:
            option = next(p.opts[0] for p in context.command.params if p.name == name)
            what, fix = "functions", "Remove it; a command is a text with a space, such as 'python train.py'."
            if "functions" in known:
                what, fix = "commands", "Remove it; a function is FILE.py:NAME."
            raise UserError(f"this option is for {what} only.", where=option, fix=fix)
    return {name: value for name, value in options.items() if name in known}
