"""Programs as tables of text: CPU time and memory of their processes, and the scores that they print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.analysis.findings import Findings
from harness.analysis.learning import Learned, LearningComparison, smallest_visible
from harness.analysis.samples import OF_PROGRAMS
from harness.analysis.timing import Measured
from harness.modes import PROGRAM, step_note
from harness.report import cells
from harness.report.cells import block_title, in_words, size_cells
from harness.report.table import Section, Table
from harness.report.tables.comparisons import number_cell
from harness.report.tables.learning import mean_cell, other_scores_table, sensitivity

#: What a process that starts programs needs itself, in words (see `harness.measure.program_process`).
SMALLEST = "Peaks below about 10 MiB cannot be measured: the process that starts a program needs that much."


def processes(findings: Findings) -> Section:
    """CPU time and peak memory of programs."""
    words = cells.section_words(
        "What the processes of a program need. In brackets: the ratio to the baseline's, with its interval.",
        *((in_words(name), findings.metrics[name].summary) for name in OF_PROGRAMS),
    )
    timed = [one for one in findings.measured if one.mode == PROGRAM and one.processes]
    return Section("Processes", words, tuple(process_table(findings, one) for one in timed))


def process_table(findings: Findings, one: Measured) -> Table:
    """A row for each level: each number, its ratio to the baseline's with the interval, and the verdict."""

    def cell(level: str, name: str) -> str:
        number = number_cell(findings, one.block, level, one.mode, name)
        compared = findings.of(one.block, one.mode, name).get(level)
        if compared is None or compared.size is None:
            return number
        size, interval = size_cells(compared)
        return f"{number} (× {size}{f', {interval}' if interval else ''}: {compared.verdict})"

    rows = tuple((t.level, *(cell(t.level, name) for name in OF_PROGRAMS)) for t in one.block.trials)
    headers = (findings.plan.axis, *map(in_words, OF_PROGRAMS))
    left = [t.level for t in one.block.trials if one.flagged[t.level, "left_running"]]
    ended = [f"{', '.join(left)} left processes running, which were ended; their work is not in these numbers."]
    notes = (*step_note(one.mode), SMALLEST, *(ended if left else ()))
    return Table(block_title(one.block, one.mode), headers, rows, notes)


def scores(findings: Findings) -> Section:
    """The scores of programs over seeds."""
    words = cells.section_words(
        "Scores that the programs print. Runs under the same seed are paired.",
        ("score", "mean over seeds (geometric where ratios are compared); below five seeds, the value of each"),
        ("difference, points or ratio", "the paired difference to the baseline, with its t interval over seeds"),
        ("p", "the sign-flip test: the probability of a difference this large if the sign of each seed's were random"),
    )
    learned = [one for one in findings.learning.learned if one.settings.of_programs]
    others = tuple(other_scores_table(findings, one) for one in learned if len(one.scores) > 1)
    return Section("Scores", words, tuple(score_table(findings, one) for one in learned), others)


def score_table(findings: Findings, one: Learned) -> Table:
    """Each level's score by which it is compared, its difference or ratio to the baseline, and the verdict."""
    metric, compared, rows = one.settings.metric, findings.learning.of(one), []
    for trial in one.block.trials:
        comparison = compared.get(trial.level)
        sizes = ("", "", "") if comparison is None else (*size_cells(comparison), cells.p_cell(comparison.sign_flip))
        verdict = cells.BASELINE if comparison is None else cells.verdict_cell(comparison)
        rows.append((trial.level, mean_cell(one, trial.level, metric), *sizes, verdict))
    size = cells.SIZE_HEADERS[one.scores[metric].compared]
    headers = (findings.plan.axis, in_words(metric), size, "95 % interval", "p (sign-flip test)", "verdict")
    title = f"{block_title(one.block, 'scores')}: {in_words(metric)}"
    return Table(title, headers, tuple(rows), tuple(notes(one, list(compared.values()))))


def notes(one: Learned, compared: Sequence[LearningComparison]) -> Iterator[str]:
    """How many seeds there are, what they could show, and whether the baseline repeats under a seed."""
    baseline, metric = one.block.baseline.level, one.settings.metric
    text = f"Run under {len(one.seeds_of(baseline))} seeds"
    if sizes := [size for c in compared if (size := smallest_visible(c)) is not None]:
        words = sensitivity(min(sizes), max(sizes), one.scores[metric])
        text += f". Differences of {words} would be detected 80 % of the time"
    yield f"{text}."
    for record in one.records(baseline):
        again = record.data.get("again", {})
        for name, value in again.items():
            first = record.data["scores"][name][0]
            if value != first:
                yield (
                    f"{baseline} does not repeat under its seed: two runs with seed {record.data['seed']} gave the "
                    f"{in_words(name)} {first:g} and {value:g}."
                )
                return
