"""Rehearses a block: builds each trial, takes a few steps and one short evaluation, and verifies the block.

What fails here would fail in a run. The times are those of this machine now. Nothing of them is stored:
`harness.plan.estimates` calculates from them how long a run takes.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from math import inf
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

from harness.analysis.exits import exits_of
from harness.measure.kinds.learning import TrainingRun, steps_of
from harness.measure.kinds.profile import events_of, marked_step, profiler_of
from harness.measure.kinds.profile_events import profile_of_step
from harness.measure.kinds.verify import verify_block
from harness.measure.runtime.builder import TrialBuilder, no_mark
from harness.measure.runtime.failure import TrialFailed, failures_of
from harness.measure.runtime.global_state import GlobalState
from harness.measure.runtime.gpu import clock_for
from harness.measure.runtime.member import BuiltMember
from harness.measure.runtime.task import Task
from harness.plugins.parts import Data
from harness.plugins.rehearsal import LevelTimes, Rehearsal
from harness.records.plan import THREADS, Block, Spec
from harness.records.settings import Learning, Profile

#: Seconds after which no further step of a trial is taken: in one mode, and in training.
STEPS, TRAINING = 0.15, 0.4
#: The most test examples of a rehearsed evaluation.
EVALUATED = 2048
#: Verification is not rehearsed if it would take longer than this, in seconds; its time then follows from the steps.
VERIFICATION = 3.0
#: The most seconds for which a companion of a training run trains.
COMPANION = 20


def rehearse_block(worker: Any, block: Block, load: float, jobs: int, timed: bool) -> Iterator[tuple[str, Any]]:
    """The rehearsal of a block whose data took `load` seconds to load, as one message; before it a problem for each
    trial that fails. `jobs` training runs run at the same time. Without `timed`, as few steps as possible are taken,
    and there is no message about times."""
    builder, watchdog, measures = worker.builder, worker.watchdog, block.measures
    begun = perf_counter()
    watchdog.doing(block.baseline.level, "building the model")
    builder.weights(block.baseline)
    fork = perf_counter() - begun
    levels: dict[str, LevelTimes] = {}
    state = GlobalState()
    for trial in block.trials:
        task = Task(block, "", builder, watchdog, None, trial.level)
        try:
            with failures_of(trial.level, "building the model"):
                levels[trial.level] = times_of(task, jobs, timed)
        except TrialFailed as failure:
            yield "problem", [trial.level, failure.reason]
        changed = state.restore()
        if changed and trial.level in levels:
            del levels[trial.level]
            yield "problem", [trial.level, f"it changes {', '.join(changed)}, which all trials share"]
    data, learning = builder.data(block.baseline.dataset), measures.learning
    if block.baseline.level in levels:
        verify = verify_seconds(block, levels, len(data.probes(block.baseline.seed)) if data.probes else 3)
        if verify < VERIFICATION:
            begun = perf_counter()
            failed = {trial.level for trial in block.trials} - levels.keys()
            for finding in verify_block(block.without(failed), builder, watchdog):
                if finding["outcome"] != "ok":
                    exits = exits_of(block, finding["level"]) if finding["outcome"] == "invalid" else ""
                    yield "problem", [finding["level"], ". ".join(filter(None, (finding["reason"], exits.rstrip("."))))]
            verify = perf_counter() - begun
        if timed:
            steps = steps_of(learning, data, block.baseline.batch_size) if learning else None
            yield "rehearsal", asdict(Rehearsal(levels, load, fork, verify, jobs, steps))
    watchdog.stop_alarm()


def verify_seconds(block: Block, levels: Mapping[str, LevelTimes], probes: int) -> float:
    """About how long verification takes. Of one batch and of the `probes`, which are smaller, it takes two passes
    forward and backward and a prediction, and of the baseline also in float64. Strong promises need further steps."""
    total = 0.0
    for trial in block.trials:
        if trial.level in levels:
            times = levels[trial.level]
            passes = 2.5 * (1 + 0.2 * probes) * (2.5 if trial is block.baseline else 1)
            further = 2.5 if trial.changes in ("rounding", "order") else 0.0
            total += 6 * times.build + (passes + further) * max([*times.step.values(), times.training])
    return total


def times_of(task: Task, jobs: int, timed: bool) -> LevelTimes:
    """The times of one trial. Raises TrialFailed."""
    measures, share = task.block.measures, 1.0 if timed else 0.0
    begun = perf_counter()
    task.builder.build(task.trial)
    build = perf_counter() - begun
    step: dict[str, float] = {}
    first: dict[str, float] = {}
    profiled: dict[str, float] = {}
    for mode in measures.modes:
        task.mode = mode
        begun = perf_counter()
        member = task.member()
        build = perf_counter() - begun
        with failures_of(task.level, f"one {mode} step"):
            first[mode], step[mode] = step_seconds(member, share * STEPS)
            member.check()
        profile = measures.get("profile", Profile)
        if timed and profile and mode in (profile.of or ()):
            profiled[mode] = profiled_seconds(member)
    training, evaluation = 0.0, 0.0
    if measures.learning and timed:
        training, evaluation = learning_seconds(task, measures.learning, jobs)
    elif measures.learning:
        training = training_seconds(evaluated_run(task, measures.learning)[0], 0.0)
    elif not measures.modes:  # only kinds that train, such as health
        training = training_seconds(TrainingRun(task, task.trial.seed, Learning()), share * TRAINING)
    return LevelTimes(build, step, first, profiled, training, evaluation)


def step_seconds(member: BuiltMember, seconds: float) -> tuple[float, float]:
    """The mean seconds of a step on batches of the work set: in a first pass, in which every shape is new, and the
    median of further passes over the same batches. No pass begins after `seconds`, except for the second."""
    wait = clock_for(member.built.device).wait or (lambda: None)
    passes: list[list[float]] = []
    chosen, until = range(len(member.batches)), perf_counter() + seconds
    while len(passes) < 2 or perf_counter() < until:
        times: list[float] = []
        for batch in chosen:
            member.before(batch)
            begun = perf_counter()
            member.step(batch, no_mark)
            wait()
            times.append(perf_counter() - begun)
            if not passes and perf_counter() > until:
                break
        passes.append(times)
        chosen = range(len(times))
    return sum(passes[0]) / len(chosen), median(map(sum, passes[1:])) / len(chosen)


def profiled_seconds(member: BuiltMember) -> float:
    """The seconds of one step under the profiler, until its events are read. A first one is not counted."""
    for _ in range(2):
        member.before(0)
        begun = perf_counter()
        with profiler_of(member) as profiler:
            marked_step(member, 0)
        member.watchdog.stop_alarm()
        profile_of_step(events_of(profiler))
        gc.collect()
        seconds = perf_counter() - begun
    return seconds


def training_seconds(run: TrainingRun, seconds: float) -> float:
    """The median seconds of a training step: other programs make single steps longer. The first half of the steps,
    which may be slower, is not counted. No more steps are taken than the run has, since a schedule may end with it.
    Raises TrialFailed."""
    batches, times, until = run.batches(0), list[float](), perf_counter() + seconds
    level = run.built.trial.level
    with failures_of(level, "one training step"):
        while len(times) < (run.total or inf) and (len(times) < 2 or perf_counter() < until):
            begun = perf_counter()
            training_step(run, next(batches))
            times.append(perf_counter() - begun)
    smallest = smallest_batch(run)
    if len(smallest) == 1:
        advice = "another dataset.batch_size avoids it, if the model cannot train on one"
        with failures_of(level, f"one training step on a single example, a batch of each epoch ({advice})"):
            training_step(run, smallest)
    return median(times[len(times) // 2 :])


def training_step(run: TrainingRun, examples: Sequence[Any]) -> None:
    """One training step on these examples."""
    run.watchdog.doing(run.built.trial.level, "one training step")
    run.built.step(run.built, run.built.batch(examples), no_mark)
    run.norms.clear()


def smallest_batch(run: TrainingRun) -> list[Any]:
    """The smallest batch of the first epoch, among the batches that the run reaches."""
    batches = run.built.batch_positions(run.train_set, Random(0))[: run.total or None]
    return [run.train_set[position] for position in min(batches, key=len)]


def learning_seconds(task: Task, settings: Learning, jobs: int) -> tuple[float, float]:
    """The seconds of a training step and of an evaluation, while as many other runs train as in a real run. Raises
    TrialFailed."""
    run, tested = evaluated_run(task, settings)
    batch = run.built.batch(next(run.batches(0)))
    alone = settings.one_at_a_time or run.built.device.type != "cpu" or int(task.trial.environment.get(THREADS, 1)) > 1
    runs = len(settings.seeds) * len(task.block.trials)
    with companions(0 if alone else min(jobs, runs) - 1, lambda: run.built.step(run.built, batch, no_mark)):
        training = training_seconds(run, TRAINING)
        begun = perf_counter()
        with failures_of(task.level, "evaluating"):  # the first evaluation also examined the model, so this one counts
            run.evaluation.scores()
        evaluation = perf_counter() - begun
    return training, evaluation * len(task.builder.data(task.trial.dataset).test) / max(1, tested)


def evaluated_run(task: Task, settings: Learning) -> tuple[TrainingRun, int]:
    """A training run that was evaluated before its first step, and the number of its test examples: of a large test
    set only some, unless the evaluation fails on these, as a score of rare classes may. Raises TrialFailed."""
    data = task.builder.data(task.trial.dataset)
    for most in (EVALUATED, len(data.test)):
        every = max(1, len(data.test) // most)
        some = [data.test[position] for position in range(0, len(data.test), every)]
        with_some = OneDataset(task.builder, replace(data, test=some))
        run = TrainingRun(replace(task, builder=with_some, settings=settings), settings.seeds[0], settings)
        try:
            with failures_of(task.level, "evaluating the untrained model"):
                run.compare_with_baseline(task)
                run.evaluate()
                run.learning_rate()
        except TrialFailed:
            if every == 1:
                raise
        else:
            break
    return run, len(some)


class OneDataset(TrialBuilder):
    """A builder whose only dataset is `data`."""

    def __init__(self, builder: TrialBuilder, data: Data) -> None:
        super().__init__(builder.catalog)
        self.only = data

    def data(self, spec: Spec) -> Data:
        """The dataset."""
        return self.only


@contextmanager
def companions(count: int, work: Callable[[], object]) -> Iterator[None]:
    """Repeat `work` in this many child processes meanwhile. They end after `COMPANION` seconds at the latest."""
    children: list[int] = []
    for _ in range(count):
        child = os.fork()
        if child == 0:
            try:
                signal.alarm(COMPANION)
                while True:
                    work()
            finally:
                os._exit(0)
        children.append(child)
    try:
        yield
    finally:
        stop(children)


def stop(children: Sequence[int]) -> None:
    """End these child processes."""
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
