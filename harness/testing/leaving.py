"""Promises about what is left behind: torch's global state as it was, and no batch."""

from __future__ import annotations

import gc
import os
import random
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from harness.measure.runtime import global_state as shared
from harness.measure.runtime.builder import BuiltTrial
from harness.measure.runtime.digests import tensors_in
from harness.plugins.parts import Dataset
from harness.testing.subject import Broken, Subject

#: What all of a process shares. Torch's own generator is not among it while a model is built or learns: there it is
#: what seeds are for.
SETTINGS: dict[str, Callable[[], Any]] = {
    **{name: setting.read for name, setting in shared.SETTINGS.items()},
    "inference mode": torch.is_inference_mode_enabled,
    # But where torch's own compiler keeps what it has compiled.
    "environment variables": lambda: {k: v for k, v in os.environ.items() if k != "TORCHINDUCTOR_CACHE_DIR"},
    "Python's random generator": random.getstate,
    "NumPy's random generator": lambda: [np.array(part).tolist() for part in np.random.get_state(legacy=True)],
}


@contextmanager
def left_alone(doing: str) -> Iterator[None]:
    """Raises Broken where something that all of a process shares has changed in between."""
    before = {name: read() for name, read in SETTINGS.items()}
    yield
    changed = [name for name, read in SETTINGS.items() if read() != before[name]]
    if changed:
        raise Broken(f"{doing} changes {', '.join(changed)}")


@contextmanager
def restored() -> Iterator[None]:
    """Undoes afterwards what would spoil every promise that is looked at next. One thread computes meanwhile: small
    batches gain nothing from more, which spin between operators and slow all others down."""
    state, python, variables = shared.GlobalState(), random.getstate(), dict(os.environ)
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        state.restore()
        random.setstate(python)
        if dict(os.environ) != variables:
            os.environ.clear()
            os.environ.update(variables)


def global_state(subject: Subject) -> None:
    """Loading, building, learning and predicting leave what others share as it was."""
    if isinstance(subject.part, Dataset):
        parameters = subject.trial.dataset.parameters
        generator = torch.get_rng_state()
        with left_alone("loading it"):
            data = subject.code(**parameters)
            data.collate(list(data.train[:2]))
        if not torch.equal(generator, torch.get_rng_state()):
            raise Broken("loading it draws from torch's random generator")
        return
    subject.data  # noqa: B018 - loaded here, so that it is not blamed
    with left_alone("building it"):
        built = subject.built()
    batch = built.batch(subject.examples)
    with left_alone("a step of it"):
        built.step(built, batch, lambda phase: None)
    built.model.eval()
    generator = torch.get_rng_state()
    with left_alone("predicting"), torch.no_grad():
        built.evaluate(built.model, batch)
        built.observe(built.model, batch)
    if not torch.equal(generator, torch.get_rng_state()):
        raise Broken("predicting draws from torch's random generator")


def keeps_no_batch(subject: Subject) -> None:
    """After a step, and after a prediction, nothing holds on to the batch; and tensors do not pile up."""
    built = subject.built()
    doings: dict[str, Callable[[BuiltTrial, Any], Any]] = {
        "a step": lambda built, batch: built.step(built, batch, lambda phase: None),
        "a prediction": lambda built, batch: built.evaluate(built.model, batch).detach(),
    }
    gc.collect()
    gc.freeze()  # what is there already need not be looked through again and again
    try:
        for name, do in doings.items():
            held = tensors_held(built, subject, do)
            if held:
                raise Broken(f"after {name}, {held[0]} of the batch is still alive")
            counts = []
            for _ in range(4):
                do(built, built.batch(subject.examples))
                counts.append(live_tensors())
            if counts[1] < counts[2] < counts[3]:
                raise Broken(f"{counts[3] - counts[2]} more tensors are alive after each further {name.split()[1]}")
    finally:
        gc.unfreeze()


def tensors_held(built: BuiltTrial, subject: Subject, do: Callable[[BuiltTrial, Any], Any]) -> list[str]:
    """The shapes of a batch's tensors that outlive it."""
    batch = built.batch(subject.examples)
    watched = [(weakref.ref(tensor), f"a tensor of shape {tuple(tensor.shape)}") for tensor in tensors_in(batch)]
    do(built, batch)
    del batch
    gc.collect()
    return [shape for tensor, shape in watched if tensor() is not None]


def live_tensors() -> int:
    """How many tensors Python knows of that were not there at first."""
    gc.collect()
    return sum(1 for one in gc.get_objects() if type(one) in (torch.Tensor, torch.nn.Parameter))
