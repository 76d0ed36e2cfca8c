"""The text of an issue about a trial, as Markdown: what was measured, the environment, and the script."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.measure.runtime import machine
from harness.modes import step_name
from harness.records.plan import Block, Trial
from harness.report.cells import UNKNOWN, size_cells, verdict_cell
from harness.report.formats import markdown
from harness.report.report import Report
from harness.report.table import Table
from harness.report.tables.comparisons import number_cell
from harness.tools.export.script import ExportedTrial, Script

#: The most characters that GitHub accepts, and how many of them the batches may take.
MAX_ISSUE_CHARACTERS = 65_536
ISSUE_BATCH_CHARACTERS = 24_000
#: Sections whose tables do not have levels in their first column, whatever its header is.
WITHOUT_LEVELS = ("Effects", "Growth")


def measured_lines(report: Report, block: Block, trial: Trial, mode: str) -> list[str]:
    """What a run found about a trial in one mode: its time, its comparison with the baseline, and its failures."""
    findings, lines = report.findings, []
    time = number_cell(findings, block, trial.level, mode, "step_time")
    if time != UNKNOWN:
        lines.append(f"{time} for {step_name(mode)}")
    comparison = findings.of(block, mode).get(trial.level)
    if comparison is not None and comparison.size is not None:
        ratio, interval = size_cells(comparison)
        within = f" ({100 * comparison.confidence:.3g} % interval {interval})" if interval else ""
        verdict = verdict_cell(comparison, first_look=findings.is_quick)
        lines.append(f"{ratio} times as long as {block.baseline.level}{within}: {verdict}")
    failures = failures_of(report, block, trial)
    return lines + [f"{record.outcome} in {record.measure}: {record.reason}" for record in failures]


def failures_of(report: Report, block: Block, trial: Trial) -> list[Any]:
    """The records of the failures of a trial."""
    return [r for r in report.findings.failures if (r.block, r.level) == (block.id, trial.level)]


def issue_text(exported: ExportedTrial, script: Script, report: Report | None) -> str:
    """The whole text."""
    trial, block, cell = exported.trial, exported.block, markdown.cell
    lines = [f"**{cell(exported.parts)}: {exported.step}**", "", f"Question: {cell(exported.plan.question)}", ""]
    reasons = [record.reason for record in failures_of(report, block, trial)] if report else []
    reasons += [script.failure] if script.failure else []
    if reasons:
        lines += ["### Failure", "", *fenced("\n".join(dict.fromkeys(reasons)), "text"), ""]
    if report is not None:
        words, answers, reasons_why = tables_of(report, block, trial)
        if report.first_look:
            lines += ["This was a first look in one process: there are no verdicts yet.", ""]
        if answers:
            lines += ["### Measurements", "", f"{cell(exported.path)} compared with {cell(block.baseline.level)}.", ""]
            lines += [line for text in words for line in (cell(text), "")]
            lines += [line for table in answers for line in table_lines(table)]
        if reasons_why:
            lines += folded("Where the time goes", [line for table in reasons_why for line in table_lines(table)])
    lines += ["### Environment", "", *environment_lines(exported, script, report)]
    lines += folded("torch.__config__", fenced(machine.torch_build(), "text"))
    variables = "".join(f"{name}={value} " for name, value in exported.environment.items())
    lines += ["### Reproduce", "", f"Run `{variables}python trial.py`. It needs {cell(script.needs)} and nothing else."]
    if script.replay is not None and not script.failure:
        lines += ["It prints the value of each step beside the expected one."]
    lines += ["", *folded("trial.py", fenced(script.text.rstrip("\n"), "python"))]
    return "\n".join(lines)


def tables_of(report: Report, block: Block, trial: Trial) -> tuple[list[str], list[Table], list[Table]]:
    """The explanations of the tables with answers, these tables, and those with reasons. They have the rows of the
    trial and of the baseline; for the baseline itself, they have all rows."""
    name, level = re.escape(block.name), re.escape(trial.level)
    of_block = re.compile(rf"{name}(?: · (?:train|inference|learning))?(?:: .*)?")
    of_operators = re.compile(rf"{name} · (?:train|inference)(?: · {level}: operators|: {level} against .*)")
    levels = {block.baseline.level, trial.level}
    words: list[str] = []
    answers: list[Table] = []
    reasons: list[Table] = []
    for section in report.sections:
        for table in (*section.tables, *section.details):
            if of_operators.fullmatch(table.title):
                reasons.append(table)
                continue
            has_levels = table.headers[0] == report.findings.plan.axis and section.title not in WITHOUT_LEVELS
            rows = tuple(row for row in table.rows if row[0] in levels or trial == block.baseline)
            if of_block.fullmatch(table.title) and has_levels and rows:
                (reasons if section.why else answers).append(Table(table.title, table.headers, rows, table.notes))
                if section.words and not section.why and section.words not in words:
                    words.append(section.words)
    return words, answers, reasons


def environment_lines(exported: ExportedTrial, script: Script, report: Report | None) -> list[str]:
    """The machine as a table. If the run was measured on another one than the script was written on, both."""
    here = machine_rows(exported, script.facts)
    there = machine_rows(exported, report.facts) if report is not None and report.facts else here
    if there == here:
        return table_lines(Table("", ("", ""), tuple(here.items())))
    rows = tuple((name, there.get(name, UNKNOWN), value) for name, value in here.items())
    return table_lines(Table("", ("", "measured", "exported"), rows))


def machine_rows(exported: ExportedTrial, facts: Mapping[str, Any]) -> dict[str, str]:
    """The facts of a machine by their usual names."""
    models = facts.get("gpu_models") or ()
    gpus = ", ".join(f"{models.count(model)} x {model}" for model in dict.fromkeys(models))
    gpus = gpus or f"{facts.get('gpus')} GPUs"
    driver = f", driver {facts['gpu_driver']}" if facts.get("gpu_driver") else ""
    cuda = f"{facts.get('cuda_build')}, cuDNN {facts.get('cudnn')}, {gpus}{driver}"
    rows = {
        "torch": f"{facts.get('torch')} (CPU capability {facts.get('torch_cpu_capability')}, BLAS "
        f"{facts.get('torch_blas')}, oneDNN {'yes' if facts.get('mkldnn') else 'no'})",
        "CUDA": cuda if facts.get("cuda_build") else "none in this build",
        "device": exported.trial.device,
        "threads": str(exported.threads),
        "Python": str(facts.get("python")),
        "OS": str(facts.get("platform")),
        "processor": f"{facts.get('processor')}, {facts.get('cores')} cores, {facts.get('memory_gib')} GiB",
        "packages": ", ".join(f"{name} {version}" for name, version in (facts.get("packages") or {}).items()),
    }
    if exported.environment:
        rows["variables"] = ", ".join(f"{name}={value}" for name, value in exported.environment.items())
    return rows


def table_lines(table: Table) -> list[str]:
    """A table under its title, with its notes."""
    title, *lines = markdown.table(table, "", markdown.cell, markdown.cell)
    return lines[1:] if not table.title else [f"**{title.strip()}**", *lines]


def folded(title: str, lines: Sequence[str]) -> list[str]:
    """Lines that GitHub shows on request."""
    return ["<details>", f"<summary>{title}</summary>", "", *lines, "", "</details>", ""]


def fenced(text: str, language: str) -> list[str]:
    """Text without formatting, in a fence that is longer than any in it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return [f"{fence}{language}", text, fence]
