"""Times of each level against the baseline, and of the phases of a step, as tables of text."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis import stats
from harness.analysis.clocks import CPU_SHARE
from harness.analysis.findings import Findings
from harness.analysis.timing import Measured
from harness.analysis.verdicts import Verdict
from harness.modes import PROGRAM, step_note
from harness.records.plan import Block
from harness.report import cells
from harness.report.cells import BASELINE, UNKNOWN, block_title, in_words, unseen_batches
from harness.report.table import Section, Table, present

#: The name of the time of a step where a step is a run of a program.
WALL_TIME = "wall time"
#: How the number of a level is computed, by what its metric is computed from. The ratio is estimated within processes,
#: so a number that is a median over processes may differ from it in the last digits.
HOW_SHOWN = {
    "sample": "; that of a level is the baseline's multiplied by the ratio",
    "trial": "; the median over processes",
    "counts": "",
}


def times(findings: Findings) -> Section:
    """Each level against the baseline."""
    tables = tuple(comparison_table(findings, one.block, one.mode) for one in findings.measured)
    columns = dict.fromkeys(name for block in findings.plan.blocks for name in metrics_shown(findings, block))
    known = {in_words(name): findings.metrics[name].summary + HOW_SHOWN[findings.metrics[name].per] for name in columns}
    of_programs = all(one.mode == PROGRAM for one in findings.measured)
    words = cells.section_words(
        f"Each level is compared with the baseline{'' if of_programs else ' on the same examples'}.",
        ("ratio", "the time over the baseline's; below 1 is faster"),
        ("interval", "the confidence interval of the ratio, from the spread between processes"),
        *({WALL_TIME: "from the start of a program to its end"} if of_programs else known).items(),
    )
    return Section("Comparisons", words, tables)


def phases(findings: Findings) -> Section:
    """The phases of a step."""
    words = "The time of each phase of the same steps. In brackets: the ratio to the baseline's time."
    tables = present(phase_table(findings, one.block, one.mode) for one in findings.measured if one.mode != PROGRAM)
    return Section("Where the time goes", words, details=tables, why=True)


def metrics_shown(findings: Findings, block: Block) -> list[str]:
    """The metrics that have a column: the time of a step, and what is known of whole trials."""
    known = findings.metrics_in.get(block.id, ())
    return ["step_time", *(n for n, metric in findings.metrics.items() if metric.per != "sample" and n in known)]


def comparison_table(findings: Findings, block: Block, mode: str) -> Table:
    """The baseline's row first, then each level with ratio, interval, numbers and verdict."""
    shown, by_level = metrics_shown(findings, block), findings.of(block, mode)
    quick = block.measures.quick
    rows = []
    for trial in block.trials:
        numbers = [number_cell(findings, block, trial.level, mode, name) for name in shown]
        if trial is block.baseline:
            rows.append((trial.level, "1", "", *numbers, BASELINE))
        else:
            one = by_level[trial.level]
            rows.append((trial.level, *cells.size_cells(one), *numbers, cells.verdict_cell(one, first_look=quick)))
    names = (WALL_TIME if mode == PROGRAM and name == "step_time" else in_words(name) for name in shown)
    headers = (findings.plan.axis, "ratio", cells.interval_header(0.95), *names, "verdict")
    return Table(block_title(block, mode), headers, tuple(rows), tuple(notes(findings, block, mode)))


def number_cell(findings: Findings, block: Block, level: str, mode: str, metric: str) -> str:
    """A metric of one trial."""
    value = findings.numbers.get((block.id, level, mode, metric))
    if value is not None and mode == PROGRAM and metric == "step_time":
        return f"{value:.4g} s"
    return UNKNOWN if value is None else findings.metrics[metric].show(value)


