"""The report as Markdown that GitHub reads, and text and tables in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from tabulate import tabulate

from harness.plugins.isolation import one_line, visible
from harness.report.formats import saved, tensorboard
from harness.report.plots.plots import missing_plots, plots_of
from harness.report.report import Report
from harness.report.table import Section, Table

#: What Markdown, or GitHub's mathematics, would read as more than a character.
SPECIAL = re.compile(r"([\\`*_{}\[\]#~|])")


def write(report: Report, folder: Path) -> list[Path]:
    """Write report.md into the run's folder."""
    return saved(folder / "report.md", render(report))


def render(report: Report) -> str:
    """The whole report as Markdown text."""
    claims = [f"**{one.words}**: {cell(one.says)}. {cell(one.details)}." for one in report.claims]
    lines = [f"# {report.question}", "", *([f"**{report.banner}**", ""] if report.banner else [])]
    lines += [
        f"**{cell(report.answer)}**",
        "",
        " ".join(report.summary),
        "",
        f"Run `{report.run}` on {report.machine}.",
        "",
    ]
    lines += listed("Claims", claims)
    lines += [line for one in report.sections if not one.why for line in section(one)]
    lines += listed("Flags", report.flags)
    if plots := plots_of(report):
        lines += ["## Plots", "", *(line for p in plots for line in (f"![{p.title}](plots/{p.name}.png)", ""))]
        links = ", ".join(f"[{p.name}](plots/{p.name}.svg)" for p in plots)
        lines += [f"As SVG: {links}.", ""]
    for missing in filter(None, (missing_plots(report), tensorboard.missing_curves(report))):
        lines += [missing, ""]
    for title, texts in report.remarks:
        lines += listed(title, map(cell, texts))
    lines += [report.last_line, ""]
    lines += [line for one in report.sections if one.why for line in section(one)]
    lines += ["## Machine", "", "```json", json.dumps(report.facts, indent=1, ensure_ascii=False), "```", ""]
    return visible("\n".join(lines))


def listed(title: str, texts: Iterable[str]) -> list[str]:
    """Texts as a list under a heading; nothing where there are none."""
    items = [f"- {text}" for text in texts]
    return [f"## {title}", "", *items, ""] if items else []


def section(one: Section) -> list[str]:
    """Tables under their heading."""
    words = [one.words, ""] if one.words else []
    tables = (*one.tables, *one.details)
    return [f"## {one.title}", "", *words, *(line for each in tables for line in table(each, "###", cell, str))]


def table(one: Table, heading: str, text: Callable[[str], str], note: Callable[[str], str]) -> list[str]:
    """A table under its own heading; `text` is applied to its title and cells, `note` to its notes."""
    rows = [[text(each) for each in row] for row in one.rows]
    grid = tabulate(rows, [text(each) for each in one.headers], tablefmt="github", disable_numparse=True)
    return [f"{heading} {text(one.title)}", "", grid, "", *(line for each in one.notes for line in (note(each), ""))]


def escape(text: str) -> str:
    """Text that shows as it is, on one line."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    text = SPECIAL.sub(r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    return text.replace("$", "<span>$</span>")


def cell(text: str) -> str:
    """Text that neither breaks its table nor starts a tag, and is otherwise as it was written."""
    return one_line(text).replace("|", "\\|").replace("<", "&lt;")
