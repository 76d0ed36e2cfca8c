"""``harness list``: list the parts of all plugins."""

from __future__ import annotations

import sys

import click

from harness.cli.options import as_json_option, echo_json
from harness.cli.plugin_options import catalog_of, plugin_option
from harness.errors import FAILED, UserError, did_you_mean
from harness.plugins.catalog import KINDS, Catalog, Entry
from harness.plugins.isolation import one_line


@click.command("list")
@plugin_option
@click.argument("kind", required=False)
@as_json_option
@click.pass_context
def list_(context: click.Context, kind: str | None, as_json: bool) -> None:
    """List the parts that plugins provide.

    KIND is one of models, datasets, optimizations, metrics, reporters, executors, promises, commands and
    measures; all kinds by default. Plugins that cannot be used are named with the reason, and the exit code is then 3.
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
    else:
        show(found, catalog)
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


def show(found: dict[str, dict[str, Entry]], catalog: Catalog) -> None:
    """Print the parts by kind, then what was left out or cannot be used."""
    for kind, entries in found.items():
        click.echo(f"{kind}s" if entries else f"{kind}s: none")
        width = max(map(len, entries), default=0)
        for name, entry in entries.items():
            changes = f" [changes {entry.part.changes}]" if kind == "optimization" else ""
            click.echo(f"  {name:<{width}}  {one_line(entry.part.summary)}{changes}  ({entry.plugin})")
    for plugin in catalog.plugins.without:
        click.echo(f"left out: plugin {plugin}")
    for problem in catalog.problems:
        click.echo(f"problem: {one_line(str(problem))}", err=True)
