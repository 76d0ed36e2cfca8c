"""A few steps of one trial, not timed: the numbers that a script which repeats them should print."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import IO, Any

import numpy as np
import torch

from harness.measure.children import death, in_child
from harness.measure.runtime import machine
from harness.measure.runtime.batches import work_set
from harness.measure.runtime.builder import BuiltTrial, TrialBuilder, given_order, no_mark
from harness.measure.runtime.digests import dtype_name
from harness.measure.runtime.failure import TrialFailed, blaming
from harness.measure.runtime.warm import use_threads, warm
from harness.plugins.parts import Skip
from harness.records.plan import THREADS, Block, Trial
from harness.records.settings import Speed


@dataclass(frozen=True)
class Replay:
    """The number of each step: its loss, or in inference the mean absolute prediction. `failure` is why the trial could
    not continue, and `skipped` why it cannot run on this machine."""

    numbers: tuple[float, ...] = ()
    failure: str = ""
    skipped: str = ""


def work_batches(builder: TrialBuilder, block: Block, trial: Trial) -> list[Any]:
    """The batches that the trial is timed on, collated, on the CPU. There are fewer if the training set is too small:
    such a trial cannot be timed, but it can be replayed."""
    torch.set_num_threads(1)
    data, recipe = builder.data(trial.dataset), builder.recipe(trial)
    if not len(data.train):
        raise ValueError("the training set is empty")
    size = min(trial.batch_size, len(data.train))
    batches = min((block.measures.speed or Speed()).batches, len(data.train) // size)
    examples = work_set(data.train, size, batches, trial.seed)
    positions = recipe.seam("order", given_order)(examples, trial.batch_size, Random(f"order {trial.seed}"))
    collate = recipe.seam("collate", data.collate)
    return [collate([examples[position] for position in batch]) for batch in positions]


def replay(builder: TrialBuilder, trial: Trial, batches: Sequence[Any], mode: str, limit: float) -> Replay:
    """Build the trial under its seed and take one step on each batch, in a child process: if it crashes or hangs, that
    is a failure like others. `limit` is the most seconds that a step may take."""
    warm(machine.describe()["gpus"])

    def work(pipe: IO[str]) -> None:
        os.dup2(2, 1)  # what plugins print must not get into what is exported
        for line in _steps(builder, trial, batches, mode, limit):
            pipe.write(json.dumps(line) + "\n")
            pipe.flush()  # a crash must not lose earlier numbers

    text, status = in_child(work)
    lines = [json.loads(line) for line in text.splitlines()]
    numbers = tuple(value for kind, value in lines if kind == "number")
    for kind, value in lines:
        if kind != "number":
            return Replay(numbers, **{kind: value})
    complete = len(numbers) == len(batches) and not os.WIFSIGNALED(status)
    return Replay(numbers, "" if complete else death(status, "", limit))


def _steps(
    builder: TrialBuilder, trial: Trial, batches: Sequence[Any], mode: str, limit: float
) -> Iterator[tuple[str, float | str]]:
    """In the child: the number of each step, and at the end the reason if there is no next one."""
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
    """One step on a batch: its loss, or in inference the mean absolute prediction."""
    batch = batch if built.device.type == "cpu" else batch.to(built.device)
    if mode == "train":
        return float(built.step(built, batch, no_mark))
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
    """A tensor as bytes: its type, the type in which its values are stored (which may be narrower), and its shape."""

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
    return Packed(dtype_name(dtype), dtype_name(flat.dtype), tuple(value.shape), content.tobytes())


def draw(shape: tuple[int, ...], mean: float, spread: float, seed: int) -> torch.Tensor:
    """Values from a normal distribution, the same for the same seed, in float32."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * spread + mean


@dataclass(frozen=True)
class Drawn:
    """How the random values were drawn that replace those of a tensor."""

    dtype: str
    shape: tuple[int, ...]
    mean: float
    spread: float
    seed: int


def with_drawn(value: Any, drawn: dict[int, Drawn], least: int = 4096) -> Any:
    """The value with its large floating-point tensors replaced by random ones of the same shape, mean and standard
    deviation. `drawn` gets how each was drawn, by the identity of the new tensor. Lengths, labels and tokens stay."""

    def replaced(inner: Any) -> Any:
        return with_drawn(inner, drawn, least)

    if isinstance(value, torch.Tensor):
        if not value.is_floating_point() or value.numel() < least or pack(value) is None:
            return value
        exact = value.detach().double()
        how = Drawn(dtype_name(value.dtype), tuple(value.shape), float(exact.mean()), float(exact.std()), len(drawn))
        new = draw(how.shape, how.mean, how.spread, how.seed).to(value.dtype)
        drawn[id(new)] = how
        return new
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(replaced, value))
    if type(value) in (list, tuple):
        return type(value)(map(replaced, value))
    if type(value) is dict:
        return {key: replaced(inner) for key, inner in value.items()}
    return value
