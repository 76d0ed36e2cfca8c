"""What was learned, as tables of text: scores over seeds, and speed beside quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness.analysis import seed_stats as seeds
from harness.analysis import stats
from harness.analysis.learning import Learned, LearningComparison, visible
from harness.analysis.learning_results import Lessons
from harness.plugins.parts import Score
from harness.report.table import Table

WORDS = (
    "A seed is a paired block: same split, order and, where shapes match, weights. Intervals are of the mean over "
    "seeds, the geometric mean where ratios are compared; p by flips is the sign-flip test beside it. A run that "
    "diverged counts with the score of its untrained model."
)


def title_of(one: Learned) -> str:
    """The block and what decides in it."""
    return f"{one.block.name} · learning: {one.settings.metric.replace('_', ' ')}"


def learning_table(lessons: Lessons, one: Learned, axis: str) -> Table:
    """Each level's score, its difference or ratio to the baseline, how many seeds diverged, and the verdict."""
    metric, score = one.settings.metric, one.scores[one.settings.metric]
    compared, target = lessons.of(one), one.settings.target
    rows = []
    for trial in one.block.trials:
        under = one.seeds_of(trial.level)
        cells = [trial.level, mean_cell(one, trial.level, metric)]
        comparison = compared.get(trial.level)
        cells += ["", "", ""] if comparison is None else [*size_cells(comparison), p_cell(comparison.sign_flip)]
        cells.append(rate_cell(sum(one.diverged(trial.level, under)), len(under)))
        if target is not None:
            cells.append(reached_cell(one.reached(trial.level)))
        cells.append("baseline" if comparison is None else verdict_words(comparison))
        rows.append(tuple(cells))
    headers = (
        axis, metric.replace("_", " "), size_header(score), "95 % interval", "p by flips", "diverged",
        *((f"steps to {target:g}",) if target is not None else ()), "verdict",
    )  # fmt: skip
    return Table(title_of(one), headers, tuple(rows), tuple(notes(one, list(compared.values()))))


def notes(one: Learned, compared: Sequence[LearningComparison]) -> list[str]:
    """How long was trained on how much, and what the run could have seen."""
    settings, level = one.settings, one.block.baseline.level
    runs = list(one.runs[level].values())
    found = [f"{len(one.seeds_of(level))} seeds, {settings.length}"]
    if settings.seconds:
        found[0] += ", so these numbers do not repeat to the bit"
    if runs:
        found[0] += f"; {runs[0].data['train']:,} examples to learn from, {runs[0].data['test']:,} held out"
    sizes = [size for c in compared if (size := visible(c)) is not None]
    if sizes:
        words = size_in_words(min(sizes), max(sizes), one.scores[settings.metric])
        found[0] += f". So many seeds with this scatter would have shown {words} in 8 of 10 cases"
    found[0] += "."
    for c in compared:
        if c.survivors is not None:
            low, high = c.survivors.interval()
            mean = size_text(c.on_scale(c.survivors.mean), c.score)
            text = f"{mean} ({size_text(c.on_scale(low), c.score)} to {size_text(c.on_scale(high), c.score)})"
            found.append(f"{c.level} without the seeds that diverged: {text}, of {c.survivors.k}.")
    return found


def other_scores_table(lessons: Lessons, one: Learned, axis: str) -> Table | None:
    """Each other score of each level, with its size against the baseline and its verdict."""
    shown = [name for name in one.scores if name not in (one.settings.metric, "diverged", "reached")]
    if "reached" in one.scores:
        shown += ["reached"]
    rows = []
    for trial in one.block.trials:
        cells = [trial.level]
        for name in shown:
            cell = mean_cell(one, trial.level, name)
            comparison = lessons.of(one, name).get(trial.level)
            if comparison is not None and comparison.interval is not None:
                size, interval = size_cells(comparison)
                cell += f" ({size}, {interval}: {comparison.verdict})"
            cells.append(cell)
        rows.append(tuple(cells))
    headers = (axis, *(name.replace("_", " ") for name in shown))
    return Table(f"{one.block.name} · learning: other scores", headers, tuple(rows))


