"""Print what one reporter writes: ``harness report --as NAME``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from harness.errors import FAILED, UserError
from harness.plugins.catalog import Catalog
from harness.plugins.isolation import error_text
from harness.plugins.parts import Reporter
from harness.report.report import Report
from harness.report.writer import write


def show_as(name: str, reports: Mapping[str, Report], catalog: Catalog) -> None:
    """Print the text files that a reporter writes; several files under their names. Binary files are only counted."""
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
                shown_as = Path(suite).stem / path.relative_to(folder) if suite else path.relative_to(folder)
                content = path.read_bytes()
                if b"\0" in content:
                    binary += 1
                else:
                    texts[str(shown_as)] = content.decode(errors="replace")
    if not texts:
        raise UserError(f"reporter {name} writes no text for this run.", fix="See: harness list reporters")
    for title, text in texts.items():
        if len(texts) > 1:
            click.echo(f"==> {title} <==")
        click.echo(text, nl=not text.endswith("\n"))
        if len(texts) > 1:
            click.echo()
    if binary:
        click.echo(f"Binary files that are not shown: {binary}.", err=True)
