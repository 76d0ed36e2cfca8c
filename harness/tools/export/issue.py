"""The Markdown text of an issue about a trial: what was found, where, and the script that shows it."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.measure.runtime import machine
from harness.records.plan import Block, Trial
from harness.report.cells import UNKNOWN, size_cells, verdict_cell
from harness.report.report import Report
from harness.report.table import Table
from harness.report.tables.comparisons import number_cell
from harness.tools.export.script import Script, Subject

#: GitHub takes no longer text.
LONGEST = 65_536
#: So batches get less room in an issue than in a file.
ROOM = 24_000
#: Sections whose tables are not of levels, whatever stands in their first column.
NOT_OF_LEVELS = ("Effects", "Growth")


def measured(report: Report, block: Block, trial: Trial, mode: str) -> list[str]:
    """What a run found of a trial in this mode, in sentences."""
    findings, found = report.findings, []
    time = number_cell(findings, block, trial.level, mode, "step_time")
    if time != UNKNOWN:
        found.append(f"{time} a step of {'training' if mode == 'train' else mode}")
    comparison = findings.of(block, mode).get(trial.level)
    if comparison is not None and comparison.size is not None:
        ratio, interval = size_cells(comparison)
        with_ = f" ({100 * comparison.confidence:.3g} % interval {interval})" if interval else ""
        verdict = verdict_cell(comparison, first_look=findings.is_quick)
        found.append(f"{ratio} of the time that {block.baseline.level} takes{with_}: {verdict}")
    return found + [
        f"{record.outcome} in {record.measure}: {record.reason}" for record in failures(report, block, trial)
    ]


def failures(report: Report, block: Block, trial: Trial) -> list[Any]:
    """The first record of the trial's failure, if it failed."""
    return [r for r in report.findings.failures if (r.block, r.level) == (block.id, trial.level)]


def issue(subject: Subject, script: Script, report: Report | None) -> str:
    """The whole text."""
    trial, block = subject.trial, subject.block
    lines = [f"**{safe(subject.what)}: {subject.mode_in_words}**", "", f"Question: {safe(subject.plan.question)}", ""]
    reasons = [record.reason for record in failures(report, block, trial)] if report else []
    reasons += [script.rehearsal.failure] if script.rehearsal.failure else []
    if reasons:
        lines += ["### It fails", "", *fenced("\n".join(dict.fromkeys(reasons)), "text"), ""]
    if report is not None:
        words, answers, why = tables_of(report, block, trial)
        if report.first_look:
            lines += ["A first look, in one process: no verdicts yet.", ""]
        if answers:
            lines += ["### What was measured", "", f"{safe(subject.place)} against {safe(block.baseline.level)}.", ""]
            lines += [line for text in words for line in (safe(text), "")]
            lines += [line for table in answers for line in table_lines(table)]
        if why:
            lines += [*folded("Where it goes", [line for table in why for line in table_lines(table)]), ""]
    lines += ["### Environment", "", *environment(subject, script, report), ""]
    lines += folded("torch.__config__", fenced(machine.torch_build(), "text"))
    lines += ["", "### To reproduce", ""]
    variables = "".join(f"{name}={value} " for name, value in subject.environment.items())
    lines += [f"`{variables}python trial.py`: one file, which needs {safe(script.needs)} and nothing else.", ""]
    if script.was_run and not script.rehearsal.failure:
        lines += [
            "It prints the loss of each step, or the mean size of what is predicted, beside what is expected.",
            "",
        ]
    lines += folded("trial.py", fenced(script.text.rstrip("\n"), "python"))
    return "\n".join(lines) + "\n"


def tables_of(report: Report, block: Block, trial: Trial) -> tuple[list[str], list[Table], list[Table]]:
    """How to read the tables of the trial's block that answer, these, and those that give reasons: with the rows of the
    baseline and the trial alone; of the baseline itself with all rows."""
    name, level = re.escape(block.name), re.escape(trial.level)
    of_block = re.compile(rf"{name}(?: · (?:train|inference|learning))?(?:: .*)?")
    operators = re.compile(rf"{name} · (?:train|inference)(?: · {level}: operators|: {level} against .*)")
    wanted = {block.baseline.level, trial.level}
    words: list[str] = []
    answers: list[Table] = []
    why: list[Table] = []
    for section in report.sections:
        for table in (*section.tables, *section.details):
            if operators.fullmatch(table.title):
                why.append(table)
            elif of_block.fullmatch(table.title) and table.headers[0] == report.findings.plan.axis:
                if section.title in NOT_OF_LEVELS:
                    continue
                rows = tuple(row for row in table.rows if row[0] in wanted or trial == block.baseline)
                if rows:
                    (why if section.why else answers).append(Table(table.title, table.headers, rows, table.notes))
                    if section.words and not section.why and section.words not in words:
                        words.append(section.words)
    return words, answers, why


def environment(subject: Subject, script: Script, report: Report | None) -> list[str]:
    """What it ran on as a table. Where a run was measured elsewhere than the script is written, both."""
    here = facts_rows(subject, script.facts)
    there = facts_rows(subject, report.facts) if report is not None and report.facts else here
    headers = ("", "measured", "exported") if there != here else ("", "")
    rows = [(name, *((there.get(name, "-"),) if there != here else ()), here[name]) for name in here]
    return table_text(headers, rows)


def facts_rows(subject: Subject, facts: Mapping[str, Any]) -> dict[str, str]:
    """Facts of a machine by the names that people use."""
    cuda, models = facts.get("cuda_build"), facts.get("gpu_models") or ()
    cards = (
        ", ".join(f"{models.count(model)} x {model}" for model in dict.fromkeys(models)) or f"{facts.get('gpus')} GPUs"
    )
    driver = f", driver {facts['gpu_driver']}" if facts.get("gpu_driver") else ""
    rows = {
        "torch": f"{facts.get('torch')} (CPU capability {facts.get('torch_cpu_capability')}, BLAS "
        f"{facts.get('torch_blas')}, oneDNN {'yes' if facts.get('mkldnn') else 'no'})",
        "CUDA": f"{cuda}, cuDNN {facts.get('cudnn')}, {cards}{driver}" if cuda else "none in this build",
        "device": subject.trial.device,
        "threads": str(subject.threads),
        "Python": str(facts.get("python")),
        "OS": str(facts.get("platform")),
        "processor": f"{facts.get('processor')}, {facts.get('cores')} cores, {facts.get('memory_gib')} GiB",
        "packages": ", ".join(f"{name} {version}" for name, version in (facts.get("packages") or {}).items()),
    }
    if subject.environment:
        rows["variables"] = ", ".join(f"{name}={value}" for name, value in subject.environment.items())
    return rows


def table_lines(table: Table) -> list[str]:
    """A table under its title, with its notes."""
    notes = [line for note in table.notes for line in (safe(note), "")]
    return [f"**{safe(table.title)}**", "", *table_text(table.headers, table.rows), "", *notes]


def table_text(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in GitHub's Markdown."""
    bar = "\\|"

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(safe(cell).replace('|', bar) for cell in cells)} |"

    return [line(headers), f"|{'---|' * len(headers)}", *map(line, rows)]


def folded(title: str, lines: Sequence[str]) -> list[str]:
    """Lines that are shown when they are asked for."""
    return ["<details>", f"<summary>{title}</summary>", "", *lines, "", "</details>"]


def fenced(text: str, language: str) -> list[str]:
    """Text as it is, in a fence longer than any in it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return [f"{fence}{language}", text, fence]


def safe(text: str) -> str:
    """Text on one line that is not taken for HTML."""
    return html.escape(" ".join(str(text).split()), quote=False)
