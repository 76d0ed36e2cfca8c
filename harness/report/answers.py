"""The answers of a comparison, one line for each level: what `harness ab` prints last."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis.exits import exits_of
from harness.analysis.finding import Finding
from harness.analysis.findings import Findings
from harness.analysis.input_ratios import input_ratios
from harness.analysis.quantities import QuantityFinding
from harness.analysis.verdicts import EXCLUDED, Verdict
from harness.modes import WORDS
from harness.records.plan import LEARNING, Plan
from harness.records.record import Record
from harness.report.cells import (
    FIRST_LOOK,
    amount,
    confidence_interval,
    first_few,
    in_words,
    still_needed,
    unseen_batches,
)
from harness.report.program_answers import program_answers
from harness.report.report import Report

#: The ratios of so many inputs are shown.
MOST_INPUTS = 8
#: The quantity of memory that is shown.
MEMORY = "peak_bytes"


def answers_of(report: Report) -> list[str]:
    """The verdict on each level with its interval, then memory, then the answer to each claim."""
    findings = report.findings
    failures = [record for record in findings.failures if record.outcome != "skipped"]
    failed = {(record.block, record.level) for record in failures}
    bases = {(block.id, block.baseline.level) for block in findings.plan.blocks} & failed
    lines = [
        failed_answer(record, findings.plan)
        for record in failures
        if not bases or (record.block, record.level) in bases
    ]
    decided = [one for one in findings.deciding if (one.block.id, one.level) not in failed and not bases]
    return [*lines, *map(answer, decided), *program_answers(findings), *memory_lines(findings)]


def failed_answer(record: Record, plan: Plan) -> str:
    """Why a level has no result, and what to do."""
    block = next(block for block in plan.blocks if block.id == record.block)
    place = f"{block.name}: " if block.context else ""
    outcome = "is invalid" if record.outcome == "invalid" else record.outcome
    exits = exits_of(block, record.level) if record.outcome == "invalid" else ""
    return f"{place}{record.level} {outcome}: {record.reason}{'. ' + exits if exits else ''}"


def answer(finding: Finding) -> str:
    """The verdict on one level in a sentence: "new takes 0.83 times as long as old (95 % CI 0.81–0.85): faster"."""
    place = f"{finding.block.name}: " if finding.context else ""
    words, reason = str(finding.verdict), finding.reason + still_needed(finding)
    if reason:
        words += f" ({reason})"
    # A command has spaces, so it is in quotation marks.
    level, baseline = (f"`{name}`" if finding.block.of_programs else name for name in (finding.level, finding.baseline))
    if finding.size is None or finding.verdict in EXCLUDED:
        return f"{place}{level} against {baseline}: {words}"
    size = finding.in_words(finding.size)
    interval = confidence_interval(finding)
    metric, points = in_words(finding.metric), " points" * (finding.scale == "difference")
    sized = f"takes {size} times as long as {baseline}"
    if finding.metric != "step_time":
        has_ratio, differs = f"has {size} times the {metric} of", f"differs in {metric} by {size}{points} from"
        sized = f"{has_ratio if finding.scale == 'ratio' else differs} {baseline}"
    return f"{place}{level} {sized}{f' ({interval})' if interval else ''}: {words}"


def only_answer(report: Report) -> str:
    """The verdict of a run with one comparison, in a sentence; empty for other runs."""
    deciding = report.findings.deciding
    if len(deciding) != 1:
        return ""
    return f"{FIRST_LOOK}: {answer(deciding[0])}" if report.first_look else answer(deciding[0])


def memory_lines(findings: Findings) -> Iterator[str]:
    """The memory of each level beside that of the baseline."""
    for kind in findings.kinds:
        by_place = {(one.block.id, one.mode, one.level, one.metric): one for one in kind.quantities}
        for one in kind.quantities:
            if one.metric != MEMORY or one.level == one.baseline:
                continue
            base = by_place.get((one.block.id, one.mode, one.baseline, one.metric))
            if base is not None:
                yield memory_line(one, base)


def memory_line(one: QuantityFinding, base: QuantityFinding) -> str:
    """The peak memory of one level and of the baseline."""
    ours, theirs = (amount(each.value, each.quantity.unit) for each in (one, base))
    if one.verdict == Verdict.SAME:
        return f"{one.level} needs as much memory as {one.baseline}: {ours} at its peak"
    return f"{one.level} needs {one.verdict} memory than {one.baseline}: {ours} at its peak, and not {theirs}"


def inputs_notes(findings: Findings) -> Iterator[str]:
    """The ratio of each function on each input, where these differ."""
    for finding in findings.deciding:
        if finding.metric != "step_time" or not finding.block.baseline.is_function or finding.size is None:
            continue
        ratios = input_ratios(findings.timed(finding.block, finding.mode), finding.level)
        if len(ratios) > 1:
            shown = first_few([f"{ratio:.3f}" for ratio in ratios], MOST_INPUTS)
            yield (
                f"{finding.level} on each input, in their order: {', '.join(shown)} times as long as "
                f"{finding.baseline} (without intervals; the verdict is on the time of all inputs together)."
            )


def notes_of(report: Report) -> list[str]:
    """What one step was, and in how many processes it was timed."""
    quick = "A first look with one process: it gives no verdicts. Run without --quick to get them."
    unseen = [f"{text}." for text in unseen_batches(report.findings.verified)]
    modes = {finding.mode for finding in report.findings.deciding if finding.mode != LEARNING}
    return [
        *[quick] * report.first_look,
        *(f"One number is the time of {WORDS[mode]}." for mode in sorted(modes) if mode in WORDS),
        *inputs_notes(report.findings),
        *unseen,
    ]
