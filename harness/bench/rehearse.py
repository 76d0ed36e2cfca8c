"""A few steps of one trial taken once, off the clock: what a script that repeats them should print."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import torch

from harness.bench.assemble import Kitchen, in_turn
from harness.bench.failure import TrialFailed, blaming
from harness.bench.warm import use_threads, warm
from harness.bench.workset import work_set
from harness.parts import Skip
from harness.records import THREADS, Block, Speed, Trial


@dataclass(frozen=True)
class Rehearsal:
    """The number that each step came to: its loss, or of inference the mean size of what is predicted. Where the trial
    could not go on, `failure` says why, and where it `skipped` this machine, that."""

    numbers: tuple[float, ...] = ()
    failure: str = ""
    skipped: str = ""


def work_batches(kitchen: Kitchen, block: Block, trial: Trial) -> list[Any]:
    """The batches that the trial is timed on, collated as it collates them, on the CPU."""
    torch.set_num_threads(1)
    data, recipe = kitchen.data(trial.dataset), kitchen.recipe(trial)
    settings = block.measures.speed or Speed()
    examples = work_set(data.train, trial.batch_size, settings.batches, trial.seed)
    positions = recipe.seam("order", in_turn)(examples, trial.batch_size, Random(f"order {trial.seed}"))
    collate = recipe.seam("collate", data.collate)
    return [collate([examples[position] for position in batch]) for batch in positions]


def rehearse(kitchen: Kitchen, trial: Trial, batches: Sequence[Any], mode: str, limit: float) -> Rehearsal:
    """Build the trial under its seed and run it on these batches, one step each, in a child process: what crashes or
    hangs there is a failure like others. `limit` is the most seconds that a step may take."""
    warm()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            answer = json.dumps(vars(_steps(kitchen, trial, batches, mode, limit)))
            with os.fdopen(writing, "w") as pipe:
                pipe.write(answer)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if text:
        told = json.loads(text)
        return Rehearsal(tuple(told["numbers"]), told["failure"], told["skipped"])
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
        return Rehearsal(failure=f"took longer than its limit of {limit:g} s")
    if os.WIFSIGNALED(status):
        return Rehearsal(failure=f"the process was killed by {signal.Signals(os.WTERMSIG(status)).name}")
    return Rehearsal(failure="the process ended without an answer")


def _steps(kitchen: Kitchen, trial: Trial, batches: Sequence[Any], mode: str, limit: float) -> Rehearsal:
    use_threads(int(trial.environment.get(THREADS, 1)))
    numbers: list[float] = []
    try:
        with blaming(trial.level, "building the model"):
            signal.setitimer(signal.ITIMER_REAL, limit)
            live = kitchen.live(trial)
            if mode == "inference":
                live.model.eval()
        for batch in batches:
            signal.setitimer(signal.ITIMER_REAL, limit)
            with blaming(trial.level, f"{mode} step {len(numbers) + 1}"):
                batch = batch if live.device.type == "cpu" else batch.to(live.device)
                if mode == "train":
                    numbers.append(float(live.step(live, batch, lambda phase: None)))
                else:
                    with torch.inference_mode():
                        numbers.append(mean_size(live.evaluate(live.model, batch)))
    except TrialFailed as failure:
        if isinstance(failure.__cause__, Skip):
            return Rehearsal(skipped=str(failure.__cause__))
        return Rehearsal(tuple(numbers), failure.reason)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return Rehearsal(tuple(numbers))


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
