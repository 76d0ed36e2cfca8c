"""``harness conform``: test parts against the promises of their kind."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from harness.cli import completers
from harness.cli.options import as_json_option, echo_json
from harness.cli.plugin_options import catalog_of, plugin_option
from harness.errors import FAILED, UserError
from harness.plugins.isolation import visible
from harness.suite.yaml_source import read_text

if TYPE_CHECKING:
    from harness.testing import Case, Seen

#: The word that each outcome is shown by, and its colour.
WORDS = {"kept": ("passed", "green"), "broken": ("FAILED", "red"), "unknown": ("untested", "yellow")}


@click.command()
@plugin_option
@click.argument("name", shell_complete=completers.parts())
@click.option(
    "--using", multiple=True, metavar="PART", shell_complete=completers.parts(),
    help="A part to combine it with, such as a dataset: NAME or YAML.",
)  # fmt: skip
@click.option(
    "--only", multiple=True, metavar="PROMISE", shell_complete=completers.parts("promise"),
    help="Test only these promises.",
)  # fmt: skip
@click.option(
    "--device", default="cpu", show_default=True, metavar="DEVICE",
    help="The device of the models.",
)  # fmt: skip
@as_json_option
@click.pass_context
def conform(
    context: click.Context, name: str, using: tuple[str, ...], only: tuple[str, ...], device: str, as_json: bool
) -> None:
    """Test a part, or all parts of a plugin, against the promises of its kind.

    NAME is a part as a suite names it, such as leaky or '{name: leaky, hidden_size: 8}', or a plugin. Each promise
    passes, fails, or is not testable on this machine. The exit code is 3 if one fails. `harness list promises` lists
    them; the same tests run under pytest (see harness.testing). For a suite, use `harness check`.

    \b
    harness conform gru
    harness -p my_cell.py conform leaky --only gradients
    harness conform my-cells                      all parts of a plugin
    harness conform pad_to --using '{name: lengths, longest: 40}'
    """
    from harness.testing import cases  # it imports torch, which --help does not need

    found = cases(
        written(name), using=[written(one) for one in using], only=only, device=device, catalog=catalog_of(context)
    )
    if not found:
        raise UserError(f"none of these promises applies to {name}.", fix="See: harness list promises")
    rows: list[dict[str, str]] = []
    for case in found:
        if not as_json and (not rows or rows[-1]["part"] != part_of(case)):
            click.echo(f"{case.subject.part.kind} {case.subject.part.name}  ({case.subject.entry.plugin})")
        seen = case.look()
        if not as_json:
            repeated = rows and len(seen.what) > 60 and seen.what == rows[-1]["what"]
            click.echo(line(case, replace(seen, what="same reason") if repeated else seen))
        rows.append({"part": part_of(case), "promise": case.promise.name, "says": case.promise.summary, **vars(seen)})
    counts = {outcome: sum(row["outcome"] == outcome for row in rows) for outcome in WORDS}
    if as_json:
        echo_json(rows)
    else:
        passed, failed, untested = counts.values()
        click.echo(f"{passed} passed, {failed} failed, {untested} not testable on this machine.")
    if counts["broken"]:
        sys.exit(FAILED)


def written(text: str) -> Any:
    """A part as a suite names it."""
    value = read_text(text, "the part").value if text.lstrip().startswith("{") else text
    if isinstance(value, dict) and "name" not in value:
        raise UserError("the name of the part is missing.", where=text, fix="Write {name: ..., ...}.")
    return value


def part_of(case: Case) -> str:
    """The kind and name of the part of a case."""
    return f"{case.subject.part.kind} {case.subject.part.name}"


def line(case: Case, seen: Seen) -> str:
    """The line of one promise; if it failed, with what it says and what was observed."""
    word, colour = WORDS[seen.outcome]
    text = f"  {click.style(f'{word:<8}', fg=colour)}  {case.promise.name}"
    if seen.outcome == "broken":
        return f"{text}: {case.promise.summary}\n            {visible(seen.what)}"
    return f"{text}{f': {visible(seen.what)}' if seen.what else ''}"
