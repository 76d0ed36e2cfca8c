"""A few steps of one trial taken once, off the clock: what a script that repeats them should print."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import torch

from harness.measure.runtime import machine
from harness.measure.runtime.batches import work_set
from harness.measure.runtime.builder import BuiltTrial, TrialBuilder, in_turn
from harness.measure.runtime.failure import TrialFailed, blaming
from harness.measure.runtime.warm import use_threads, warm
from harness.plugins.parts import Skip
from harness.records.plan import THREADS, Block, Trial
from harness.records.settings import Speed


@dataclass(frozen=True)
class Rehearsal:
    """The number that each step came to: its loss, or of inference the mean size of what is predicted. Where the trial
    could not go on, `failure` says why, and where it `skipped` this machine, that."""

    numbers: tuple[float, ...] = ()
    failure: str = ""
    skipped: str = ""


def work_batches(builder: TrialBuilder, block: Block, trial: Trial) -> list[Any]:
    """The batches that the trial is timed on, collated as it collates them, on the CPU; fewer where the training set
    has no more, as what is not timed may."""
    torch.set_num_threads(1)
    data, recipe = builder.data(trial.dataset), builder.recipe(trial)
    if not len(data.train):
        raise ValueError("the training set is empty")
    size = min(trial.batch_size, len(data.train))
    batches = min((block.measures.speed or Speed()).batches, len(data.train) // size)
    examples = work_set(data.train, size, batches, trial.seed)
    positions = recipe.seam("order", in_turn)(examples, trial.batch_size, Random(f"order {trial.seed}"))
    collate = recipe.seam("collate", data.collate)
    return [collate([examples[position] for position in batch]) for batch in positions]


def rehearse(builder: TrialBuilder, trial: Trial, batches: Sequence[Any], mode: str, limit: float) -> Rehearsal:
    """Build the trial under its seed and run it on these batches, one step each, in a child process: what crashes or
    hangs there is a failure like others. `limit` is the most seconds that a step may take."""
    warm(machine.describe()["gpus"])
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.dup2(2, 1)  # what plugins print must not get into what is exported
            with os.fdopen(writing, "w") as pipe:
                for said, what in _steps(builder, trial, batches, mode, limit):
                    pipe.write(json.dumps([said, what]) + "\n")
                    pipe.flush()  # a crash must not take along what came before it
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = [json.loads(line) for line in pipe]
    _, status = os.waitpid(child, 0)
    numbers = tuple(what for said, what in told if said == "number")
    for said, what in told:
        if said != "number":
            return Rehearsal(numbers, **{said: what})
    if os.WIFSIGNALED(status):
        number = signal.Signals(os.WTERMSIG(status))
        hung = f"took longer than its limit of {limit:g} s"
        return Rehearsal(numbers, hung if number == signal.SIGALRM else f"the process was killed by {number.name}")
    return Rehearsal(numbers, "" if len(numbers) == len(batches) else "the process ended before its last step")


def _steps(
    builder: TrialBuilder, trial: Trial, batches: Sequence[Any], mode: str, limit: float
) -> Iterator[tuple[str, float | str]]:
    """In the child: the number of each step, and why there is no next one."""
    use_threads(int(trial.environment.get(THREADS, 1)))
    try:
        with blaming(trial.level, "building the model"):
            signal.setitimer(signal.ITIMER_REAL, limit)
            built = builder.build(trial)
            if mode == "inference":
                built.model.eval()
        for step, batch in enumerate(batches, 1):
            signal.setitimer(signal.ITIMER_REAL, limit)
            with blaming(trial.level, f"{mode} step {step}"):
                number = one_step(built, batch, mode)
            yield "number", number
    except TrialFailed as failure:
        skip = failure.__cause__
        yield ("skipped", str(skip)) if isinstance(skip, Skip) else ("failure", failure.reason)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def one_step(built: BuiltTrial, batch: Any, mode: str) -> float:
    """One step on a batch: its loss, or the mean size of what is predicted."""
    batch = batch if built.device.type == "cpu" else batch.to(built.device)
    if mode == "train":
        return float(built.step(built, batch, lambda phase: None))
    with torch.inference_mode():
        return mean_size(built.evaluate(built.model, batch))


def mean_size(predicted: Any) -> float:
    """The mean absolute value of predictions: a tensor, or tensors in tuples, lists and dictionaries."""
    if isinstance(predicted, torch.Tensor):
        return float(predicted.detach().double().abs().mean())
    inner = predicted.values() if isinstance(predicted, Mapping) else predicted
    sizes = [mean_size(one) for one in inner]
    return sum(sizes) / max(1, len(sizes))


@dataclass(frozen=True)
class Packed:
    """A tensor as plain bytes: its type, the type that its values are stored in, which may be narrower, and its
    shape."""

    dtype: str
    stored: str
    shape: tuple[int, ...]
    content: bytes


def pack(value: Any) -> Packed | None:
    """A dense tensor as bytes; None for anything else."""
    if not isinstance(value, torch.Tensor) or value.layout is not torch.strided or value.is_quantized:
        return None
    flat = value.detach().cpu().contiguous().reshape(-1)
    dtype = flat.dtype
    if not (dtype.is_floating_point or dtype.is_complex or dtype is torch.bool) and flat.numel():
        low, high = int(flat.min()), int(flat.max())
        for narrow in (torch.uint8, torch.int16, torch.int32):
            if torch.iinfo(narrow).min <= low and high <= torch.iinfo(narrow).max and narrow.itemsize < dtype.itemsize:
                flat = flat.to(narrow)
                break
    content: np.ndarray[Any, Any] = flat.view(torch.uint8).numpy() if flat.numel() else np.zeros(0, np.uint8)
    return Packed(_name(dtype), _name(flat.dtype), tuple(value.shape), content.tobytes())


def _name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def draw(shape: tuple[int, ...], mean: float, spread: float, seed: int) -> torch.Tensor:
    """Values from a normal distribution, the same for the same seed, in float32."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * spread + mean


@dataclass(frozen=True)
class Drawn:
    """How the values of a tensor were drawn that stand for others."""

    dtype: str
    shape: tuple[int, ...]
    mean: float
    spread: float
    seed: int


def with_drawn(value: Any, drawn: dict[int, Drawn], least: int = 4096) -> Any:
    """The value with its large tensors of floating-point numbers replaced by drawn ones of the same shape, mean and
    spread; `drawn` keeps how, by the identity of the new tensor. Lengths, labels and tokens stay as they are."""
    if isinstance(value, torch.Tensor):
        if not value.is_floating_point() or value.numel() < least or pack(value) is None:
            return value
        exact = value.detach().double()
        how = Drawn(_name(value.dtype), tuple(value.shape), float(exact.mean()), float(exact.std()), len(drawn))
        new = draw(how.shape, how.mean, how.spread, how.seed).to(value.dtype)
        drawn[id(new)] = how
        return new
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(with_drawn(one, drawn, least) for one in value))
    if type(value) in (list, tuple):
        return type(value)(with_drawn(one, drawn, least) for one in value)
    if type(value) is dict:
        return {key: with_drawn(one, drawn, least) for key, one in value.items()}
    return value
