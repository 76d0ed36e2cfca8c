"""What one reporter writes, as text to be pasted: ``harness report --as NAME``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from harness.errors import FAILED, UserError

if TYPE_CHECKING:
    from harness.catalog import Catalog
    from harness.report import Report


def show_as(name: str, reports: Mapping[str, Report], catalog: Catalog) -> None:
    """Print the text files that a reporter writes of these reports, each under its name where there are several. Files
    that are no text are named on the other stream."""
    from harness.parts import Reporter

    entry = catalog.find(Reporter, name)
    texts: dict[str, str] = {}
    for suite, report in reports.items():
        with TemporaryDirectory() as temporary:
            folder = Path(temporary)
            code = catalog.code(entry)
            try:
                written = code(report, folder)
            except Exception as error:  # a plugin may raise anything; it is named
                click.echo(f"reporter {name} (plugin {entry.plugin}): {type(error).__name__}: {error}", err=True)
                sys.exit(FAILED)
            paths = [Path(path) for path in written or ()] or sorted(p for p in folder.rglob("*") if p.is_file())
            for path in paths:
                shown = path.relative_to(folder) if path.is_relative_to(folder) else path
                shown = Path(Path(suite).stem) / shown if len(reports) > 1 else shown
                text = text_of(path)
                if text is None:
                    click.echo(f"{shown} is no text, and is left out.", err=True)
                else:
                    texts[str(shown)] = text
    if not texts:
        raise UserError(f"reporter {name} writes no text of this run.", fix="See: harness list reporters")
    for shown_name, text in texts.items():
        if len(texts) > 1:
            click.echo(f"==> {shown_name} <==")
        click.echo(text, nl=not text.endswith("\n"))
        if len(texts) > 1:
            click.echo()


def text_of(path: Path) -> str | None:
    """A file's text; None where it is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except ValueError:
        return None
    return None if "\0" in text else text
