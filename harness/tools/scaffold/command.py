"""``harness new``: create a plugin or a suite."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from harness.cli.plugin_options import catalog_of, plugin_option, plugins_of
from harness.tools.scaffold.plugin import KINDS, new_plugin, noun_of
from harness.tools.scaffold.suite import NewSuite, write_suite


@click.group()
@plugin_option
def new() -> None:
    """Create a plugin package or a suite to start from.

    \b
    Examples:
      harness new plugin my-cells    (a package with a model)
      harness new suite clipping --optimization clip
    """


@new.command("plugin")
@plugin_option
@click.argument("name")
@click.option("--kind", type=click.Choice(list(KINDS)), help="The kind of part in the plugin.  [default: model]")
@click.option("--part", metavar="NAME", help="The name of the part in suites. By default my_cell for my-cells.")
@click.option(
    "--into", type=click.Path(path_type=Path, file_okay=False), default=Path(), metavar="DIR",
    help="Create the folder of the package here.  [default: .]",
)  # fmt: skip
@click.option("--author", metavar="NAME", default="", help='The author, as in "Ada Lovelace <ada@example.org>".')
@click.pass_context
def plugin(context: click.Context, name: str, kind: str | None, part: str | None, into: Path, author: str) -> None:
    """Create a plugin package.

    NAME is the name of the distribution, such as my-cells. The package can be installed, and its part is a small
    working example with tests and a suite. The package also has the files for tox and GitHub Actions. Nothing is
    overwritten.
    """
    made = new_plugin(name, kind or "model", catalog_of(context), into, part, author)
    made.write()
    names, folder = made.names, shlex.quote(str(made.folder))
    default = "" if kind else ", the default; see --kind"
    part = f"{noun_of(made.kind)} {names.part} (kind {made.kind}{default})"
    click.echo(f"{made.folder}: {len(made.files)} files, with the {part}.")
    click.echo("Next:")
    click.echo(f"  pip install -e {pip_path(made.folder, '[test]')}")
    if KINDS[made.kind].has_promises:
        click.echo(f"  harness conform {names.part}")
    executor = f" --executor {names.part}" if made.kind == "executor" else ""
    click.echo(f"  harness run {folder}/suites/{names.distribution}.yaml{executor}")


@new.command("suite")
@plugin_option
@click.argument("name")
@click.option("--question", metavar="TEXT", help="The question of the suite. By default it names the parts.")
@click.option("--model", metavar="NAME", help="The model.  [default: lstm]")
@click.option("--against", metavar="NAME", help="The model to compare it with.  [default: gru; lstm for gru]")
@click.option("--optimization", metavar="NAME", help="Compare the model with and without this optimization.")
@click.option(
    "--measure", type=click.Choice(["speed", "learning"]), default="speed", show_default=True,
    help="Measure the time of a step, or the learning over seeds.",
)  # fmt: skip
@click.option("--dataset", metavar="NAME", help="The dataset.  [default: reviews; syllables for learning]")
@click.option(
    "--csv", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Your own data: the columns decide which dataset reads the file. What was chosen is printed.",
)  # fmt: skip
@click.option("--use", multiple=True, metavar="NAME", help="An optimization for all trials.  [default: adam]")
@click.option(
    "--into", type=click.Path(path_type=Path, file_okay=False), default=Path("suites"), show_default=True,
    metavar="DIR", help="The folder for the suite.",
)  # fmt: skip
@click.pass_context
def suite(context: click.Context, /, name: str, into: Path, **options: Any) -> None:
    """Create a suite.

    It compares two models, or one model with and without an optimization. It runs unchanged, contains a claim, and its
    comments explain the fields. NAME is the name of the file without .yaml.

    \b
    Examples:
      harness new suite cells --model lstm --against gru --measure learning
      harness new suite clipping --optimization clip
      harness new suite own --csv data/sensors.csv --measure learning
    """
    name = name.removesuffix(".yaml").removesuffix(".yml")
    made = NewSuite(catalog_of(context), **options, into=into)
    for path in write_suite(name, into, made.text(name)):
        click.echo(f"Written: {path}")
    for sentence in made.from_csv.says if made.from_csv else ():
        click.echo(sentence)
    plugins = plugins_of(context)
    command = ["harness", *(f"-p {shlex.quote(str(file))}" for file in plugins.files)]
    command += [f"--without {shlex.quote(without)}" for without in plugins.without]
    click.echo("Next:")
    for verb, option in (("plan", ""), ("run", " --quick"), ("run", "")):
        click.echo(f"  {' '.join(command)} {verb} {shlex.quote(str(into / f'{name}.yaml'))}{option}")


def pip_path(path: Path, extras: str) -> str:
    """A folder for pip, quoted for the shell. Without a slash, pip would look for a package of this name."""
    text = str(path) if path.is_absolute() or path.parts[0] == ".." else f"./{path}"
    return shlex.quote(text + extras)
