"""Print the report of a run, or of the suites of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from harness.cli.options import echo_json_text
from harness.report.formats import terminal
from harness.report.report import Report
from harness.report.rows import json_text, to_json
from harness.report.suite_batch import SuiteBatch, claims_table


def show(report: Report, folder: Path, *, as_json: bool) -> None:
    """Print the comparisons, claims, skipped trials and failures of a run."""
    if as_json:
        echo_json_text(json_text({"folder": str(folder), **to_json(report)}))
    else:
        click.echo(f"\n{terminal.render(report, folder)}")


def show_batch(batch: SuiteBatch, reports: Mapping[str, Report], *, as_json: bool) -> None:
    """Print the claims of all suites of a folder."""
    if as_json:
        suites = {name: {"folder": str(batch.runs[name]), **to_json(report)} for name, report in reports.items()}
        echo_json_text(json_text({"folder": str(batch.folder), "suites": suites}))
        return
    click.echo(f"\n{terminal.table(claims_table(reports))}")
    click.echo(f"\nPage: {batch.folder / 'claims.md'}")
