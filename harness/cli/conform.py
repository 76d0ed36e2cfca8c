"""``harness conform NAME``: hold a part to its promises."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from harness.cli import completing
from harness.cli.options import Context, as_json_option, catalog_of, plugin_option
from harness.errors import FAILED, UserError
from harness.plugins.isolation import visible

if TYPE_CHECKING:
    from harness.testing import Case, Seen

#: What each outcome is called, and its colour where a terminal shows one.
WORDS = {"kept": ("kept", "green"), "broken": ("BROKEN", "red"), "unknown": ("not told", "yellow")}


@click.command()
@plugin_option
@click.argument("name", shell_complete=completing.parts_and_plugins)
@click.option(
    "--using", multiple=True, metavar="PART", shell_complete=completing.parts,
    help="A part to go with it, such as a dataset (NAME or YAML).",
)  # fmt: skip
@click.option(
    "--only", multiple=True, metavar="PROMISE", shell_complete=completing.promises, help="Ask for these promises only."
)
@click.option(
    "--device", default="cpu", show_default=True, metavar="DEVICE", shell_complete=completing.devices,
    help="Where models are built.",
)  # fmt: skip
@as_json_option
@click.pass_context
def conform(
    context: Context, name: str, using: tuple[str, ...], only: tuple[str, ...], device: str, as_json: bool
) -> None:
    """Hold a part, or all parts of a plugin, to the promises of its kind.

    NAME is written as in a suite: leaky, or '{name: leaky, hidden_size: 8}'. A promise is kept, broken, or cannot be
    told here; what was seen stands beside it. The exit code is 3 where one is broken. `harness list promises` shows all
    of them; the same cases run under pytest (see harness.testing). For a suite, use `harness check`.

    \b
    harness conform gru
    harness -p my_cell.py conform leaky --only gradients
    harness conform my-cells                      a plugin: all its parts
    harness conform pad_to --using '{name: lengths, longest: 40}'
    """
    from harness.testing import cases

    found = cases(
        written(name), using=[written(one) for one in using], only=only, device=device, catalog=catalog_of(context)
    )
    if not found:
        raise UserError(f"no promise asked for applies to {name}.", fix="harness list promises says what each is of.")
    rows: list[dict[str, str]] = []
    for case in found:
        if not as_json and (not rows or rows[-1]["part"] != part_of(case)):
            click.echo(f"{case.subject.part.kind} {case.subject.part.name}  ({case.subject.entry.plugin})")
        seen = case.look()
        if not as_json:
            repeated = rows and len(seen.what) > 60 and seen.what == rows[-1]["what"]
            click.echo(line(case, replace(seen, what="for the same reason") if repeated else seen))
        rows.append({"part": part_of(case), "promise": case.promise.name, "says": case.promise.summary, **vars(seen)})
    counts = {outcome: sum(row["outcome"] == outcome for row in rows) for outcome in WORDS}
    if as_json:
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        click.echo(f"{counts['kept']} kept, {counts['broken']} broken, {counts['unknown']} cannot be told here.")
    if counts["broken"]:
        sys.exit(FAILED)


def written(text: str) -> Any:
    """A part as a suite names it."""
    from harness.suite.yaml_source import read_text

    value = read_text(text, "the part").value if text.lstrip().startswith("{") else text
    if isinstance(value, dict) and "name" not in value:
        raise UserError("a part with parameters needs its name.", where=text, fix="Write {name: ..., ...}.")
    return value


def part_of(case: Case) -> str:
    """A part, as rows name it."""
    return f"{case.subject.part.kind} {case.subject.part.name}"


def line(case: Case, seen: Seen) -> str:
    """One promise: its sentence where it is broken, so that the fault can be understood where it stands."""
    word, colour = WORDS[seen.outcome]
    text = f"  {click.style(f'{word:<8}', fg=colour)}  {case.promise.name}"
    if seen.outcome == "broken":
        return f"{text}: {case.promise.summary}\n            {visible(seen.what)}"
    return f"{text}{f': {visible(seen.what)}' if seen.what else ''}"