def notes(findings: Findings, block: Block, mode: str) -> Iterator[str]:
    """What was timed, costs at regular intervals, how the intervals were computed, and what an equivalence cannot
    show."""
    yield from step_note(mode)
    yield rounds_of_programs(findings.timed(block, mode)) if mode == PROGRAM else conditions(findings, block, mode)
    settings, compared = block.measures.speed, findings.of(block, mode).values()
    assert settings is not None
    for one in compared:
        if one.period:
            yield f"{one.level}: every {ordinal(one.period)} step takes longer. The mean over all steps decides."
    counted = sorted({one.estimate.k for one in compared if one.estimate and not settings.quick})
    if settings.pooled and counted:
        yield (
            f"Intervals are from {' and '.join(map(str, counted))} processes. Their variance is pooled with the one "
            "expected from the variance within a process, so the stated 95 % are an average over levels."
        )
    equal = [one for one in compared if one.verdict == Verdict.EQUIVALENT and one.estimate]
    if equal:
        fewest = min(one.estimate.k for one in equal if one.estimate)
        what, each = ("rounds", "runs") if mode == PROGRAM else ("processes", "steps")
        yield (
            f"Equivalent in {fewest} {what} of {min(one.steps for one in equal)} {each}: a cost that occurs in fewer "
            f"than {stats.unseen_share(fewest):.0%} of {what}, or less often in one of them, may have been missed."
        )


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th."""
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def conditions(findings: Findings, block: Block, mode: str) -> str:
    """What was timed, how its counted amounts compare with the whole dataset, and whether the CPU was shared."""
    settings, trial = block.measures.speed, block.baseline
    assert settings is not None
    comparisons = findings.of(block, mode).values()
    k = max((c.estimate.k for c in comparisons if c.estimate), default=0)
    batches = f"at most {settings.batches} batches from {trial.dataset.title}"
    if trial.is_function:
        batches = inputs_in_words(findings, block, mode)
    elif trial.batch_size:
        batches = f"{settings.batches} batches of {trial.batch_size} from {trial.dataset.name}"
    sentences = [f"Timed on {batches} in {k} process{'es' if k != 1 else ''}"]
    if trial.is_function and trial.dataset.parameters.get("code"):
        sentences.append("The ratio is of the time of all inputs together")
    verified = [r for r in findings.verified if (r.block, r.level) == (block.id, trial.level)]
    counts = verified[0].data.get("dataset_counts") if verified else None
    for name, metric in findings.metrics.items():
        value = findings.numbers.get((block.id, trial.level, mode, name))
        if metric.per == "counts" and value is not None:
            whole = findings.views[name](counts) if counts else None
            over = "" if whole is None else f" ({metric.show(whole)} over the whole dataset)"
            sentences.append(f"{in_words(name).capitalize()}: {metric.show(value)}{over}")
    sentences += unseen_batches(record for record in findings.verified if record.block == block.id)
    share = min((c.cpu_share for c in comparisons), default=1.0)
    sentences.append("CPU not shared" if share >= CPU_SHARE else f"CPU shared with other programs ({share:.0%} ours)")
    return ". ".join([*sentences, ""]).rstrip()


def inputs_in_words(findings: Findings, block: Block, mode: str) -> str:
    """What functions were called with."""
    code = block.baseline.dataset.parameters.get("code")
    if not code:
        return "calls without arguments"
    processes = findings.timed(block, mode).processes
    count = max((len(set(each.batch.tolist())) for one in processes for each in one.values()), default=0)
    return f"{count} input{'s' * (count != 1)} from {code}"


def rounds_of_programs(one: Measured) -> str:
    """What was run, and what the unit of statistics is."""
    baseline = one.block.baseline.level
    runs = [len(process[baseline, "variant"].wall) for process in one.processes]
    counts = " to ".join(map(str, sorted({min(runs, default=1), max(runs, default=1)})))
    often = "once" if counts == "1" else f"{counts} times"
    return (
        f"Measured in {len(runs)} rounds. In a round, every program runs {often}, and {baseline} as often once more as "
        "the control, each time in a fresh process and in random order. The round is the unit of statistics. Wall time "
        "decides. What the programs print was not compared."
    )


def phase_table(findings: Findings, block: Block, mode: str) -> Table | None:
    """The time of each phase of the same steps, with its ratio to the baseline's."""
    phases = [
        name
        for name, metric in findings.metrics.items()
        if metric.per == "sample" and name != "step_time"
        if (block.id, block.baseline.level, mode, name) in findings.numbers
    ]
    compared = {name: findings.of(block, mode, name) for name in phases}

    def cell(level: str, name: str) -> str:
        comparison = compared[name].get(level)
        ratio = f" (× {comparison.size:.2f})" if comparison and comparison.size is not None else ""
        return number_cell(findings, block, level, mode, name) + ratio

    rows = tuple((trial.level, *(cell(trial.level, name) for name in phases)) for trial in block.trials)
    headers = (findings.plan.axis, *(in_words(name).removesuffix(" time") for name in phases))
    title = f"{block_title(block, mode)}: where the time goes"
    return Table(title, headers, rows, step_note(mode)) if phases else None
