"""``harness conform``: test parts against the promises of their kind."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from harness.cli import completers
from harness.cli.options import as_json_option, echo_json
from harness.cli.plugin_options import catalog_of, plugin_option
from harness.errors import FAILED, UserError
from harness.plugins.isolation import visible
from harness.suite.yaml_source import read_text

if TYPE_CHECKING:
    from harness.testing import Case, CaseResult

COLOURS = {"passed": "green", "failed": "red", "untested": "yellow"}


@click.command()
@plugin_option
@click.argument("name", shell_complete=completers.parts())
@click.option(
    "--using", multiple=True, metavar="PART", shell_complete=completers.parts(),
    help="A part to combine it with, such as a dataset, as a suite names it. Repeat the option for several.",
)  # fmt: skip
@click.option(
    "--only", multiple=True, metavar="PROMISE", shell_complete=completers.parts("promise"),
    help="Test only this promise. Repeat the option for several.",
)  # fmt: skip
@click.option("--device", default="cpu", show_default=True, metavar="DEVICE", help="The device of the models.")
@as_json_option
@click.pass_context
def conform(
    context: click.Context, name: str, using: tuple[str, ...], only: tuple[str, ...], device: str, as_json: bool
) -> None:
    """Test a part, or all parts of a plugin, against the promises of its kind.

    NAME is a part as a suite names it, such as leaky or '{name: leaky, hidden_size: 8}', or a plugin. Each promise
    passes, fails, or is not tested. The exit code is 3 if one fails. `harness list promises` lists
    them; the same tests run under pytest (see harness.testing). For a suite, use `harness check`.

    \b
    Examples:
      harness conform gru
      harness -p my_cell.py conform leaky --only gradients
      harness conform my-cells    (all parts of the plugin my-cells)
      harness conform pad_to --using '{name: lengths, longest: 40}'
    """
    from harness.testing import cases  # it imports torch, which --help does not need

    found = cases(
        written(name), using=[written(one) for one in using], only=only, device=device, catalog=catalog_of(context)
    )
    if not found:
        raise UserError(f"none of these promises applies to {name}.", fix="See: harness list promises")
    results: list[tuple[Case, CaseResult]] = []
    for case in found:
        before = results[-1] if results else None
        if not as_json and (before is None or case.part is not before[0].part):
            click.echo(f"{case.part}  ({case.part.entry.plugin})")
        result = case.run()
        results.append((case, result))
        if not as_json:
            repeated = before is not None and len(result.found) > 60 and result.found == before[1].found
            click.echo(line(case, result.outcome, "same reason" if repeated else result.found))
    outcomes: list[str] = [result.outcome for _, result in results]
    if as_json:
        echo_json(
            [
                {"part": str(case.part), "promise": case.promise.name, "summary": case.promise.summary, **vars(result)}
                for case, result in results
            ]
        )
    else:
        passed, failed, untested = (outcomes.count(outcome) for outcome in COLOURS)
        click.echo(f"{passed} passed, {failed} failed, {untested} not tested.")
    if "failed" in outcomes:
        sys.exit(FAILED)


def written(text: str) -> Any:
    """A part as a suite names it."""
    value = read_text(text, "the part").value if text.lstrip().startswith("{") else text
    if isinstance(value, dict) and "name" not in value:
        raise UserError("the name of the part is missing.", where=text, fix="Write {name: ..., ...}.")
    return value


def line(case: Case, outcome: str, found: str) -> str:
    """The line of one promise; if it failed, with its sentence and what was found."""
    word = click.style(f"{outcome.upper() if outcome == 'failed' else outcome:<8}", fg=COLOURS[outcome])
    text = f"  {word}  {case.promise.name}"
    if outcome == "failed":
        return f"{text}: {case.promise.summary}\n            {visible(found)}"
    return f"{text}{f': {visible(found)}' if found else ''}"
