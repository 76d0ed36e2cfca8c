"""The verb schema: the form of a suite, for editors."""

from __future__ import annotations

import json
from pathlib import Path

import click

from harness.cli.options import Context, catalog_of, plugin_option
from harness.errors import UserError

#: What the file is called that a suite's first line names.
NAME = "suite.schema.json"
#: The line that names it to yaml-language-server, in a suite beside it.
MODELINE = f"# yaml-language-server: $schema={NAME}"


@click.command()
@plugin_option
@click.option(
    "--with-parts", is_flag=True, help="With the names and parameters of the parts installed here, which imports them."
)
@click.option(
    "--write", "folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help=f"Write DIR/{NAME} and say which line makes a suite use it.",
)  # fmt: skip
@click.pass_context
def schema(context: Context, /, with_parts: bool, folder: Path | None) -> None:
    """Print the JSON Schema of a suite, for editors that complete and check while one types.

    By itself it knows the fields of a suite. With --with-parts it also knows models, datasets and optimizations, with
    their parameters, types, defaults and meanings; make it anew when plugins change.

    \b
    harness schema --with-parts --write suites
    """
    from harness.suite.schema import json_schema

    problems: list[str] = []
    if with_parts:
        from harness.suite.editor_schema import schema_with_parts

        made, problems = schema_with_parts(catalog_of(context))
    else:
        made = json_schema()
    text = json.dumps(made, indent=1, ensure_ascii=False)
    for problem in problems:
        click.echo(f"problem: {problem}", err=True)
    if folder is None:
        click.echo(text)
        return
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}.", where=str(path)) from error
    click.echo(f"Written: {path}\nFor a suite in {folder}, make this its first line:\n\n{MODELINE}")
