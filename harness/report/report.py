"""Findings to tables and sentences, not yet text: what the terminal and every reporter show alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.analysis.break_even import find_break_evens
from harness.analysis.findings import Findings, find
from harness.analysis.learning import FLAGS as LEARNING_FLAGS
from harness.analysis.learning import Learned
from harness.analysis.profile_warnings import warnings
from harness.analysis.timing import FLAGS, Comparison, alpha_of
from harness.plugins.catalog import Catalog
from harness.records.plan import LEARNING, Block, Plan
from harness.records.record import Record
from harness.records.store import Store
from harness.report.summary import answer_of
from harness.report.table import Section, Table
from harness.report.tables.break_even import WORDS as BREAK_EVEN
from harness.report.tables.break_even import break_even_tables
from harness.report.tables.effects import effect_table
from harness.report.tables.effects import words as effect_words
from harness.report.tables.explain import WORDS as WHY
from harness.report.tables.explain import why_tables
from harness.report.tables.growth import WORDS as GROWTH
from harness.report.tables.growth import growth_tables
from harness.report.tables.health import WORDS as HEALTH
from harness.report.tables.health import health_table
from harness.report.tables.learning import WORDS as LEARNT
from harness.report.tables.learning import learning_table, other_scores_table, pareto_table
from harness.report.tables.resources import COST, MEMORY, cost_table, memory_table, peaks_table

#: Raised when what `to_json` gives changes its form; fields that are new do not.
FORMAT = 1
COMPARED = "Ratio: time for the same examples over the baseline's; below 1 is faster."


@dataclass(frozen=True)
class Report:
    """A run in tables and sentences."""

    run: str
    question: str
    #: The answer in sentences, the most telling first.
    answer: tuple[str, ...]
    first_look: bool
    machine: str
    #: In the order to be read in. What answers the question comes first.
    sections: tuple[Section, ...]
    skipped: tuple[str, ...]
    failures: tuple[str, ...]
    claims: tuple[tuple[str, str, str], ...]
    flags: tuple[str, ...]
    #: What speaks against taking the ratios at their word; problems are what went wrong.
    warnings: tuple[str, ...]
    problems: tuple[str, ...]
    last_line: str
    findings: Findings = field(repr=False)
    facts: Mapping[str, Any] = field(repr=False, default_factory=dict)

    @property
    def remarks(self) -> list[tuple[str, tuple[str, ...]]]:
        """What has to be said beside the tables, under its heading; without what there is none of."""
        remarks = (
            ("Warnings", self.warnings), ("Failed", self.failures), ("Skipped", self.skipped),
            ("Problems", self.problems),
        )  # fmt: skip
        return [(title, texts) for title, texts in remarks if texts]


def make_report(store: Store, catalog: Catalog) -> Report:
    """Read a run's folder and say what is in it."""
    plan = store.plan()
    return report_of(plan, store.records(), catalog, store.machine(), f"{plan.suite}/{store.folder.name}")


def report_of(
    plan: Plan, records: Sequence[Record], catalog: Catalog, facts: Mapping[str, Any], run: str = ""
) -> Report:
    """The report of a plan and the records there are so far."""
    findings = find(plan, records, catalog)
    lessons = findings.lessons
    speeds = [block.measures.speed for block in plan.blocks]
    first_look = bool(plan.overrides.get("quick")) or any(speed.quick for speed in speeds if speed)
    seen = {flag for c in findings.comparisons if c.metric == "step_time" for flag in c.flags}
    seen |= {flag for c in lessons.comparisons for flag in c.flags}
    return Report(
        run=run,
        question=plan.question,
        answer=answer_of(findings),
        first_look=first_look,
        machine=machine_line(facts),
        sections=sections_of(findings),
        skipped=tuple(f"{', '.join(s.coordinates.values())}: {s.because}" for s in plan.skipped),
        failures=tuple(failure_line(plan, record) for record in findings.failures),
        claims=tuple((r.claim.says, r.answer, r.reason) for r in findings.claims),
        flags=tuple(f"{flag}: {text}." for flag, text in {**FLAGS, **LEARNING_FLAGS}.items() if flag in seen),
        warnings=tuple(warnings(plan.blocks, findings.profiles)),
        problems=findings.problems,
        last_line=last_line(findings),
        findings=findings,
        facts=facts,
    )


