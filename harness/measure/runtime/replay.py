"""Runs a few steps of one trial without timing. Their values are compared with those of an exported script."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import IO, Any

import torch

from harness.measure.children import death, in_child
from harness.measure.runtime import machine
from harness.measure.runtime.builder import BuiltTrial, TrialBuilder, consecutive_batches, no_mark
from harness.measure.runtime.dtypes import dtype_name
from harness.measure.runtime.failure import TrialFailed, failures_of
from harness.measure.runtime.warm import use_threads, warm
from harness.plugins.parts import Skip
from harness.records.plan import THREADS, Block, Trial


@dataclass(frozen=True)
class Replay:
    """The value of each step: in training its loss, otherwise the mean magnitude of the predictions.

    `failure` says why the trial failed, `skipped` why a part cannot run on this machine. `input_dtype` is the dtype
    that the model wants for floating-point inputs, such as float64; empty if it does not say."""

    values: tuple[float, ...] = ()
    failure: str = ""
    skipped: str = ""
    input_dtype: str = ""


def work_batches(builder: TrialBuilder, block: Block, trial: Trial) -> list[Any]:
    """The collated batches that the trial is timed on, on the CPU; fewer if the training set is too small.

    Raises ValueError for an empty training set, and whatever the dataset raises."""
    torch.set_num_threads(1)
    data, recipe = builder.data(trial.dataset), builder.recipe(trial)
    if not len(data.train):
        raise ValueError("the training set is empty")
    size = min(trial.batch_size, len(data.train))
    batches = min(block.measures.work_set_batches, len(data.train) // size)
    examples = builder.work_set(replace(trial, batch_size=size), batches)
    positions = recipe.seam("order", consecutive_batches)(examples, trial.batch_size, Random(f"order {trial.seed}"))
    collate = recipe.seam("collate", data.collate)
    return [collate([examples[position] for position in batch]) for batch in positions]


def replay(builder: TrialBuilder, trial: Trial, batches: Sequence[Any], mode: str, limit: float) -> Replay:
    """Build the trial under its seed, and run one step on each batch. This happens in a child process, so that a crash
    or a hang is a failure like any other. A step may take `limit` seconds."""
    warm(machine.describe()["gpus"])

    def work(pipe: IO[str]) -> None:
        os.dup2(2, 1)  # plugins may print, and standard output may be the exported script
        for message in _steps(builder, trial, batches, mode, limit):
            pipe.write(json.dumps(message) + "\n")
            pipe.flush()  # a crash must not lose the steps before it

    text, status = in_child(work)
    messages = [json.loads(line) for line in text.splitlines()]
    values = tuple(content for name, content in messages if name == "value")
    others = {name: content for name, content in messages if name != "value"}
    complete = len(values) == len(batches) and not os.WIFSIGNALED(status)
    if not complete and not {"failure", "skipped"} & others.keys():
        others["failure"] = death(status, "", limit)
    return Replay(values, **others)


def _steps(
    builder: TrialBuilder, trial: Trial, batches: Sequence[Any], mode: str, limit: float
) -> Iterator[tuple[str, float | str]]:
    """In the child process: the value of each step, then the failure or the reason to skip, if there is one."""
    use_threads(int(trial.environment.get(THREADS, 1)))
    try:
        with failures_of(trial.level, "building the model"):
            signal.setitimer(signal.ITIMER_REAL, limit)
            built = builder.build(trial)
            if mode != "train":
                built.model.eval()
        if built.input_dtype:
            yield "input_dtype", dtype_name(built.input_dtype)
        for number, batch in enumerate(batches, 1):
            signal.setitimer(signal.ITIMER_REAL, limit)
            with failures_of(trial.level, f"{mode} step {number}"):
                batch = built.as_input(batch)
                value = training_step(built, batch) if mode == "train" else inference_step(built, batch)
            yield "value", value
    except TrialFailed as failure:
        cause = failure.__cause__
        yield ("skipped", str(cause)) if isinstance(cause, Skip) else ("failure", failure.reason)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def training_step(built: BuiltTrial, batch: Any) -> float:
    """Run one training step. Returns its loss."""
    batch = batch if built.device.type == "cpu" else batch.to(built.device)
    return float(built.step(built, batch, no_mark))


def inference_step(built: BuiltTrial, batch: Any) -> float:
    """Predict one batch in inference mode. Returns the mean magnitude of the predictions."""
    batch = batch if built.device.type == "cpu" else batch.to(built.device)
    with torch.inference_mode():
        return mean_magnitude(built.evaluate(built.model, batch))


def mean_magnitude(predictions: Any) -> float:
    """The mean absolute value of predictions: of a tensor, or of tensors in tuples, lists and dictionaries."""
    if isinstance(predictions, torch.Tensor):
        return float(predictions.detach().double().abs().mean())
    inner = predictions.values() if isinstance(predictions, Mapping) else predictions
    means = [mean_magnitude(each) for each in inner]
    return sum(means) / max(1, len(means))
