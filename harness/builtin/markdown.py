"""The report as Markdown."""

from __future__ import annotations

import json
from pathlib import Path

from tabulate import tabulate

from harness.builtin.plots import how_to_get_them, plots_of
from harness.effect_tables import words as effect_words
from harness.growth import WORDS as GROWTH
from harness.health_tables import WORDS as HEALTH
from harness.learning_tables import WORDS as LEARNT
from harness.report import Report
from harness.resource_tables import COST, MEMORY
from harness.table import Table


def write(report: Report, folder: Path) -> list[Path]:
    """Write report.md into the run's folder."""
    path = folder / "report.md"
    path.write_text(render(report), encoding="utf-8")
    return [path]


def render(report: Report) -> str:
    """The whole report as Markdown text."""
    lines = [f"# {report.question}", ""]
    if report.first_look:
        lines += [
            "**A first look: one process a block. Nothing here is a verdict; run without `--quick` for those.**",
            "",
        ]
    lines += [f"Run `{report.run}` on {report.machine}.", ""]
    if report.claims:
        lines += ["## Claims", ""]
        lines += [f"- **{answer}**: {says}. {reason}." for says, answer, reason in report.claims] + [""]
    if report.comparisons:
        lines += ["## Comparisons", "", "Ratio: time for the same examples over the baseline's; below 1 is faster.", ""]
    for table in report.comparisons:
        lines += section(table)
    learned = (*report.learning, *report.pareto, *report.other_scores)
    for title, words, tables in (
        ("Learning", LEARNT, learned), ("Effects", effect_words(report.findings.plan), report.effects)
    ):  # fmt: skip
        if tables:
            lines += [f"## {title}", "", words, "", *(line for table in tables for line in section(table))]
    lines += [f"- {flag}" for flag in report.flags] + ([""] if report.flags else [])
    if missing := how_to_get_them(report):
        lines += [missing, ""]
    elif plots := plots_of(report):
        lines += ["## Plots", "", *(line for p in plots for line in (f"![{p.title}](plots/{p.name}.png)", ""))]
        links = ", ".join(f"[{p.name}](plots/{p.name}.svg)" for p in plots)
        lines += [f"As SVG: {links}.", ""]
    for title, texts in (("Failed", report.failures), ("Skipped", report.skipped), ("Problems", report.problems)):
        if texts:
            lines += [f"## {title}", "", *(f"- {text}" for text in texts), ""]
    lines += [report.last_line, ""]
    own = "A run of its own, after the clock; its times are not the clock's."
    for title, words, tables in (
        ("Health", HEALTH, report.health),
        ("Memory", MEMORY, (*report.memory, *report.peaks)),
        ("Cost", COST, report.cost),
        ("Growth", GROWTH, report.growth),
        ("Where the time goes", "", report.phases),
        ("Under the profiler", own, report.operators),
    ):
        if tables:
            lines += [
                f"## {title}",
                "",
                *([words, ""] if words else []),
                *(line for t in tables for line in section(t)),
            ]
    lines += ["## Machine", "", "```json", json.dumps(report.facts, indent=1, ensure_ascii=False), "```", ""]
    return "\n".join(lines)


def section(table: Table) -> list[str]:
    """A table under its own heading."""
    text = tabulate(table.rows, table.headers, tablefmt="github", disable_numparse=True)
    return [f"### {table.title}", "", text, "", *(line for note in table.notes for line in (note, ""))]
