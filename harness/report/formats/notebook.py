"""The report as a piece of HTML for a cell of a notebook: the answer, the claims and the tables that give answers.

It takes the notebook's own colours, so that it can be read on light and on dark, and holds no script.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from markupsafe import Markup

from harness.report.formats.html import asset, counts_of, environment, paragraphs
from harness.report.formats.html_tables import KINDS, Grid, grids_of
from harness.report.report import Report

#: Rows of a table that a cell shows; report.html has them all.
MOST_ROWS = 100


def render(report: Report, folder: Path) -> str:
    """The piece of HTML. Everything in it that comes from a suite, a plugin or a machine is escaped."""
    template = environment().get_template("notebook.html.j2")
    return template.render(
        report=report,
        folder=str(folder),
        style=Markup(asset("notebook.css")),
        claims=[(says, answer, KINDS[answer], reason) for says, answer, reason in report.claims],
        # With claims, the answer begins with them, in the same words.
        answer=[text for text in report.answer if not report.claims or text.partition(":")[0] not in TOLD],
        counts=counts_of(report),
        sections=[
            (section.title, paragraphs(section.words), [shortened(grid) for grid in grids_of(section.tables)])
            for section in report.sections
            if section.tables and not section.why
        ],
        trouble=report.remarks,
        rows=MOST_ROWS,
    )


#: How sentences of the answer begin that tell what became of claims.
TOLD = ("Holds", "Fails", "Undecided")


def shortened(grid: Grid) -> Grid:
    """The table without the rows that are too many for a cell, and a note on how many these are."""
    left_out = len(grid.rows) - MOST_ROWS
    if left_out <= 0:
        return grid
    note = f"{left_out:,} more rows are in report.html, and in the rows that the result gives."
    return replace(grid, rows=grid.rows[:MOST_ROWS], notes=(note, *grid.notes))
