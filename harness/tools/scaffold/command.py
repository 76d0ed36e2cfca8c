"""The verb new: a plugin or a suite to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, cast

import click

from harness.cli.options import Context, catalog_of, left_out, plugin_option

#: The kinds of part that a plugin can begin with; `harness.tools.scaffold.plugin.KINDS` has the same.
KINDS = ("model", "dataset", "optimization", "metric", "reporter", "executor")


@click.group()
@plugin_option
def new() -> None:
    """Begin something of your own: a plugin, or a suite.

    \b
    harness new plugin my-cells                   a package with a cell, its tests and a suite
    harness new suite clipping --optimization clip
    """


@new.command("plugin")
@plugin_option
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), help="What the plugin brings.  [default: model]")
@click.option("--part", metavar="NAME", help="What the part is called in suites (my_cell, for my-cells).")
@click.option(
    "--into", type=click.Path(path_type=Path, file_okay=False), default=Path(), metavar="DIR",
    help="Where its folder is made (here, by default).",
)  # fmt: skip
@click.option("--author", metavar="NAME", help='Who writes it, as in "Ada Lovelace <ada@example.org>".')
@click.pass_context
def plugin(context: Context, name: str, kind: str | None, part: str | None, into: Path, author: str | None) -> None:
    """Write a plugin: a package that installs, keeps its promises and has a suite. Change it from there.

    NAME is a distribution's, as in my-cells. Its part is a small, right example of its kind, with tests, a suite that
    compares it with what there is, and what it takes to test it with tox and on GitHub. Nothing is overwritten.
    """
    from harness.tools.scaffold.plugin import new_plugin

    made = new_plugin(name, kind or "model", catalog_of(context), into, part, author)
    made.write()
    names, folder = made.names, shlex.quote(str(made.folder))
    chosen = "" if kind else ", the default: --kind names others"
    click.echo(f"{made.folder}: {len(made.files)} files, with the {made.kind} {names.part} (kind {made.kind}{chosen}).")
    executor = f" --executor {names.part}" if made.kind == "executor" else ""
    click.echo("Next:")
    click.echo(f"  pip install -e {quoted_path(made.folder, '[test]')}")
    click.echo(f"  harness conform {names.part}")
    click.echo(f"  harness run {folder}/suites/{names.distribution}.yaml{executor}")


@new.command("suite")
@plugin_option
@click.argument("name")
@click.option("--question", metavar="TEXT", help="What shall be answered; by default, what the parts suggest.")
@click.option("--model", metavar="NAME", help="The model that is asked about.  [default: lstm]")
@click.option("--against", metavar="NAME", help="The model that it is compared with.  [default: gru; lstm for gru]")
@click.option("--optimization", metavar="NAME", help="Compare the model with this and without.")
@click.option(
    "--measure", type=click.Choice(["speed", "learning"]), default="speed", show_default=True,
    help="The time of a step, or what is learned over seeds.",
)  # fmt: skip
@click.option("--dataset", metavar="NAME", help="On which data.  [default: reviews; syllables for learning]")
@click.option("--use", multiple=True, metavar="NAME", help="An optimization of all trials.  [default: adam]")
@click.option(
    "--into", type=click.Path(path_type=Path, file_okay=False), default=Path("suites"), show_default=True,
    metavar="DIR", help="The folder of the suite.",
)  # fmt: skip
@click.pass_context
def suite(context: Context, /, name: str, into: Path, **wanted: Any) -> None:
    """Write a suite that plans as it is, with a claim, and comments that say what may stand where.

    Two models are compared, or one with an optimization and without. NAME is the file's, without .yaml.

    \b
    harness new suite cells --model lstm --against gru --measure learning
    harness new suite clipping --optimization clip --question "What does clipping cost?"
    """
    from harness.tools.scaffold.suite import Wanted, suite_text, write_suite

    name = name.removesuffix(".yaml")
    for path in write_suite(name, into, suite_text(name, Wanted(**wanted), catalog_of(context))):
        click.echo(f"Written: {path}")
    command = " ".join(
        [
            "harness",
            *(f"-p {shlex.quote(str(file))}" for file in cast("tuple[Path, ...]", context.obj or ())),
            *(f"--without {shlex.quote(name)}" for name in left_out(context)),
        ]
    )
    where = shlex.quote(str(into / f"{name}.yaml"))
    click.echo("Next:")
    click.echo(f"  {command} plan {where}")
    click.echo(f"  {command} run {where} --quick")
    click.echo(f"  {command} run {where}")


def quoted_path(path: Path, ending: str) -> str:
    """A folder as pip takes it for one, and not for a name in an index: with a slash in it; safe in a shell."""
    text = str(path) if path.is_absolute() or path.parts[0] == ".." else f"./{path}"
    return shlex.quote(text + ending)
