"""The answers about CPU time and memory of programs, which `harness ab` prints below those about wall time."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis.findings import Findings
from harness.analysis.samples import OF_PROGRAMS, PEAK_MEMORY
from harness.analysis.timing import Comparison
from harness.analysis.verdicts import EXCLUDED, Verdict
from harness.report.cells import amount, confidence_interval, in_words

#: What is measured of a program, in a sentence.
OF_PROCESS = {PEAK_MEMORY: "memory at its peak"}


def program_answers(findings: Findings) -> Iterator[str]:
    """A sentence for each level about each amount of its processes."""
    for name in OF_PROGRAMS:
        for one in findings.comparisons:
            if one.metric == name and one.size is not None and one.verdict not in EXCLUDED:
                yield program_answer(one, findings)


def program_answer(one: Comparison, findings: Findings) -> str:
    """The verdict on an amount of one level, as in: `new` needs 0.91 times the memory at its peak of `old`."""
    assert one.size is not None
    numbers = [findings.numbers.get((one.block.id, level, one.mode, one.metric)) for level in (one.level, one.baseline)]
    ours, theirs = (amount(value or 0.0, "bytes" if one.metric == PEAK_MEMORY else "seconds") for value in numbers)
    what = OF_PROCESS.get(one.metric, in_words(one.metric).replace("cpu", "CPU"))
    place = f"{one.block.name}: " if one.context else ""
    details = ", ".join(filter(None, (f"{ours} and {theirs}", confidence_interval(one))))
    words = f"{one.verdict} ({one.reason})" if one.reason and one.verdict == Verdict.UNDECIDED else str(one.verdict)
    return (
        f"{place}`{one.level}` needs {one.in_words(one.size)} times the {what} of `{one.baseline}` ({details}): {words}"
    )
