"""``harness report``: rebuild a report from stored records, or print what one reporter writes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from harness.cli import completers
from harness.cli.options import as_json_option, results_option, verbose_option
from harness.cli.plugin_options import plugin_option, plugins_of
from harness.errors import FAILED, UserError
from harness.plugins.catalog import Catalog
from harness.plugins.isolation import error_text
from harness.plugins.parts import Reporter

if TYPE_CHECKING:
    from harness.report.report import Report


@click.command()
@plugin_option
@click.argument(
    "folder", type=click.Path(path_type=Path), required=False, metavar="[RUN]", shell_complete=completers.runs
)
@results_option
@click.option(
    "--as", "reporter", metavar="NAME", shell_complete=completers.parts("reporter"),
    help="Print what one reporter writes: latex, junit, github, csv, ...",
)  # fmt: skip
@verbose_option
@as_json_option
@click.pass_context
def report(
    context: click.Context, folder: Path | None, results: Path, reporter: str | None, verbose: bool, as_json: bool
) -> None:
    """Rebuild the report of a run and print its answer, or one format of it.

    RUN is the folder of a run, the name of a suite for its latest run, NAME~1 for the run before that, or the folder of
    the page of several suites. By default it is the latest run. The command needs no torch.

    With --as NAME nothing is rebuilt: the text of one reporter is printed, for pasting or for a pipe. Several files are
    printed one after another, each under its name. `harness list reporters` lists the names.
    """
    from harness.api.lookup import open_run
    from harness.api.result import has_failures
    from harness.cli.show import show, show_batch
    from harness.records.store import Store
    from harness.report.report import make_report
    from harness.report.suite_batch import SuiteBatch
    from harness.report.writer import report_run

    if reporter is not None and as_json:
        raise UserError("--json and --as both choose what to print.", fix="Leave one of them out.")
    batch = SuiteBatch.open(folder) if folder and SuiteBatch.is_in(folder) else None
    stores = {name: Store.open(run) for name, run in batch.runs.items()} if batch else {"": open_run(folder, results)}
    catalog = plugins_of(context).catalog_for(stores.values())
    make = make_report if reporter is not None else report_run
    reports = {name: make(store, catalog) for name, store in stores.items()}
    if reporter is not None:
        show_as(reporter, reports, catalog)
    elif batch is not None:
        batch.write(reports)
        show_batch(batch, reports, as_json=as_json)
    else:
        show(reports[""], stores[""].folder, as_json=as_json, verbose=verbose)
    sys.exit(FAILED if any(map(has_failures, reports.values())) else 0)


def show_as(name: str, reports: Mapping[str, Report], catalog: Catalog) -> None:
    """Print the text files that a reporter writes; several files under their names. Binary files are only counted."""
    from harness.report.writer import write

    entry = catalog.find(Reporter, name)
    texts: dict[str, str] = {}
    binary = 0
    for suite, report in reports.items():
        with TemporaryDirectory() as temporary:
            folder = Path(temporary)
            try:
                write(report, entry, catalog, folder)
            except (KeyboardInterrupt, UserError):
                raise
            except BaseException as error:  # a plugin may raise anything; it is named
                click.echo(f"Error: {entry.owner}: {error_text(error)}", err=True)
                sys.exit(FAILED)
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                content = path.read_bytes()
                if b"\0" in content:
                    binary += 1
                else:
                    title = str(Path(Path(suite).stem, path.relative_to(folder)))
                    texts[title] = content.decode(errors="replace").removesuffix("\n")
    if not texts:
        raise UserError(f"reporter {name} writes no text for this run.", fix="See: harness list reporters")
    for title, text in texts.items():
        click.echo(f"==> {title} <==\n{text}\n" if len(texts) > 1 else text)
    if binary:
        click.echo(f"Binary files that are not shown: {binary}.", err=True)