def sections_of(findings: Findings) -> tuple[Section, ...]:
    """The tables of a run under their headings, without the sections that would be empty."""
    plan, lessons, axis = findings.plan, findings.lessons, findings.plan.axis
    learned = lessons.learned
    sections = (
        Section(
            "Comparisons", COMPARED, tuple(comparison_table(findings, block, mode) for block, mode in _measured(plan))
        ),
        Section("Break-even", BREAK_EVEN, break_even_tables(find_break_evens(findings), axis)),
        Section(
            "Effects",
            effect_words(plan),
            present(
                effect_table(block_title(block, mode), findings.effects_in(block, mode, metric))
                for block, mode, metric in with_effects(plan)
            ),
        ),
        Section(
            "Learning",
            LEARNT,
            (
                *(learning_table(lessons, one, axis) for one in learned),
                *present(pareto_table(lessons, one, axis, step_time_cells(findings, one)) for one in learned),
            ),
            present(other_scores_table(lessons, one, axis) for one in learned),
        ),
        Section(
            "Where the time goes",
            "",
            details=present(phase_table(findings, block, mode) for block, mode in _measured(plan)),
            why=True,
        ),
        Section(
            "Memory", MEMORY, resource_tables(findings, memory_table), resource_tables(findings, peaks_table), why=True
        ),
        Section("Cost", COST, resource_tables(findings, cost_table), why=True),
        Section("Growth", GROWTH, growth_tables(findings.growth, axis), why=True),
        Section(
            "Health", HEALTH, present(health_table(axis, block, findings.health) for block in plan.blocks), why=True
        ),
        Section("Why", WHY, *why_tables(findings), why=True),
    )
    return tuple(section for section in sections if section.tables or section.details)


def present(tables: Iterable[Table | None]) -> tuple[Table, ...]:
    """The tables that there are."""
    return tuple(table for table in tables if table)


def _measured(plan: Plan) -> list[tuple[Block, str]]:
    return [
        (block, mode) for block in plan.blocks for mode in (block.measures.speed.of if block.measures.speed else ())
    ]


def with_effects(plan: Plan) -> list[tuple[Block, str, str]]:
    """Each block, mode and metric whose effects have a table."""
    learned = [(block, LEARNING, block.measures.learning.metric) for block in plan.blocks if block.measures.learning]
    return [*((block, mode, "step_time") for block, mode in _measured(plan)), *learned]


def step_time_cells(findings: Findings, one: Learned) -> dict[str, tuple[str, str]]:
    """A training step's time and its ratio to the baseline's, by level; nothing where no step was timed."""
    speed = one.block.measures.speed
    if speed is None or "train" not in speed.of:
        return {}
    compared = findings.of(one.block, "train")
    return {
        trial.level: (
            number_cell(findings, one.block, trial.level, "train", "step_time"),
            " ".join(ratio_cells(compared[trial.level])) if trial.level in compared else "1",
        )
        for trial in one.block.trials
    }


def resource_tables(findings: Findings, make: Callable[..., Table | None]) -> tuple[Table, ...]:
    """One such table for each block and mode that has anything to show in it."""
    plan = findings.plan
    return present(make(findings.resources, plan.axis, b, mode) for b in plan.blocks for mode in b.measures.modes)


def block_title(block: Block, mode: str) -> str:
    """The block and mode in words."""
    return f"{block.name} · {mode}"


def comparison_table(findings: Findings, block: Block, mode: str) -> Table:
    """The baseline's row first, then each level with ratio, interval, numbers and verdict."""
    counted = findings.counted.get(block.id, ())
    shown = ["step_time", *(n for n, metric in findings.metrics.items() if metric.per != "sample" and n in counted)]
    by_level = findings.of(block, mode)
    rows = []
    for trial in block.trials:
        cells = [number_cell(findings, block, trial.level, mode, name) for name in shown]
        if trial is block.baseline:
            rows.append((trial.level, "1", "", *cells, "baseline"))
        else:
            comparison = by_level[trial.level]
            rows.append((trial.level, *ratio_cells(comparison), *cells, verdict_words(comparison)))
    interval = f"{100 * (1 - alpha_of(block.measures.speed)):.3g} % interval"
    headers = (findings.plan.axis, "ratio", interval, *map(_title, shown), "verdict")
    return Table(block_title(block, mode), headers, tuple(rows), (work_set_note(findings, block, mode),))


