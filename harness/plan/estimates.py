"""How long a run takes: calculated from the settings and from the seconds of a rehearsal, or of assumed steps."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, NamedTuple

from harness.analysis import stats
from harness.analysis.stats import Estimate
from harness.analysis.time_verdicts import looks_of
from harness.plugins.catalog import Catalog, Measure, resolve
from harness.plugins.isolation import user_errors
from harness.plugins.rehearsal import LevelTimes, Rehearsal, TimeRange, mean
from harness.records.plan import Block
from harness.records.settings import Learning, Profile, SeedSettings, Settings, Speed

#: The standard deviations between processes (log ratio) on a quiet, a typical and a noisy machine. How many processes
#: a block needs depends on it, and the expected time is the mean over the three.
NOISE = (0.005, 0.01, 0.02)
#: By how much a log ratio of two rehearsed steps may be wrong.
REHEARSED = 0.06
#: Seconds that a process takes besides its steps: it counts, writes its samples and ends, and the run analyses them.
PROCESS = 0.1
#: The batches of a further pass of warm-up (see `harness.measure.kinds.speed`).
CHECKED_BATCHES = 3
#: A sample takes longer than its step by this factor: state is restored and clocks are read between samples.
BETWEEN_SAMPLES = 1.05
#: Seconds that the profiler takes in each process besides its steps: its first use, and the overhead of an operator.
PROFILER = 0.15
#: A step in the trace, which is written with shapes, as a multiple of a profiled step.
TRACED = 3.0
#: The seconds after which no further pass of profiled steps begins, and the number of passes if these take less (see
#: `harness.measure.kinds.profile`).
PROFILED, PASSES = 2.5, 5
#: The assumed seconds of a run of a program, which is not run before it is measured.
ASSUMED_RUN = 1.0
#: The name of the first part of a block, and the order of the others by the placement of their kinds.
VERIFY, PLACEMENTS = "verify", ("together", "alone", "per_seed")
#: Seconds of the report: of its parts that do not depend on the plan, of each trial, and of each plot.
REPORT, REPORT_OF_TRIAL, REPORT_OF_PLOT = 1.0, 0.02, 0.6
#: A report has at most so many plots of explanations, and of all kinds (see `harness.report.plots`).
MOST_EXPLAINED, MOST_PLOTS = 8, 30


def assumed(block: Block, jobs: int = 1) -> Rehearsal:
    """A rehearsal of this block with assumed times: steps take a few milliseconds."""
    learning = block.measures.learning
    times = LevelTimes.assumed(block.measures.modes, learns=bool(learning))
    levels = {trial.level: times for trial in block.trials}
    return Rehearsal(levels, jobs=jobs, steps=learning.steps if learning else None, assumed=True)


def for_blocks(blocks: Sequence[Block], rehearsals: Sequence[Rehearsal | None], jobs: int = 1) -> list[Rehearsal]:
    """A rehearsal for each block: its own, or times between those of the nearest blocks before and after it that have
    one, or assumed times."""
    known = {number: rehearsal for number, rehearsal in enumerate(rehearsals) if rehearsal is not None}
    found = []
    for number, block in enumerate(blocks):
        if not known:
            found.append(assumed(block, jobs))
            continue
        before = max((other for other in known if other <= number), default=min(known))
        after = min((other for other in known if other >= number), default=max(known))
        share = (number - before) / (after - before) if after > before else 0.0
        found.append(completed(known[before].between(known[after], share), block))
    return found


def completed(rehearsal: Rehearsal, block: Block) -> Rehearsal:
    """The rehearsal with the levels of this block: a level that it lacks has the mean times of the others."""
    others = mean(list(rehearsal.levels.values()), [1.0] * len(rehearsal.levels))
    return replace(rehearsal, levels={trial.level: rehearsal.levels.get(trial.level, others) for trial in block.trials})


class Part(NamedTuple):
    """A part of a block: its verification, or a kind of measurement; of one that is timed, in one `mode`. Its `units`
    follow one another: processes, or training runs. How many processes of timing there are is an expectation."""

    name: str
    mode: str
    seconds: TimeRange
    units: float

    @property
    def each(self) -> float:
        """The expected seconds of one unit."""
        return self.seconds.expected / self.units


def estimated_seconds(block: Block, catalog: Catalog, rehearsal: Rehearsal | None = None) -> TimeRange:
    """The time of a block, from loading its data to its last measurement."""
    return total_of(part.seconds for part in parts_of(block, catalog, rehearsal))


def total_of(times: Iterable[TimeRange]) -> TimeRange:
    """The time of all of these, one after the other."""
    return reduce(TimeRange.plus, times, TimeRange(0.0, 0.0, 0.0))


def parts_of(block: Block, catalog: Catalog, rehearsal: Rehearsal | None = None) -> list[Part]:
    """The parts of a block in the order in which they are measured."""
    rehearsal = rehearsal or assumed(block)
    setup = len(block.environments) * rehearsal.load + rehearsal.verify + PROCESS
    if block.of_programs:  # each runs once
        setup = ASSUMED_RUN * len(block.trials)
    found = [Part(VERIFY, "", TimeRange(setup, setup, setup), 1)]
    kinds = [(one, block.measures.get(name, one.settings)) for name, one in catalog.measures.items()]
    measured = [(one, settings) for one, settings in kinds if settings is not None]
    for placement in PLACEMENTS:
        for measure, settings in measured:
            if measure.kind.placement == placement:
                found += kind_parts(measure, settings, block, rehearsal)
    return found


def kind_parts(measure: Measure, settings: Settings, block: Block, rehearsal: Rehearsal) -> Iterator[Part]:
    """The parts of one kind of measurement: one for each mode if it is timed."""
    kind, modes = measure.kind, tuple(getattr(settings, "of", None) or ("",))
    if kind.placement != "together" or kind.more is None:
        seconds = kind_seconds(measure, settings, block, rehearsal)
        processes = sum(stage.processes for stage in kind.all_stages) * len(modes)
        replicates = len(settings.seeds) if isinstance(settings, SeedSettings) else processes
        yield Part(kind.name, "", seconds, replicates * (1 if kind.placement == "together" else len(block.trials)))
        return
    for mode in modes:
        seconds = kind_seconds(measure, settings.changed(of=(mode,)), block, rehearsal)
        fewest = 1 if block.measures.quick else looks_of(block)[0]
        yield Part(kind.name, mode, seconds, fewest * seconds.expected / (seconds.least or 1.0))


def kind_seconds(measure: Measure, settings: Settings, block: Block, rehearsal: Rehearsal) -> TimeRange:
    """The time of one kind of measurement in a block, from what the kind says about it."""
    estimate, owner = measure.kind.estimate, measure.entry.owner
    if isinstance(estimate, (int, float)):
        modes = getattr(settings, "of", None) or ("",)
        seconds = float(estimate) * len(block.trials) * len(modes)
        return TimeRange(seconds, seconds, seconds)
    function = resolve(estimate, owner)
    with user_errors(f"{owner}: its estimate failed"):
        arguments = (settings, block, rehearsal)[: len(inspect.signature(function).parameters)]
        return time_range(function(*arguments))


def time_range(estimate: Any) -> TimeRange:
    """A number of seconds, (least, most) or (least, expected, most) as a range."""
    numbers = [float(estimate)] if isinstance(estimate, (int, float)) else [float(number) for number in estimate]
    return TimeRange(numbers[0], sum(numbers) / len(numbers) if len(numbers) < 3 else numbers[1], numbers[-1])


def speed_seconds(settings: Speed, block: Block, rehearsal: Rehearsal) -> TimeRange:
    """Processes until the verdicts are decided or the intervals narrow, in each mode, or until the budget is spent."""
    if block.of_programs:
        each = max(settings.seconds_of(len(block.trials) + 1), ASSUMED_RUN * (len(block.trials) + 1))
        rounds = (1, 1) if settings.quick else (looks_of(block)[0], looks_of(block)[-1])
        return TimeRange(rounds[0] * each, rounds[0] * each, rounds[1] * each)
    total = TimeRange(0.0, 0.0, 0.0)
    for mode in settings.of:
        each = process_seconds(settings, block, rehearsal, mode)
        looks = (1,) if settings.quick else looks_of(block)
        least, most = looks[0], processes(settings, each, looks, math.inf)
        cases = [(noise, error) for noise in NOISE for error in (0.0, REHEARSED)]
        expected = [expected_processes(settings, block, rehearsal, mode, each, noise, error) for noise, error in cases]
        total = total.plus(TimeRange(least * each, sum(expected) / len(cases) * each, most * each))
    return total


def expected_processes(
    settings: Speed, block: Block, rehearsal: Rehearsal, mode: str, each: float, noise: float, error: float = 0.0
) -> float:
    """How many processes a mode takes if processes differ by `noise`, and levels by the log ratios of their rehearsed
    steps, of which `error` may be an error of the rehearsal. One in which some levels are no longer measured
    counts as a part of a process, by its members. With assumed times it is not known whether levels differ: the number
    is the mean of both cases."""
    looks = (1,) if settings.quick else looks_of(block)
    base, levels = rehearsal.levels[block.baseline.level].step.get(mode), list(block.trials[1:])
    if rehearsal.assumed and settings.until == "decided":
        return (looks[0] + processes(settings, each, looks, noise)) / 2
    needed = []
    for trial in levels:
        step = rehearsal.levels[trial.level].step.get(mode)
        difference = max(0.0, abs(math.log(step / base)) - error) if step and base else 0.0
        needed.append(processes(settings, each, looks, noise, difference))
    whole = len(levels) + 2  # with the baseline and the control
    last = max(needed, default=looks[0])
    members = (2 + sum(number <= k for k in needed) for number in range(1, last + 1))
    return sum(members) / whole


def processes(settings: Speed, each: float, looks: Sequence[int], noise: float, difference: float = 0.0) -> int:
    """After how many processes of `each` so many seconds a level that differs by this log ratio is decided, or with
    ``until: precise`` its interval is narrow enough, if processes differ by `noise`."""
    decided = settings.until == "decided"
    target = settings.margin / 2 if decided else settings.half_width
    fewest = stats.MIN_REPLICATES if decided else 0
    for look, following in pairwise(looks):
        half = half_width(settings, noise, look)
        narrow = (look >= fewest and half <= target) or (decided and half < difference)
        if narrow or (following > stats.MIN_REPLICATES and each * following > settings.budget):
            return look
    return looks[-1]


def half_width(settings: Speed, noise: float, k: int) -> float:
    """The half-width of the interval after k processes that differ by a standard deviation of `noise`."""
    df = k - 1 + stats.PRIOR_DF * settings.pooled
    return Estimate(0.0, noise / math.sqrt(k), df, k, share=settings.share(k)).half_width() if k > 1 else noise


def process_seconds(settings: Speed, block: Block, rehearsal: Rehearsal, mode: str) -> float:
    """The time of one process in which all trials and the control are built, warmed up and measured."""
    members = [*rehearsal.levels.values(), rehearsal.levels[block.baseline.level]]
    build = sum(member.build for member in members) + rehearsal.fork * (1 + block.takes_turns)
    one_pass = settings.batches * sum(member.step[mode] for member in members) * BETWEEN_SAMPLES
    first = settings.batches * sum(member.first[mode] for member in members)
    # After the first pass, two short ones are the fewest that show that no member gets faster.
    check = one_pass * min(CHECKED_BATCHES, settings.batches) / settings.batches
    warm_up = first + whole_passes(settings.warm_up * len(members) - first, check, 2)
    measured = whole_passes(settings.seconds_of(len(members)), one_pass, settings.visits)
    return build + warm_up + measured + PROCESS


def whole_passes(seconds: float, one_pass: float, least: int) -> float:
    """The time of as many whole passes as take this long, but at least some."""
    return max(least, math.ceil(seconds / one_pass)) * one_pass


def profile_seconds(settings: Profile, block: Block, rehearsal: Rehearsal) -> float:
    """Every trial in each mode: warm-up, plain and profiled steps in turns, the context of the profile, the trace."""
    batches, seconds = block.measures.work_set_batches, 0.0
    for mode in settings.of or ():
        for level in rehearsal.levels.values():
            step, profiled = level.step[mode], level.profiled.get(mode, level.step[mode] + 0.05)
            one_pass = batches * (step + profiled)
            pairs = one_pass * min(PASSES, max(1, PROFILED // one_pass))
            others = 5 * batches * step + settings.steps * TRACED * profiled  # two passes to warm up, three of context
            seconds += rehearsal.fork + level.build + PROCESS + PROFILER + pairs + others
    return seconds


def learning_seconds(settings: Learning, block: Block, rehearsal: Rehearsal) -> float:
    """Every trial under every seed, several runs at the same time. Each run evaluates once more than it has
    evaluations: before its first step."""
    if settings.of_programs:
        return 0.0  # the same runs as those of speed
    jobs = 1 if settings.one_at_a_time else min(rehearsal.jobs, len(settings.seeds) * len(block.trials))
    steps, runs = settings.steps or rehearsal.steps or 1000, 0.0
    for level in rehearsal.levels.values():
        training = settings.seconds or steps * level.training
        runs += rehearsal.fork + level.build + PROCESS + training + (settings.evaluations + 1) * level.evaluation
    return runs * len(settings.seeds) / jobs + (jobs - 1) * rehearsal.load


def report_seconds(blocks: Sequence[Block]) -> float:
    """The time of the report at the end of a run."""
    plots = plot_count(blocks) if find_spec("matplotlib") else 0
    return REPORT + REPORT_OF_TRIAL * sum(len(block.trials) for block in blocks) + REPORT_OF_PLOT * plots


def plot_count(blocks: Sequence[Block]) -> int:
    """About how many plots a report has: one for each mode and each explanation; where something is learned, one of the
    curves of each block, one of quality beside time, and one of the comparisons."""
    modes = {mode for block in blocks for mode in block.measures.timed_modes}
    explained = learned = 0
    for block in blocks:
        if profile := block.measures.get("profile", Profile):
            explained += (len(block.trials) - 1) * len(profile.of or ())
        if block.measures.learning:
            learned += 1 + bool(block.measures.speed)
    return min(len(modes) + min(explained, MOST_EXPLAINED) + learned + bool(learned), MOST_PLOTS)
