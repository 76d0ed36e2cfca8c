"""What was learned, as tables of text: scores over seeds, and speed beside quality."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from harness.analysis import seed_stats, stats
from harness.analysis.findings import Findings
from harness.analysis.learning import Learned, LearningComparison, smallest_visible
from harness.analysis.stats import Array
from harness.modes import step_note
from harness.plugins.parts import Score
from harness.report import cells
from harness.report.cells import UNKNOWN, block_title, in_words, size_cells
from harness.report.table import Section, Table, present
from harness.report.tables.comparisons import number_cell

DOMINATED = "Dominated: another level is no slower and scores no worse, and is clearly better in one of the two."


def scores(findings: Findings) -> Section:
    """What was learned over seeds, and speed beside quality."""
    words = cells.section_words(
        "Runs under the same seed are paired: same split, same order and, where models agree, same initial weights.",
        ("score", "mean over seeds (geometric where ratios are compared); below five seeds, the value of each"),
        ("untrained", "the same score before the first step; an answer that ignores the input has a row of its own"),
        ("ratio or points", "the paired difference to the baseline, with its t interval over seeds"),
        ("p", "the sign-flip test: the probability of a difference this large if the sign of each seed's were random"),
        ("diverged", "how many seeds diverged, and the interval of that rate; each counts as untrained"),
    )
    learned = [one for one in findings.learning.learned if not one.settings.of_programs]
    tables = (
        *(learning_table(findings, one) for one in learned),
        *present(pareto_table(findings, one) for one in learned),
    )
    return Section("Learning", words, tables, tuple(other_scores_table(findings, one) for one in learned))


def title_of(one: Learned) -> str:
    """The block and the score that decides in it, and whether nothing was learned."""
    metric = one.settings.metric
    nothing = "" if one.has_learned(metric) else " (nothing learned)"
    return f"{block_title(one.block, 'learning')}: {in_words(metric)}{nothing}"


def learning_table(findings: Findings, one: Learned) -> Table:
    """Each level's score, before and after training, its difference or ratio to the baseline, how many seeds diverged,
    and the verdict; and the score of a constant answer."""
    metric, target = one.settings.metric, one.settings.target
    compared = findings.learning.of(one)
    rows = []
    for trial in one.block.trials:
        diverged, comparison = one.diverged(trial.level), compared.get(trial.level)
        sizes = ("", "", "") if comparison is None else (*size_cells(comparison), cells.p_cell(comparison.sign_flip))
        untrained = values_cell(one.untrained(trial.level, metric), metric, one.scores[metric])
        row = [trial.level, mean_cell(one, trial.level, metric), untrained, *sizes]
        row.append(rate_cell(sum(diverged), len(diverged)))
        if target is not None:
            row.append(reached_cell(one.reached(trial.level)))
        row.append(cells.BASELINE if comparison is None else cells.verdict_cell(comparison))
        rows.append(tuple(row))
    if constant := one.constant(metric):
        score = values_cell(np.array([*constant.values()]), metric, one.scores[metric])
        rows.append(("constant answer", score, *[""] * (len(rows[0]) - 2)))
    headers = (
        findings.plan.axis, in_words(metric), "untrained", cells.SIZE_HEADERS[one.scores[metric].compared],
        "95 % interval", "p (sign-flip test)", "diverged",
        *((f"steps to {target:g}",) if target is not None else ()), "verdict",
    )  # fmt: skip
    return Table(title_of(one), headers, tuple(rows), tuple(notes(one, list(compared.values()))))


def notes(one: Learned, compared: Sequence[LearningComparison]) -> Iterator[str]:
    """Whether something was learned, how long and on how much data each run trained, what difference the run could have
    detected, and what the levels have in common."""
    settings, level = one.settings, one.block.baseline.level
    if reason := nothing_learned(one, settings.metric):
        yield reason
    runs = list(one.runs[level].values())
    length = settings.length + (" (limited by time, so the scores vary between runs)" if settings.seconds else "")
    text = f"Trained under {len(one.seeds_of(level))} seeds for {length}"
    if runs:
        text += f" on {runs[0].data['train']:,} examples; tested on {runs[0].data['test']:,}"
    sizes = [size for c in compared if (size := smallest_visible(c)) is not None]
    if sizes:
        words = sensitivity(min(sizes), max(sizes), one.scores[settings.metric])
        text += f". Differences of {words} would be detected 80 % of the time"
    yield f"{text}."
    for c in compared:
        if c.survivors is not None:
            mean, low, high = (c.in_words(c.on_scale(value)) for value in (c.survivors.mean, *c.survivors.interval()))
            yield f"{c.level} without the seeds that diverged: {mean} ({low} to {high}), {c.survivors.k} seeds."
    for trial in one.block.trials:
        yield from run_notes(one, trial.level)


def nothing_learned(one: Learned, metric: str) -> str:
    """The sentence that says that nothing was learned by a score; empty if something was."""
    if one.has_learned(metric):
        return ""
    better = "a constant answer and than its own untrained model" if one.constant(metric) else "its own untrained model"
    return f"Nothing learned: no level is shown to have a better {in_words(metric)} than {better} (95 % intervals)."


def run_notes(one: Learned, level: str) -> Iterator[str]:
    """Which initial weights a level shares with the baseline, if not all, and whether it was evaluated in batches of
    the training size."""
    data = next((run.data for run in one.records(level)), {})
    if "shared" in data:
        names = cells.first_few(data["shared"], 3)
        shared = f"shares {len(data['shared'])} of {data['tensors']} tensors with {one.block.baseline.level}"
        yield f"Under the same seed, {level} {shared}{': ' * bool(names)}{', '.join(names)}."
    if data.get("batch_dependent"):
        yield (
            f"The predictions of {level} depend on the other examples of a batch, so it was evaluated in batches of "
            f"{one.block.baseline.batch_size or 'the training size'} in the order of the data."
        )
    if data.get("size_dependent"):
        yield (
            f"The loss of {level} is not a mean over examples, so it depends on the batch size; a criterion of the "
            "dataset would not."
        )


def other_scores_table(findings: Findings, one: Learned) -> Table:
    """Each other score of each level, with its size against the baseline and its verdict."""
    shown = [name for name in one.scores if name not in (one.settings.metric, "diverged", "reached")]
    shown += ["reached"] if "reached" in one.scores else []

    def cell(level: str, name: str) -> str:
        comparison = findings.learning.of(one, name).get(level)
        size, interval = size_cells(comparison) if comparison else ("", "")
        verdict = f" ({size}, {interval}: {comparison.verdict})" if comparison and interval else ""
        return mean_cell(one, level, name) + verdict

    rows = tuple((trial.level, *(cell(trial.level, name) for name in shown)) for trial in one.block.trials)
    headers = (findings.plan.axis, *map(in_words, shown))
    return Table(f"{block_title(one.block, 'learning')}: other scores", headers, rows)


def pareto_table(findings: Findings, one: Learned) -> Table | None:
    """Speed and quality side by side; None where no training step was timed."""
    speed, results = one.block.measures.speed, findings.learning
    if speed is None or "train" not in speed.of:
        return None
    metric, target = one.settings.metric, one.settings.target
    timed, compared, times = findings.of(one.block, "train"), results.of(one), results.of(one, "time_to_target")
    rows = []
    for trial in one.block.trials:
        level = trial.level
        step = number_cell(findings, one.block, level, "train", "step_time")
        ratio = " ".join(size_cells(timed[level])) if level in timed else "1"
        score, comparison, time = mean_cell(one, level, metric), compared.get(level), times.get(level)
        row = [level, step, ratio, score, "" if comparison is None else _in_brackets(comparison)]
        if target is not None:
            row.append("" if time is None else _in_brackets(time) or time.reason)
        by = results.dominated.get((one.block.id, level))
        known = UNKNOWN not in (step, score) and level not in one.broken
        row.append(f"dominated by {by}" if by else "Pareto front" if known else UNKNOWN)
        rows.append(tuple(row))
    headers = (
        findings.plan.axis, "step time", "ratio", in_words(metric), cells.SIZE_HEADERS[one.scores[metric].compared],
        *(("time to target, ratio",) if target is not None else ()), "speed and quality",
    )  # fmt: skip
    return Table(f"{one.block.name}: speed and quality", headers, tuple(rows), (*step_note("train"), DOMINATED))


def _in_brackets(comparison: LearningComparison) -> str:
    if comparison.size is None:
        return ""
    size, interval = size_cells(comparison)
    return f"{size} [{interval}]"


def mean_cell(one: Learned, level: str, metric: str) -> str:
    """The mean over a level's seeds, the geometric mean where ratios are compared; with fewer than five seeds, each
    one's value."""
    return values_cell(one.values(level, metric), metric, one.scores[metric])


