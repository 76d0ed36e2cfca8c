"""The options that several commands share, and output as JSON or to a file."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from harness.cli import completers
from harness.errors import UserError

suite_argument = click.argument("suite", type=click.Path(path_type=Path))
set_option = click.option(
    "--set", "settings", multiple=True, metavar="PATH=VALUE", help="Override a field, e.g. base.model.hidden_size=64."
)
only_option = click.option(
    "--only", multiple=True, metavar="AXIS=LEVEL,..", help="Use only these levels of an axis, beside the baseline."
)
device_option = click.option("--device", metavar="DEVICE", help="Short for --set base.device=DEVICE.")
preset_option = click.option(
    "--preset", metavar="NAME", shell_complete=completers.presets, help="Apply a preset of the suite, such as full."
)
#: The options of commands that write a suite themselves.
budget_option = click.option(
    "--budget", metavar="TIME", default="", help="The time for measuring, such as 15s; 60 s by default."
)
new_device_option = click.option(
    "--device", metavar="DEVICE", default="cpu", show_default=True, help="The device: cpu, cuda or cuda:1."
)
expect_option = click.option(
    "--expect", metavar="CLAIM", default="",
    help='What each new version is expected to be, such as "at most 5% slower". The exit code is 1 if one is not, and '
    "4 if that is undecided.",
)  # fmt: skip
quick_option = click.option(
    "--quick", is_flag=True, help="Use one process per block and two seeds, for a first look. It gives no verdicts."
)
verbose_option = click.option(
    "--verbose", is_flag=True, help="Print all tables, as in report.txt, and not only the answer."
)
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
results_option = click.option(
    "--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True,
    help="The folder that holds all runs.",
)  # fmt: skip


def suite_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that change a suite: --preset, --set, --only and --device, in this order."""
    return preset_option(set_option(only_option(device_option(command))))


def echo_json(value: Any) -> None:
    """Print JSON. Values that JSON does not know are printed as text."""
    echo_json_text(json.dumps(value, indent=1, ensure_ascii=False, default=str))


def echo_json_text(text: str) -> None:
    """Print a text of JSON. If the output cannot encode it, other characters than ASCII are escaped as JSON does."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = re.sub("[^\0-\x7f]", lambda match: json.dumps(match[0])[1:-1], text)
    click.echo(text)


def plural(count: int, noun: str) -> str:
    """A number with its noun."""
    return f"{count} {noun}{'s' * (count != 1)}"


def show_remarks(remarks: Sequence[str]) -> None:
    """Print the warnings about a suite to the error stream."""
    for remark in remarks:
        click.echo(f"warning: {remark}", err=True)


def duration(seconds: float) -> str:
    """A time in words, to about a tenth: 45 s, 1 min 50 s, 25 min, 2 h 10 min."""
    if seconds < 59.5:
        return f"{max(1, round(seconds))} s"
    if seconds < 595:
        minutes, rest = divmod(5 * round(seconds / 5), 60)
        return f"{minutes} min" + (f" {rest} s" if rest else "")
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{minutes} min" if not hours else f"{hours} h" + (f" {minutes} min" if minutes else "")


def write_text(path: Path, text: str) -> None:
    """Write a file that the user asked for, and create its folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}.", where=str(path)) from error
