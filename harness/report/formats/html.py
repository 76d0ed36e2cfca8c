"""The report as one HTML file that works offline. Its first screen has the answer with one plot and the claims; then
come results, then reasons.

The template escapes everything that comes from a suite, a plugin or a machine. A content security policy forbids the
page to load anything, and to run any script but its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.records.plan import Plan
from harness.report.answer import leading_claim
from harness.report.cells import ANSWERS, WORDING
from harness.report.formats import saved
from harness.report.formats.html_tables import Grid, grids_of
from harness.report.plots.figures import Plot
from harness.report.plots.inline_svg import svg_of
from harness.report.plots.plots import by_turns, main_plot, missing_plots, plots_of
from harness.report.report import Report

#: The most plots in the page, the first of each section first, and the most characters that they have together; other
#: plots are files beside it.
MOST_PLOTS, MOST_TEXT = 24, 2_000_000
#: Rows of a table that are shown before the reader asks for the rest.
ROWS = 30
#: Rows of a table in the cell of a notebook; report.html has all of them.
MOST_ROWS = 100
#: This many plots of a section are visible at first, and this many further sentences of the summary.
OPEN_PLOTS, SENTENCES = 1, 3
CLAIM_LOOKS = {word: WORDING[answer].look for answer, word in ANSWERS.items()}
#: What a size is, by its scale.
ROW = "Each row compares a level with the baseline at the marked line: "
READING = {
    "ratio": f"{ROW}a ratio of 1.20 means 1.20 times as much or as long for the same examples.",
    "difference": f"{ROW}the difference of their scores in percentage points, as a mean over pairs of the same seed.",
    "number": f"{ROW}the difference of their scores, as a mean over pairs of the same seed.",
}
#: The section for plots whose own section is not in the report.
ELSEWHERE = "Comparisons"


@dataclass(frozen=True)
class Picture:
    """A plot in the page with its SVG, or without one where it is a file. `narrow` is drawn for narrow screens."""

    name: str
    title: str
    svg: Markup
    narrow: str = ""


@dataclass
class Part:
    """A section as the page shows it, with an id for links."""

    id: str
    title: str
    paragraphs: list[str | list[str]]
    grids: list[Grid]
    details: list[Grid]
    why: bool
    pictures: list[Picture] = field(default_factory=list)


def write(report: Report, folder: Path) -> list[Path]:
    """Write report.html into the run's folder."""
    suite = folder / "suite.yaml"
    text = suite.read_text(encoding="utf-8", errors="replace") if suite.is_file() else ""
    return saved(folder / "report.html", render(report, text))