def pareto_table(lessons: Lessons, one: Learned, axis: str, step_times: Mapping[str, Sequence[str]]) -> Table | None:
    """Speed and quality side by side. `step_times` gives a level's step time and ratio as text."""
    if not step_times:
        return None
    metric, compared = one.settings.metric, lessons.of(one)
    times = lessons.of(one, "time_to_target")
    rows = []
    for trial in one.block.trials:
        comparison = compared.get(trial.level)
        cells = [trial.level, *step_times.get(trial.level, ("-", "")), mean_cell(one, trial.level, metric)]
        cells.append("" if comparison is None or comparison.ratio is None else " ".join(_in_brackets(comparison)))
        if one.settings.target is not None:
            time = times.get(trial.level)
            cells.append("" if time is None else time.reason if time.ratio is None else " ".join(_in_brackets(time)))
        by = lessons.dominated.get((one.block.id, trial.level))
        known = "-" not in cells[1:4:2]  # the step time, and the score
        cells.append(f"dominated by {by}" if by else "on the front" if known else "-")
        rows.append(tuple(cells))
    headers = (
        axis, "step time", "ratio", metric.replace("_", " "), size_header(one.scores[metric]),
        *(("time to target, ratio",) if one.settings.target is not None else ()), "speed and quality",
    )  # fmt: skip
    note = "Dominated: another level is no slower and scores no worse, and is clear of this one in one of the two."
    return Table(f"{one.block.name}: speed and quality", headers, tuple(rows), (note,))


def _in_brackets(comparison: LearningComparison) -> tuple[str, str]:
    size, interval = size_cells(comparison)
    return size, f"[{interval}]"


def mean_cell(one: Learned, level: str, metric: str) -> str:
    """The mean over a level's seeds, the geometric one where ratios are compared; of fewer than five seeds, each one's
    value."""
    under = one.seeds_of(level)
    if not under:
        return "-"
    values = one.values(level, metric, under)
    if len(values) < stats.LEAST:
        return " ".join(value_text(float(value), metric, one.scores[metric]) for value in values)
    score = one.scores[metric]
    return value_text(seeds.average(values, score.compared), metric, score)


def value_text(value: float, metric: str, score: Score) -> str:
    """A score by itself: shares in per cent."""
    if score.compared == "difference":
        return f"{value:.1%}"
    return f"{value:,.0f}" if metric in ("steps_to_target",) else f"{value:.4g}"


def size_header(score: Score) -> str:
    """What the size of a comparison is."""
    return "points" if score.compared == "difference" else "ratio"


def size_text(value: float, score: Score) -> str:
    """A difference in points, or a ratio."""
    return f"{100 * value:+.1f}" if score.compared == "difference" else f"{value:.3f}"


def size_in_words(low: float, high: float, score: Score) -> str:
    """The smallest differences (or log ratios) that could be seen, in the best and the worst case."""
    points = score.compared == "difference"
    sizes = [f"{100 * size:.1f}" if points else f"{100 * np.expm1(size):.0f}" for size in (low, high)]
    return f"a difference of {' to '.join(dict.fromkeys(sizes))} {'points' if points else '%'}"


def size_cells(comparison: LearningComparison) -> tuple[str, str]:
    """Size and interval as text."""
    if comparison.ratio is None:
        return "-", ""
    interval = comparison.interval
    text = " to ".join(size_text(bound, comparison.score) for bound in interval) if interval else ""
    return size_text(comparison.ratio, comparison.score), text


def p_cell(p: float | None) -> str:
    """A p value as people read one."""
    return "-" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def rate_cell(failures: int, n: int) -> str:
    """How many of how many, with the exact interval of the rate."""
    if not n:
        return "-"
    low, high = seeds.clopper_pearson(failures, n)
    return f"{failures}/{n} ({low:.0%} to {high:.0%})"


def reached_cell(steps: Sequence[int | None]) -> str:
    """The median of steps to the target and how many seeds reached it; beyond the run's end it is not known."""
    if not steps:
        return "-"
    reached = sorted(step for step in steps if step is not None)
    half = (len(steps) + 1) // 2
    middle = f"{reached[half - 1]:,}" if len(reached) >= half else "never"
    return f"{middle} ({len(reached)}/{len(steps)})"


def verdict_words(comparison: LearningComparison) -> str:
    """The verdict in words, with reason and marks."""
    verdict = f"{comparison.verdict} ({comparison.reason})" if comparison.reason else comparison.verdict
    return "; ".join([verdict, *comparison.flags])
