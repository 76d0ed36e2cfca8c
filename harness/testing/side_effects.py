"""Promises about side effects: global state does not change, and no batch stays in memory."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from harness.measure.runtime.builder import BuiltTrial
from harness.measure.runtime.generators import generator_states
from harness.measure.runtime.global_state import PROCESS, SETTINGS
from harness.measure.runtime.nested import tensors_in
from harness.plugins.parts import Dataset
from harness.testing.part_under_test import Broken, PartUnderTest, train_step

#: The global state of a process, without the random generators, which models may use while they are built and trained.
STATE: dict[str, Callable[[], Any]] = {
    **{name: setting.read for name, setting in (SETTINGS | PROCESS).items()},
    "inference mode": torch.is_inference_mode_enabled,
}


@contextmanager
def unchanged(action: str, *, generator: bool = False) -> Iterator[None]:
    """Raise Broken if the code inside changes the global state, or with `generator` draws from a random generator."""
    before, drawn = {name: read() for name, read in STATE.items()}, generator_states()
    yield
    changed = [name for name, read in STATE.items() if read() != before[name]]
    if changed:
        raise Broken(f"{action} changes {', '.join(changed)}")
    if generator and (used := [name for name, state in generator_states().items() if state != drawn[name]]):
        raise Broken(f"{action} draws from {', '.join(used)}")


def global_state(part: PartUnderTest) -> None:
    """Loading, building, training and predicting leave the global state unchanged."""
    if isinstance(part.declared, Dataset):
        parameters = part.trial.dataset.parameters
        with unchanged("loading it", generator=True):
            data = part.code(**parameters)
            data.collate(list(data.train[:2]))
        return
    examples = part.examples  # loads the dataset, which is another part
    with unchanged("building it"):
        built = part.built()
    batch = built.batch(examples)
    with unchanged("a step of it"):
        train_step(built, batch)
    built.model.eval()
    with unchanged("predicting", generator=True), torch.no_grad():
        built.evaluate(built.model, batch)
        built.observe(built.model, batch)


def no_leaks(part: PartUnderTest) -> None:
    """After a step and after a prediction, no tensor of the batch is alive, and the number of tensors is constant."""
    built = part.built()
    actions: dict[str, Callable[[Any], Any]] = {
        "step": lambda batch: train_step(built, batch),
        "prediction": lambda batch: built.evaluate(built.model, batch).detach(),
    }
    gc.collect()
    gc.freeze()  # the collector then skips objects that already exist
    try:
        for name, act in actions.items():
            alive = tensors_alive(built, part, act)
            if alive:
                raise Broken(f"after a {name}, {alive[0]} of the batch is still alive")
            counts = []
            for _ in range(4):
                act(built.batch(part.examples))
                counts.append(live_tensors())
            if counts[1] < counts[2] < counts[3]:
                raise Broken(f"each further {name} leaves {counts[3] - counts[2]} more tensors alive")
    finally:
        gc.unfreeze()


def tensors_alive(built: BuiltTrial, part: PartUnderTest, act: Callable[[Any], Any]) -> list[str]:
    """The tensors of a batch that outlive it."""
    batch = built.batch(part.examples)
    watched = [(weakref.ref(tensor), f"a tensor of shape {tuple(tensor.shape)}") for tensor in tensors_in(batch)]
    act(batch)
    del batch
    gc.collect()
    return [shape for tensor, shape in watched if tensor() is not None]


def live_tensors() -> int:
    """The number of tensors that were created since `gc.freeze`."""
    gc.collect()
    return sum(1 for one in gc.get_objects() if type(one) in (torch.Tensor, torch.nn.Parameter))