def number_cell(findings: Findings, block: Block, level: str, mode: str, metric: str) -> str:
    """A metric of one trial as text."""
    value = findings.numbers.get((block.id, level, mode, metric))
    return "-" if value is None else findings.metrics[metric].show(value)


def _title(metric: str) -> str:
    return metric.replace("_per_second", "/s").replace("_", " ")


def ratio_cells(comparison: Comparison) -> tuple[str, str]:
    """Ratio and interval as text."""
    if comparison.ratio is None:
        return "-", ""
    interval = comparison.interval
    return f"{comparison.ratio:.3f}", f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else ""


def verdict_words(comparison: Comparison) -> str:
    """The verdict in words, with reason and marks."""
    settings = comparison.block.measures.speed
    words: str = comparison.verdict
    if settings and settings.quick and words not in ("invalid", "unranked"):
        words = f"first look: {words}"
    if comparison.reason:
        words += f" ({comparison.reason}"
        if comparison.needs and not (settings and settings.quick):
            time = f" ({in_words(comparison.seconds)})" if comparison.seconds else ""
            words += f"; about {comparison.needs} processes{time} would tell"
        words += ")"
    return "; ".join([words, *comparison.flags])


def in_words(seconds: float) -> str:
    """A duration a person can weigh."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"


def work_set_note(findings: Findings, block: Block, mode: str) -> str:
    """The work set, and how its counted amounts compare with the data set's own; processes and CPU share."""
    settings, trial = block.measures.speed, block.baseline
    assert settings is not None
    text = f"Work set: {settings.batches} batches of {trial.batch_size} from {trial.dataset.name}"
    verified = [r for r in findings.verified if (r.block, r.level) == (block.id, trial.level)]
    whole = verified[0].data.get("dataset_counts") if verified else None
    for name, metric in findings.metrics.items():
        ours = findings.numbers.get((block.id, trial.level, mode, name))
        if metric.per == "counts" and ours is not None:
            text += f"; {_title(name)} {metric.show(ours)}"
            value = findings.views[name](whole) if whole else None
            if value is not None:
                text += f" (the data set in its own order: {metric.show(value)})"
    comparisons = list(findings.of(block, mode).values())
    k = max((c.estimate.k for c in comparisons if c.estimate), default=0)
    share = min((c.cpu_share for c in comparisons), default=1.0)
    return f"{text}. {k} process{'es' if k != 1 else ''}; CPU share {share:.2f}."


def phase_table(findings: Findings, block: Block, mode: str) -> Table | None:
    """Milliseconds a phase of the same steps, with each phase's ratio to the baseline's."""
    phases = [
        name
        for name, metric in findings.metrics.items()
        if metric.per == "sample" and name != "step_time"
        if (block.id, block.baseline.level, mode, name) in findings.numbers
    ]
    if not phases:
        return None
    rows = []
    for trial in block.trials:
        cells = [trial.level]
        for name in phases:
            cell = number_cell(findings, block, trial.level, mode, name)
            comparison = findings.of(block, mode, name).get(trial.level)
            if comparison and comparison.ratio is not None:
                cell += f" (× {comparison.ratio:.2f})"
            cells.append(cell)
        rows.append(tuple(cells))
    headers = (findings.plan.axis, *(_title(name).removesuffix(" time") for name in phases))
    return Table(f"{block_title(block, mode)}: where the time goes", headers, tuple(rows))


def failure_line(plan: Plan, record: Record) -> str:
    """A failed, invalid or skipped trial with its reason."""
    block = next((block for block in plan.blocks if block.id == record.block), None)
    name = block.name if block else record.block
    return f"{name}, {record.level}: {record.outcome} in {record.measure}: {record.reason}"


