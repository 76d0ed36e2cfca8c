"""Rehearses a block: builds each trial, takes a few steps and one short evaluation, and verifies the block.

The times are those of this machine now. Nothing of them is stored: `harness.plan.estimates` calculates from them how
long a run takes.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from statistics import median
from time import perf_counter
from typing import Any

from harness.measure.kinds.learning import TrainingRun, steps_of
from harness.measure.kinds.profile import events_of, marked_step, profiler_of
from harness.measure.kinds.profile_events import profile_of_step
from harness.measure.kinds.verify import verify_block
from harness.measure.runtime.builder import TrialBuilder, no_mark
from harness.measure.runtime.failure import failures_of
from harness.measure.runtime.gpu import clock_for
from harness.measure.runtime.member import BuiltMember
from harness.measure.runtime.task import Task
from harness.plugins.parts import Data
from harness.plugins.rehearsal import LevelTimes, Rehearsal
from harness.records.plan import THREADS, Block, Spec
from harness.records.settings import Learning, Profile

#: Seconds after which no further step of a trial is taken: in one mode, and in training.
STEPS, TRAINING = 0.15, 0.2
#: The most test examples of a rehearsed evaluation.
EVALUATED = 2048
#: Verification is not rehearsed if it would take longer than this, in seconds; its time then follows from the steps.
VERIFICATION = 3.0
#: The most seconds for which a companion of a training run trains.
COMPANION = 20


def rehearse_block(worker: Any, block: Block, load: float, jobs: int) -> Iterator[tuple[str, Any]]:
    """The rehearsal of a block whose data took `load` seconds to load, as one message; before it a remark for each
    trial that fails. `jobs` training runs run at the same time."""
    builder, watchdog, measures = worker.builder, worker.watchdog, block.measures
    begun = perf_counter()
    watchdog.doing(block.baseline.level, "building the model")
    builder.weights(block.baseline)
    fork = perf_counter() - begun
    levels: dict[str, LevelTimes] = {}
    for trial in block.trials:
        task = Task(block, "", builder, watchdog, None, trial.level)
        try:
            with failures_of(trial.level, "rehearsing"):
                levels[trial.level] = times_of(task, jobs)
        except Exception as failure:
            yield "remark", [trial.level, str(getattr(failure, "reason", failure))]
    data, learning = builder.data(block.baseline.dataset), measures.learning
    if levels:
        verify = verify_seconds(block, levels, len(data.probes(block.baseline.seed)) if data.probes else 3)
        if verify < VERIFICATION:
            begun = perf_counter()
            for finding in verify_block(block, builder, watchdog):
                if finding["outcome"] != "ok":
                    yield "remark", [finding["level"], finding["reason"]]
            verify = perf_counter() - begun
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


def times_of(task: Task, jobs: int) -> LevelTimes:
    """The times of one trial."""
    measures = task.block.measures
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
        first[mode], step[mode] = step_seconds(member)
        profile = measures.get("profile", Profile)
        if profile and mode in (profile.of or ()):
            profiled[mode] = profiled_seconds(member)
    training, evaluation = 0.0, 0.0
    if measures.learning:
        training, evaluation = learning_seconds(task, measures.learning, jobs)
    elif not measures.modes:  # only kinds that train, such as health
        run = TrainingRun(task, task.trial.seed, Learning())
        training = training_seconds(run)
    return LevelTimes(build, step, first, profiled, training, evaluation)


def step_seconds(member: BuiltMember) -> tuple[float, float]:
    """The mean seconds of a step on batches of the work set: in a first pass, in which every shape is new, and the
    median of further passes over the same batches."""
    wait = clock_for(member.built.device).wait or (lambda: None)
    passes: list[list[float]] = []
    chosen, until = range(len(member.batches)), perf_counter() + STEPS
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


def training_seconds(run: TrainingRun) -> float:
    """The mean seconds of a training step. The first half of the steps, which may be slower, is not counted. No more
    steps are taken than the run has, since a schedule may end with it."""
    batches, times, until = run.batches(0), list[float](), perf_counter() + TRAINING
    while len(times) != run.total and (len(times) < 2 or perf_counter() < until):
        run.watchdog.doing(run.built.trial.level, "one training step")
        begun = perf_counter()
        run.built.step(run.built, run.built.batch(next(batches)), no_mark)
        run.norms.clear()
        times.append(perf_counter() - begun)
    later = times[len(times) // 2 :]
    return sum(later) / len(later)


def learning_seconds(task: Task, settings: Learning, jobs: int) -> tuple[float, float]:
    """The seconds of a training step and of an evaluation, while as many other runs train as in a real run."""
    data = task.builder.data(task.trial.dataset)
    every = max(1, len(data.test) // EVALUATED)
    some = [data.test[position] for position in range(0, len(data.test), every)]
    with_some = OneDataset(task.builder, Data(**{**vars(data), "test": some}))
    run = TrainingRun(replace(task, builder=with_some, settings=settings), settings.seeds[0], settings)
    batch = run.built.batch(next(run.batches(0)))
    alone = settings.one_at_a_time or run.built.device.type != "cpu" or int(task.trial.environment.get(THREADS, 1)) > 1
    runs = len(settings.seeds) * len(task.block.trials)
    with companions(0 if alone else min(jobs, runs) - 1, lambda: run.built.step(run.built, batch, no_mark)):
        training = training_seconds(run)
        run.evaluation.scores()  # the first evaluation also examines the model
        begun = perf_counter()
        run.evaluation.scores()
        evaluation = perf_counter() - begun
    return training, evaluation * len(data.test) / max(1, len(some))


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