def render(report: Report, suite: str = "") -> str:
    """The whole page. `suite` is the text of the suite as it was run."""
    parts, first = parts_of(report)
    script = asset("report.js")
    return environment().get_template("report.html.j2").render(
        report=report,
        first=first,
        sentences=SENTENCES,
        answers=[part for part in parts if not part.why],
        reasons=[part for part in parts if part.why],
        looks=CLAIM_LOOKS,
        reading=reading_of(report),
        trouble=report.remarks,
        plots_missing=missing_plots(report),
        facts=list(facts_in_rows(report.facts)),
        facts_text=json.dumps(report.facts, indent=1, ensure_ascii=False, default=str),
        commands=commands_of(report.findings.plan),
        versions=versions_of(report.facts),
        suite=suite,
        style=Markup(asset("report.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        rows=ROWS,
        open_plots=OPEN_PLOTS,
    )  # fmt: skip


def render_cell(report: Report, folder: Path) -> str:
    """The HTML for the cell of a notebook: question, answer, claims, and folded the tables that give answers. It uses
    the notebook's colours, light or dark, and has no script."""
    return (
        environment()
        .get_template("notebook.html.j2")
        .render(
            report=report,
            folder=str(folder),
            style=Markup(asset("notebook.css")),
            looks=CLAIM_LOOKS,
            sections=[
                (section.title, paragraphs(section.words), [shortened(grid) for grid in grids_of(section.tables)])
                for section in report.sections
                if section.tables and not section.why
            ],
            trouble=report.remarks,
            rows=MOST_ROWS,
        )
    )


def shortened(grid: Grid) -> Grid:
    """The table with as many rows as a cell shows, and a note on how many are left out."""
    left_out = len(grid.rows) - MOST_ROWS
    if left_out <= 0:
        return grid
    note = f"{left_out:,} more rows are in report.html, and in the rows that the result gives."
    return replace(grid, rows=grid.rows[:MOST_ROWS], notes=(note, *grid.notes))


def environment() -> Environment:
    """The templates, with every value escaped; a missing value is an error."""
    return Environment(
        loader=PackageLoader("harness.report.formats", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip


def asset(name: str) -> str:
    """A style sheet or script beside the templates."""
    return (files("harness.report.formats") / "templates" / name).read_text(encoding="utf-8")


def reading_of(report: Report) -> list[str]:
    """How to read the first screen, in three sentences."""
    leading = leading_claim(report.findings)
    asked = leading.decisive if leading else next(iter(report.findings.deciding), None)
    return [
        READING.get(asked.scale if asked else "ratio", READING["ratio"]),
        "The line through a point is its confidence interval, from the spread between processes or seeds; a filled "
        "point has a verdict, a hollow one has none.",
        "Claims were written in the suite before the run and are decided by these intervals; with Holm correction, the "
        "probability that one or more of these answers is wrong is at most 5 %.",
    ]


def parts_of(report: Report) -> tuple[list[Part], Picture | None]:
    """The sections in order, each with its plots; and the plot of the first screen, which is in none of them. A section
    of reasons shows its first table; the others are folded."""
    parts = []
    for n, one in enumerate(report.sections, 1):
        grids, details = grids_of(one.tables), grids_of(one.details)
        if one.why:
            grids, details = grids[:1], [*grids[1:], *details]
        parts.append(Part(f"s{n}", one.title, paragraphs(one.words), grids, details, one.why))
    by_title = {part.title: part for part in parts}
    plots = plots_of(report)
    main, first = main_plot(report, plots), None
    for plot, svg in drawn(sorted(plots, key=lambda plot: plot is not main)):
        if plot is main and svg:
            narrow = svg_of(plot.narrow) if plot.narrow else ""
            first = Picture(plot.name, plot.title, Markup(svg), Markup(narrow))
            continue
        part = by_title.get(plot.section) or by_title.get(ELSEWHERE)
        if part is None:
            part = by_title[ELSEWHERE] = Part("plots", "Plots", [], [], [], False)
            parts.insert(0, part)
        part.pictures.append(Picture(plot.name, plot.title, Markup(svg)))
    return parts, first


def drawn(plots: Sequence[Plot]) -> list[tuple[Plot, str]]:
    """Each plot with its SVG, or without one where the page would grow too large."""
    room, shown = MOST_TEXT, dict[str, str]()
    for plot in by_turns(plots)[:MOST_PLOTS]:
        svg = svg_of(plot)
        if len(svg) <= room:
            room -= len(svg)
            shown[plot.name] = svg
    return [(plot, shown.get(plot.name, "")) for plot in plots]


def paragraphs(words: str) -> list[str | list[str]]:
    """Lines of text; lines that begin with a dash become a list."""
    found: list[str | list[str]] = []
    for line in filter(None, words.splitlines()):
        if not line.startswith("- "):
            found.append(line)
        elif found and isinstance(found[-1], list):
            found[-1].append(line[2:])
        else:
            found.append([line[2:]])
    return found


def commands_of(plan: Plan, run: str = "") -> list[str]:
    """The command that measures the same again, and the one that adds seeds where some were added."""
    given = plan.overrides

    def options(**names: str) -> list[str]:
        return [
            str(word) for name, option in names.items() for value in given.get(name, ()) for word in (option, value)
        ]

    words = ["harness", *options(plugins="-p", without="--without"), "run", f"{plan.suite}.yaml"]
    words += ["--preset", str(given["preset"])] if given.get("preset") else []
    words += options(set="--set", only="--only")
    words += [f"--{name.replace('_', '-')}" for name in ("quick", "gate") if given.get(name)]
    commands = [shlex.join(words)]
    if given.get("seeds"):
        folder = run or f"results/{plan.suite}/RUN"
        commands.append(shlex.join(["harness", "run", "--resume", folder, "--seeds", str(given["seeds"])]))
    return commands


def versions_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """The versions of Python, packages and plugins that are known."""
    found = {"python": facts["python"]} if facts.get("python") else {}
    for kind in ("packages", "plugins"):
        found |= {name: str(version) for name, version in (facts.get(kind) or {}).items()}
    return found


def facts_in_rows(facts: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, str]]:
    """Facts of a machine as names and text, those within others under both names. What is not known is left out."""
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from facts_in_rows(value, f"{under}{name} ")
        elif isinstance(value, list | tuple):
            if value:
                yield f"{under}{name}", ", ".join(map(str, value))
        elif value is not None:
            yield f"{under}{name}", ("yes" if value else "no") if isinstance(value, bool) else str(value)
