"""``harness list``: list the parts of all plugins."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click

from harness.cli.options import as_json_option, echo_json
from harness.cli.plugin_options import catalog_of, plugin_option
from harness.errors import FAILED, UserError, did_you_mean
from harness.plugins.catalog import KINDS, Catalog, Entry
from harness.plugins.isolation import one_line
from harness.wrapping import wrapped


@click.command("list")
@plugin_option
@click.argument("kind", required=False)
@as_json_option
@click.pass_context
def list_(context: click.Context, kind: str | None, as_json: bool) -> None:
    """List the parts that plugins provide.

    KIND is one of models, datasets, optimizations, metrics, reporters, executors, promises, measures and commands. With
    a kind, each of its parts is shown with a summary; without one, the names of all kinds but promises, of which there
    are many. Plugins that cannot be used are named with the reason, and the exit code is then 3.
    """
    catalog = catalog_of(context)
    kinds = {part.kind: part for part in KINDS}
    if kind is not None:
        wanted = kind.removesuffix("s")
        if wanted not in kinds:
            raise UserError(f"there is no kind of part {kind!r}.", fix=did_you_mean(wanted, kinds))
        kinds = {wanted: kinds[wanted]}
    found = {name: catalog.entries(part) for name, part in kinds.items()}
    if as_json:
        echo_json(in_json(found, catalog))
    elif kind is None:
        show_names(found)
        show_problems(catalog)
    else:
        show_parts(found[wanted], wanted)
        show_problems(catalog)
    sys.exit(FAILED if catalog.problems else 0)


def in_json(found: dict[str, dict[str, Entry]], catalog: Catalog) -> dict[str, object]:
    """The parts and what cannot be used, as plain values."""
    return {
        "parts": [
            {
                "kind": kind,
                "name": name,
                "plugin": entry.plugin,
                "version": entry.version,
                "summary": entry.part.summary,
            }
            for kind, entries in found.items()
            for name, entry in entries.items()
        ],
        "problems": [vars(problem) for problem in catalog.problems],
        "without": list(catalog.plugins.without),
    }


def show_names(found: Mapping[str, Mapping[str, Entry]]) -> None:
    """Print how many parts of each kind there are, and their names. Of promises only the number: there are many, and a
    suite does not name them."""
    for kind, entries in found.items():
        names = "see: harness list promises" if kind == "promise" else ", ".join(entries)
        click.echo(wrapped(f"{kind}s ({len(entries)}): {names or 'none'}", hang="  "))
    click.echo(wrapped("Summaries: harness list KIND. Details and an example: harness describe NAME."))


def show_parts(entries: Mapping[str, Entry], kind: str) -> None:
    """Print the parts of one kind with their summaries and plugins."""
    click.echo(f"{kind}s ({len(entries)})")
    width = max(map(len, entries), default=0)
    for name, entry in entries.items():
        changes = f" [changes {entry.part.changes}]" if kind == "optimization" else ""
        text = f"{name:<{width}}  {one_line(entry.part.summary)}{changes}  ({entry.plugin})"
        click.echo(wrapped(text, "  ", " " * min(width + 4, 24)))


def show_problems(catalog: Catalog) -> None:
    """Print which plugins were left out, and what cannot be used."""
    for plugin in catalog.plugins.without:
        click.echo(wrapped(f"left out: plugin {plugin}"))
    for problem in catalog.problems:
        click.echo(wrapped(f"problem: {one_line(str(problem))}", hang="  "), err=True)