def values_cell(values: Array, metric: str, score: Score) -> str:
    """The mean of values (seeds,), or each of them: see `mean_cell`."""
    if not len(values):
        return UNKNOWN
    if len(values) < stats.MIN_REPLICATES:
        return " ".join(value_in_words(float(value), metric, score) for value in values)
    return value_in_words(seed_stats.average(values, score.compared), metric, score)


def value_in_words(value: float, metric: str, score: Score) -> str:
    """A score by itself; shares are percentages."""
    if score.compared == "difference":
        return f"{value:.1%}"
    return f"{value:,.0f}" if metric == "steps_to_target" else f"{value:.4g}"


def sensitivity(low: float, high: float, score: Score) -> str:
    """The smallest differences (or log ratios) that can be detected, in the best and the worst case."""
    write = {
        "difference": lambda size: f"{100 * size:.1f}",
        "ratio": lambda size: f"{100 * np.expm1(size):.0f}",
        "number": lambda size: f"{size:.2g}",
    }[score.compared]
    unit = {"difference": " points", "ratio": " %", "number": ""}[score.compared]
    return f"{' to '.join(dict.fromkeys(map(write, (low, high))))}{unit}"


def rate_cell(failures: int, n: int) -> str:
    """The number of failures of n, with the exact interval of the rate."""
    if not n:
        return UNKNOWN
    low, high = seed_stats.clopper_pearson(failures, n)
    return f"{failures}/{n} ({low:.0%} to {high:.0%})"


def reached_cell(steps: Sequence[int | None]) -> str:
    """The median of the steps to the target, and how many seeds reached it; never where less than half of them did."""
    if not steps:
        return UNKNOWN
    reached = sorted(step for step in steps if step is not None)
    half = (len(steps) + 1) // 2
    middle = f"{reached[half - 1]:,}" if len(reached) >= half else "never"
    return f"{middle} ({len(reached)}/{len(steps)})"
