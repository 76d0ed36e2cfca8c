"""``harness schema``: the JSON Schema of suites, for editors."""

from __future__ import annotations

import json
from pathlib import Path

import click

from harness.cli.options import write_text
from harness.cli.plugin_options import catalog_of, plugin_option
from harness.plugins.catalog import core_catalog

#: The name of the file, which the first line of a suite gives.
NAME = "suite.schema.json"
#: The line for yaml-language-server, in a suite in the same folder.
MODELINE = f"# yaml-language-server: $schema={NAME}"


@click.command()
@plugin_option
@click.option("--with-parts", is_flag=True, help="Add the names and parameters of parts, also those of -p FILE.")
@click.option(
    "--write", "folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help=f"Write DIR/{NAME}, and print the line that makes a suite use it.",
)  # fmt: skip
@click.pass_context
def schema(context: click.Context, /, with_parts: bool, folder: Path | None) -> None:
    """Print the JSON Schema of suites, for completion and checks in editors.

    It describes the fields of a suite. With --with-parts it also describes models, datasets and optimizations with
    their parameters, types and defaults; run it again when plugins change.

    \b
    Example:
      harness schema --with-parts --write suites
    """
    from harness.suite.editor_schema import schema_with_parts
    from harness.suite.schema import json_schema

    made, problems = schema_with_parts(catalog_of(context)) if with_parts else (json_schema(core_catalog()), [])
    for problem in problems:
        click.echo(f"problem: {problem}", err=True)
    text = json.dumps(made, indent=1, ensure_ascii=False)
    if folder is None:
        click.echo(text)
        return
    path = folder / NAME
    write_text(path, text + "\n")
    click.echo(f"Written: {path}\nMake this the first line of each suite in {folder}:\n\n{MODELINE}")