def machine_line(facts: Mapping[str, Any]) -> str:
    """The machine in one line."""
    if not facts:
        return "machine not recorded"
    git = facts.get("git") or {}
    commit = f", commit {git['commit'][:10]}{' with changes' if git.get('dirty') else ''}" if git.get("commit") else ""
    return (
        f"{facts.get('processor')}, {facts.get('cores')} cores, {facts.get('threads')} thread a process, "
        f"torch {facts.get('torch')} ({facts.get('torch_cpu_capability')}), Python {facts.get('python')}{commit}"
    )


def last_line(findings: Findings) -> str:
    """What the run could have seen."""
    sizes = findings.smallest_visible()
    if sizes is None:
        return "" if findings.lessons.learned else "No times were compared."
    typical, worst = sizes
    return (
        f"The smallest difference this run could have seen (in 8 of 10 cases): {typical:.1%} in its typical "
        f"comparison, {worst:.1%} in its noisiest."
    )


def to_json(report: Report) -> dict[str, Any]:
    """What a script wants of a report."""
    findings = report.findings
    contexts = {block.id: dict(block.context) for block in findings.plan.blocks}
    return {
        "format": FORMAT,
        "run": report.run,
        "question": report.question,
        "answer": list(report.answer),
        "first_look": report.first_look,
        "comparisons": [
            {
                "context": dict(c.block.context),
                "mode": c.mode,
                "level": c.level,
                "metric": c.metric,
                "ratio": c.ratio,
                "interval": list(c.interval) if c.interval else None,
                "confidence": c.confidence,
                "p_adjusted": c.adjusted,
                "processes": len(c.values),
                "verdict": c.verdict,
                "reason": c.reason,
                "flags": list(c.flags),
                "clock": c.clock,
                "cpu_share": c.cpu_share,
            }
            for c in findings.comparisons
        ],
        "resources": [
            {
                "context": dict(q.block.context),
                "mode": q.mode,
                "level": q.level,
                "name": q.name,
                "value": q.value,
                "unit": q.unit,
                "ratio": q.ratio,
                "verdict": q.verdict,
            }
            for q in findings.resources.quantities
        ],
        "growth": [
            {
                "context": g.context,
                "along": g.axis,
                "mode": g.mode,
                "level": g.level,
                "quantity": g.quantity,
                "contexts": g.fitted,
                "exponent": g.exponent.mean,
                "interval": list(g.exponent.interval()),
                "difference": g.ratio,
                "difference_interval": list(g.interval) if g.interval else None,
            }
            for g in findings.growth
        ],
        "effects": [
            {
                "context": dict(e.block.context),
                "mode": e.mode,
                "metric": e.metric,
                "estimand": e.kind,
                "factors": list(e.factors),
                e.scale: e.ratio,
                "interval": list(e.interval) if e.interval else None,
                "confidence": e.confidence,
                "p_adjusted": e.adjusted,
                "replicates": len(e.values),
                "verdict": e.verdict,
                "reason": e.reason,
                "flags": list(e.flags),
            }
            for e in findings.effects
        ],
        "learning": [
            {
                "context": dict(c.block.context),
                "level": c.level,
                "metric": c.metric,
                c.scale: c.ratio,
                "interval": list(c.interval) if c.interval else None,
                "seeds": list(c.seeds),
                "baseline": list(c.baseline),
                "variant": list(c.variant),
                "p_sign_flip": c.sign_flip,
                "p_adjusted": c.adjusted,
                "verdict": c.verdict,
                "reason": c.reason,
                "flags": list(c.flags),
            }
            for c in findings.lessons.comparisons
        ],
        "claims": [{"says": says, "answer": answer, "reason": reason} for says, answer, reason in report.claims],
        "warnings": list(report.warnings),
        "numbers": [
            {"context": contexts[block], "mode": mode, "level": level, "metric": metric, "value": value}
            for (block, level, mode, metric), value in findings.numbers.items()
        ],
        "failures": list(report.failures),
        "skipped": list(report.skipped),
        "problems": list(report.problems),
        "floor": findings.floor,
        "smallest_visible": findings.smallest_visible(),
    }
