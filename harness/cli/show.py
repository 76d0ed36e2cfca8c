"""Print the report of a run, or of the suites of a folder."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import click

from harness.cli.options import echo_json_text
from harness.report.formats import screen, terminal
from harness.report.report import Report
from harness.report.rows import json_text, to_json
from harness.report.suite_batch import SuiteBatch


def show(report: Report, folder: Path, *, as_json: bool, verbose: bool = False) -> None:
    """Print the answer of a run on one screen; with `verbose` all of its tables."""
    if as_json:
        echo_json_text(json_text({"folder": str(folder), **to_json(report)}))
    elif verbose:
        click.echo(f"\n{terminal.render(report, folder)}")
    else:
        # The text has colours only if the stream shows them, so click need not remove them.
        click.echo(f"\n{screen.render(report, folder, stream=sys.stdout)}", color=True)


def show_batch(batch: SuiteBatch, reports: Mapping[str, Report], *, as_json: bool) -> None:
    """Print the claims of all suites of a folder."""
    if as_json:
        suites = {name: {"folder": str(batch.runs[name]), **to_json(report)} for name, report in reports.items()}
        echo_json_text(json_text({"folder": str(batch.folder), "suites": suites}))
        return
    click.echo(f"\n{screen.render_claims(reports, stream=sys.stdout)}", color=True)
    click.echo(f"\nPage: {batch.folder / 'claims.md'}")
