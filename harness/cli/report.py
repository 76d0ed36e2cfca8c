"""``harness report``: rebuild a report from stored records, or print what one reporter writes."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.cli import completers
from harness.cli.options import as_json_option, results_option
from harness.cli.plugin_options import plugin_option, plugins_of
from harness.errors import FAILED, UserError


@click.command()
@plugin_option
@click.argument("folder", type=click.Path(path_type=Path), required=False, shell_complete=completers.runs)
@results_option
@click.option(
    "--as", "reporter", metavar="NAME", shell_complete=completers.parts("reporter"),
    help="Print what one reporter writes: latex, junit, github, csv, ...",
)  # fmt: skip
@as_json_option
@click.pass_context
def report(context: click.Context, folder: Path | None, results: Path, reporter: str | None, as_json: bool) -> None:
    """Rebuild the report of a run from its records, or print one format of it.

    FOLDER is a run or the page of a folder of suites, by default the latest run. The command needs no torch.

    With --as NAME nothing is rebuilt: the text of one reporter is printed, for pasting or for a pipe. Several files are
    printed one after another, each under its name. `harness list reporters` lists the names.
    """
    from harness.api.lookup import run_of
    from harness.api.result import has_failures
    from harness.cli.as_text import show_as
    from harness.cli.show import show, show_batch
    from harness.records.store import Store
    from harness.report.report import make_report
    from harness.report.suite_batch import SuiteBatch
    from harness.report.writer import report_run

    if reporter is not None and as_json:
        raise UserError("--json and --as both choose what to print.", fix="Leave one of them out.")
    batch = SuiteBatch.open(folder) if folder and SuiteBatch.is_in(folder) else None
    stores = {name: Store.open(run) for name, run in batch.runs.items()} if batch else {"": run_of(folder, results)}
    catalog = plugins_of(context).catalog_for(stores.values())
    make = make_report if reporter is not None else report_run
    reports = {name: make(store, catalog) for name, store in stores.items()}
    if reporter is not None:
        show_as(reporter, reports, catalog)
    elif batch is not None:
        batch.write(reports)
        show_batch(batch, reports, as_json=as_json)
    else:
        show(reports[""], stores[""].folder, as_json=as_json)
    sys.exit(FAILED if any(map(has_failures, reports.values())) else 0)
