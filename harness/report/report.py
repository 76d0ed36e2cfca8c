"""Findings to tables and sentences, not yet in a format: what every reporter shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.analysis.exits import exits_of
from harness.analysis.findings import Findings, find
from harness.analysis.verdicts import Flag
from harness.plugins.catalog import Catalog
from harness.records.plan import Plan
from harness.records.record import Record
from harness.records.store import Store
from harness.report.answer import answer_of
from harness.report.summary import summary_of
from harness.report.table import Section, present, without_constant_columns
from harness.report.tables import along_axes, comparisons, effects, explain, learning, programs
from harness.report.tables.claims import ClaimLine, claim_line
from harness.report.tables.quantities import section_of


@dataclass(frozen=True)
class Report:
    """A run in tables and sentences.

    `answer` answers the question in a sentence; `summary` is what else it shows, the most important sentence first,
    without the claims; `sections` are in the order of reading; `warnings` say what in the suite is probably not
    intended and why the ratios may mislead; `problems` are errors outside the trials."""

    run: str
    question: str
    answer: str
    summary: tuple[str, ...]
    first_look: bool
    machine: str
    sections: tuple[Section, ...]
    skipped: tuple[str, ...]
    failures: tuple[str, ...]
    claims: tuple[ClaimLine, ...]
    flags: tuple[str, ...]
    warnings: tuple[str, ...]
    problems: tuple[str, ...]
    last_line: str
    findings: Findings = field(repr=False)
    facts: Mapping[str, Any] = field(repr=False, default_factory=dict)

    @property
    def banner(self) -> str:
        """A line that marks a first look; empty for other runs."""
        words = "A first look with one process per block: it gives no verdicts. Run without --quick to get them."
        return words if self.first_look else ""

    @property
    def remarks(self) -> list[tuple[str, tuple[str, ...]]]:
        """Warnings, failures and the like by heading, without empty ones."""
        remarks = {
            "Warnings": self.warnings, "Failed": self.failures, "Skipped": self.skipped, "Problems": self.problems,
        }  # fmt: skip
        return [(title, texts) for title, texts in remarks.items() if texts]


def make_report(store: Store, catalog: Catalog) -> Report:
    """The report of the run in a folder."""
    plan = store.plan()
    return report_of(plan, store.records(), catalog, store.machine(), f"{plan.suite}/{store.folder.name}")


def report_of(
    plan: Plan, records: Sequence[Record], catalog: Catalog, facts: Mapping[str, Any], run: str = ""
) -> Report:
    """The report of a plan and the records there are so far; `facts` are those of the machine."""
    findings = find(plan, records, catalog)
    seen = {flag for c in findings.comparisons if c.metric == "step_time" for flag in c.flags}
    seen |= {flag for c in findings.learning.comparisons for flag in c.flags}
    problems = list(findings.problems)
    sections = sections_of(findings, problems)
    summary = summary_of(findings)
    answer = answer_of(findings, summary)
    summary = tuple(sentence for sentence in summary if sentence != answer)
    return Report(
        run=run,
        question=plan.question,
        answer=answer,
        summary=summary,
        first_look=bool(plan.overrides.get("quick")) or findings.is_quick,
        machine=machine_line(facts),
        sections=sections,
        skipped=tuple(f"{', '.join(s.coordinates.values())}: {s.because}" for s in plan.skipped),
        failures=tuple(failure_line(plan, record) for record in findings.failures),
        claims=tuple(map(claim_line, findings.claims)),
        flags=flag_lines(seen),
        warnings=(*plan.remarks, *(explain.warnings(plan.blocks, findings.profiles) if findings.profiles else ())),
        problems=tuple(problems),
        last_line=sensitivity_line(findings),
        findings=findings,
        facts=facts,
    )


def flag_lines(seen: set[Flag]) -> tuple[str, ...]:
    """The flags with their meanings."""
    return tuple(f"{flag}: {flag.meaning}." for flag in Flag if flag in seen)


def sections_of(findings: Findings, problems: list[str]) -> tuple[Section, ...]:
    """The tables of a run under their headings, in the order of reading. Only sections whose data the run has are made.
    The error of a plugin's section is added to `problems`."""
    results = (
        (comparisons.times, findings.measured),
        (along_axes.break_evens, findings.break_evens),
        (effects.effects, findings.effects),
        (learning.scores, findings.learning.learned),
        (programs.scores, findings.learning.learned),
        (programs.processes, findings.measured),
        (comparisons.phases, findings.measured),
    )
    reasons = ((along_axes.exponents, findings.growth), (explain.reasons, findings.profiles))
    first, last = ([section(findings) for section, data in group if data] for group in (results, reasons))
    sections = (*first, *present(section_of(kind, problems) for kind in findings.kinds), *last)
    return tuple(without_constant_columns(section) for section in sections if section.tables or section.details)


def failure_line(plan: Plan, record: Record) -> str:
    """A failed, invalid or skipped trial with its reason."""
    block = next((block for block in plan.blocks if block.id == record.block), None)
    name = block.name if block else record.block
    line = f"{name}, {record.level}: {record.outcome} in {record.measure}: {record.reason}"
    exits = exits_of(block, record.level) if block and record.outcome == "invalid" else ""
    return f"{line}. {exits}" if exits else line


def machine_line(facts: Mapping[str, Any]) -> str:
    """The machine in one line."""
    if not facts:
        return "an unrecorded machine"
    git = facts.get("git") or {}
    commit = f", commit {git['commit'][:10]}{' with changes' if git.get('dirty') else ''}" if git.get("commit") else ""
    threads = facts.get("threads")
    if "torch" not in facts:  # only programs ran
        return f"{facts.get('processor')}, {facts.get('cores')} cores, Python {facts.get('python')}{commit}"
    return (
        f"{facts.get('processor')}, {facts.get('cores')} cores, {threads} thread{'s' * (threads != 1)} per process, "
        f"torch {facts.get('torch')} ({facts.get('torch_cpu_capability')}), Python {facts.get('python')}{commit}"
    )


def sensitivity_line(findings: Findings) -> str:
    """How small a difference of step times the run could detect."""
    sizes = visible_sizes(findings)
    if sizes is None:
        return "" if findings.learning.learned else "No times were compared."
    typical, noisiest = sizes
    both = typical if typical == noisiest else f"{typical} (typical comparison) to {noisiest} (noisiest)"
    return f"Sensitivity: differences of {both} would be detected 80 % of the time."


def visible_sizes(findings: Findings) -> tuple[str, str] | None:
    """The smallest differences that the typical and the noisiest comparison would detect in 80 % of cases; None where
    nothing was compared."""
    sizes = findings.smallest_visible()
    return None if sizes is None else (f"{100 * sizes[0]:.1f} %", f"{100 * sizes[1]:.1f} %")
