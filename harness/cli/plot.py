"""The verb plot: draw a run's plots, all of them or some, as files of the kind that is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.api.session import run_of
from harness.cli import completing
from harness.cli.options import Context, catalog_for, plugin_option, results_option
from harness.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from harness.report.plots.figures import Plot


@click.command()
@plugin_option
@click.argument("arguments", nargs=-1, metavar="[RUN] [NAME]...", shell_complete=completing.runs)
@click.option(
    "--format", "formats", multiple=True, type=click.Choice(["png", "svg", "pdf"]), default=("png",),
    show_default=True, help="The kind of file; give it more than once for more than one.",
)  # fmt: skip
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Where to (RUN/plots by default)."
)
@click.option("--dpi", type=click.IntRange(20, 1200), default=150, show_default=True, help="Of PNG: dots per inch.")
@click.option("--list", "only_list", is_flag=True, help="Say what there is to draw, and draw nothing.")
@results_option
@click.pass_context
def plot(
    context: Context,
    /,
    arguments: tuple[str, ...],
    formats: tuple[str, ...],
    output: Path | None,
    dpi: int,
    only_list: bool,
    results: Path,
) -> None:
    """Draw the plots of a run, and print the names of the files.

    RUN is the folder of a run; without it the latest is taken. NAME is a plot as --list names it, or a pattern: harness
    plot 'curves-*'. Without names all are drawn. Needs matplotlib, and no torch.

    \b
    harness plot --list
    harness plot results/cells/2026-11-24T185427 'curves-*' --format pdf --output figures
    """
    from harness.report.plots.plots import all_plots, save
    from harness.report.report import make_report

    run, names = (Path(arguments[0]), arguments[1:]) if is_run(arguments) else (None, arguments)
    store = run_of(run, results)
    found = chosen(all_plots(make_report(store, catalog_for(context, store))), names)
    if not found:
        click.echo(f"There is nothing to draw of {store.folder}.", err=True)
        return
    if only_list:
        width = max(len(one.name) for one in found)
        for one in found:
            click.echo(f"{one.name:<{width}}  {one.title}")
        return
    if not find_spec("matplotlib"):
        raise UserError("plots need matplotlib.", fix='Install it with: pip install "rnn-harness[plot]"')
    folder = output or store.folder / "plots"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for one in found:
            for ending in dict.fromkeys(formats):
                path = folder / f"{one.name}.{ending}"
                save(one, path, dpi=dpi)
                click.echo(str(path))
    except OSError as error:
        raise UserError(
            f"cannot write there: {error.strerror}.", where=str(folder), fix="Choose --output DIR."
        ) from error


def is_run(arguments: Sequence[str]) -> bool:
    """Whether the first argument is a folder, or is written as one: names of plots have no slash."""
    return bool(arguments) and ("/" in arguments[0] or Path(arguments[0]).is_dir())


def chosen(plots: Sequence[Plot], names: Sequence[str]) -> list[Plot]:
    """The plots of these names, or patterns of names, in their own order; all without names."""
    known = [one.name for one in plots]
    for name in names:
        if not any(fnmatchcase(one, name) for one in known):
            raise UserError(f"there is no plot {name!r} of this run.", fix=did_you_mean(name, known))
    return [one for one in plots if not names or any(fnmatchcase(one.name, name) for name in names)]
