"""The report as HTML for a cell of a notebook: the summary, the claims and the tables that give answers.

It uses the notebook's colours, light or dark, and has no script.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from markupsafe import Markup

from harness.report.formats.html import asset, claims_of, counts_of, environment, paragraphs
from harness.report.formats.html_tables import Grid, grids_of
from harness.report.report import Report
from harness.report.summary import other_sentences

#: Rows of a table that a cell shows; report.html has all of them.
MOST_ROWS = 100


def render(report: Report, folder: Path) -> str:
    """The HTML. Everything in it that comes from a suite, a plugin or a machine is escaped."""
    template = environment().get_template("notebook.html.j2")
    return template.render(
        report=report,
        folder=str(folder),
        style=Markup(asset("notebook.css")),
        claims=claims_of(report),
        # The claims are listed already.
        summary=other_sentences(report.findings) if report.claims else report.summary,
        counts=counts_of(report),
        sections=[
            (section.title, paragraphs(section.words), [shortened(grid) for grid in grids_of(section.tables)])
            for section in report.sections
            if section.tables and not section.why
        ],
        trouble=report.remarks,
        rows=MOST_ROWS,
    )


def shortened(grid: Grid) -> Grid:
    """The table with as many rows as a cell shows, and a note on how many are left out."""
    left_out = len(grid.rows) - MOST_ROWS
    if left_out <= 0:
        return grid
    note = f"{left_out:,} more rows are in report.html, and in the rows that the result gives."
    return replace(grid, rows=grid.rows[:MOST_ROWS], notes=(note, *grid.notes))
