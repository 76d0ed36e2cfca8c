"""Checks the data of a block and builds its trials, as the processes of a run do: would any of them fail?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any

from harness.measure.kinds.learning import missing_scores, steps_of
from harness.measure.runtime.builder import TrialBuilder, available_batches
from harness.measure.runtime.experiments.same_examples import check_same_examples
from harness.measure.runtime.failure import TrialFailed, failures_of
from harness.measure.runtime.global_state import GlobalState
from harness.plugins.parts import Data
from harness.records.plan import Block, Trial

#: ("problem" or "remark", [level, text]), or ("checked", level).
Message = tuple[str, Any]


def check_block(worker: Any, block: Block, gpus: int) -> Iterator[Message]:
    """What is wrong with the block that the worker has loaded. The level of a problem with its data is empty."""
    builder, watchdog = worker.builder, worker.watchdog
    watchdog.doing("", "reading the data")
    data = builder.data(worker.block.baseline.dataset)
    examples = None
    try:
        with failures_of("", "reading the data"):
            complaints = list(data_complaints(worker.block, data))
            with suppress(ValueError):  # it is among the complaints
                examples = work_set(worker.block, builder)
    except TrialFailed as failure:
        complaints = [failure.reason]
    yield from (("problem", ["", text]) for text in complaints)
    learning = worker.block.measures.learning
    steps = steps_of(learning, data, worker.block.baseline.batch_size) if learning and learning.epochs else None
    if learning and steps and steps < learning.evaluations:
        yield "remark", ["", f"a run has {steps} steps, so it is evaluated only {steps} times"]
    if not complaints:
        yield from trial_messages(worker, block, gpus, data, examples)
    watchdog.stop_alarm()


def data_complaints(block: Block, data: Data) -> Iterator[str]:
    """Why this dataset cannot be measured as planned."""
    baseline, learning = block.baseline, block.measures.learning
    if not len(data.train):
        yield "the training set is empty"
        return
    if block.measures.modes:
        try:
            batches = available_batches(data, block.measures.work_set_batches)
            TrialBuilder.check_work_set(len(data.train), baseline.batch_size, batches)
        except ValueError as error:
            yield str(error)
    if learning:
        if not len(data.test):
            yield "the test set is empty; learning needs test examples to evaluate on"
        yield from (f"it {text}" for text in missing_scores(learning, data))


def work_set(block: Block, builder: TrialBuilder) -> list[Any] | None:
    """The examples on which steps are measured; None if no kind measures steps."""
    measures = block.measures
    return builder.work_set(block.baseline, measures.work_set_batches) if measures.modes else None


def trial_messages(worker: Any, block: Block, gpus: int, data: Data, examples: list[Any] | None) -> Iterator[Message]:
    """Build each trial under its seed, and cut the examples into its batches."""
    state, learning = GlobalState(), block.measures.learning
    device = worker.block.baseline.device  # that of all trials
    kind, _, number = device.partition(":")
    if kind == "cuda" and int(number or 0) >= gpus:
        yield "problem", [worker.block.baseline.level, f"there is no {device} here; --device cpu uses the processor"]
        return
    for trial in block.trials:
        steps = steps_of(learning, data, trial.batch_size) if learning else None
        worker.watchdog.doing(trial.level, "building the model")
        try:
            remarks = check_trial(worker.builder, block, trial, steps, data, examples)
        except TrialFailed as failure:
            yield "problem", [trial.level, failure.reason]
        else:
            if learning and learning.epochs:  # otherwise the plan has these remarks
                yield from (("remark", [trial.level, text]) for text in remarks)
        if changed := state.restore():
            yield "problem", [trial.level, f"it changes {', '.join(changed)}, which all trials share"]
        yield "checked", trial.level


def check_trial(
    builder: TrialBuilder, block: Block, trial: Trial, steps: int | None, data: Data, examples: list[Any] | None
) -> tuple[str, ...]:
    """Build a trial. Returns the remarks of its optimizations. Raises TrialFailed."""
    with failures_of(trial.level, "building the model"):
        recipe = builder.recipe(trial, steps)
        if examples is not None:
            built = builder.build(trial)
        if block.measures.learning or examples is None:
            built = builder.build(trial, steps=steps)
        if built.optimizer is None and block.measures.trains:
            raise ValueError("it has no optimizer")
        check_same_examples(builder, block, trial)
    with failures_of(trial.level, "cutting the examples into batches"):
        if examples is not None:
            built.work_batches(examples, block.measures.work_set_batches if block.measures.speed else None)
        if block.measures.learning:
            built.batch_positions(data.train, Random(0))
    return recipe.remarks
