"""``harness plot``: draw the plots of a run as image files."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import completers
from harness.cli.options import results_option
from harness.cli.plugin_options import plugin_option, plugins_of
from harness.errors import UserError, did_you_mean
from harness.wrapping import wrapped

if TYPE_CHECKING:
    from harness.report.plots.figures import Plot


@click.command()
@plugin_option
@click.argument("run", shell_complete=completers.runs)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--format", "formats", multiple=True, type=click.Choice(["png", "svg", "pdf"]), default=("png",),
    show_default=True, help="The file format. Repeat the option for several.",
)  # fmt: skip
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="The folder for the files, by default RUN/plots.",
)  # fmt: skip
@click.option(
    "--dpi", type=click.IntRange(20, 1200), metavar="N", default=150, show_default=True,
    help="The dots per inch of PNG.",
)  # fmt: skip
@click.option("--list", "only_list", is_flag=True, help="List the plots and draw nothing.")
@results_option
@click.pass_context
def plot(
    context: click.Context,
    /,
    run: str,
    names: tuple[str, ...],
    formats: tuple[str, ...],
    output: Path | None,
    dpi: int,
    only_list: bool,
    results: Path,
) -> None:
    """Draw the plots of a run as image files.

    RUN is the folder of a run, the name of a suite for its latest run, NAME~1 for the run before that, or "latest".
    NAME is a plot that --list names, or a pattern such as 'curves-*'; without names all plots are drawn. The names of
    the files are printed. The command needs matplotlib and no torch.

    \b
    Examples:
      harness plot latest --list
      harness plot cells 'curves-*' --format pdf
    """
    from harness.api.lookup import open_run
    from harness.report.plots.plots import all_plots, save
    from harness.report.report import make_report

    store = open_run(run, results)
    found = chosen(all_plots(make_report(store, plugins_of(context).catalog_for([store]))), names)
    if not found:
        fix = "A run has plots if it measured times, learning or profiles. See: harness report"
        raise UserError("this run has no plots.", where=str(store.folder), fix=fix)
    if only_list:
        for one in found:
            click.echo(wrapped(f"{one.name}  {one.title}", hang="    "))
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
            f"cannot write to this folder: {error.strerror}.", where=str(folder), fix="Choose --output DIR."
        ) from error


def chosen(plots: Sequence[Plot], names: Sequence[str]) -> list[Plot]:
    """The plots whose names match, in their own order; all plots without names."""
    known = [one.name for one in plots]
    for name in names:
        if not any(fnmatchcase(one, name) for one in known):
            raise UserError(f"this run has no plot {name!r}.", fix=did_you_mean(name, known))
    return [one for one in plots if not names or any(fnmatchcase(one.name, name) for name in names)]
