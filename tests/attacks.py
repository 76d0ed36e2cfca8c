"""A plugin in one file: parts whose cost a careless method measures wrongly. They work on the specimen's model and data.

Each part does the same computation as the specimen and has a known cost: it waits, it works in another thread or
process, or it does additional work at every `every`-th step.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Literal

import torch
from torch import nn

import harness
from harness.measure.runtime.builder import no_mark

Step = Callable[[Any, Any, Any], torch.Tensor]


def spin(milliseconds: float) -> None:
    """Use CPU time of this thread."""
    until = time.thread_time_ns() + int(milliseconds * 1e6)
    while time.thread_time_ns() < until:
        pass


def waits(recipe: harness.Recipe, *, share: float = 0.3) -> harness.Recipe:
    """Sleeps after each step, for this share of the step's time: as a step that waits for a file or a lock."""

    def around(step: Step) -> Step:
        def run(built: Any, batch: Any, mark: Any) -> torch.Tensor:
            begun = time.perf_counter()
            loss = step(built, batch, mark)
            time.sleep(share * (time.perf_counter() - begun))
            return loss

        return run

    return recipe.wrap("step", around)


def elsewhere(recipe: harness.Recipe) -> harness.Recipe:
    """The whole step in another thread. The clock of the calling thread sees almost none of it."""
    pool = ThreadPoolExecutor(1)
    return recipe.wrap("step", lambda step: lambda *given: pool.submit(step, *given).result())


def moved(recipe: harness.Recipe, *, share: float = 0.6, thread: bool = True) -> harness.Recipe:
    """The first `share` of the examples forward and backward in another thread, which the step waits for; then the
    others. Nothing runs at the same time. With ``thread: false`` the calling thread does the same work: the two levels
    cost the same."""
    pool = ThreadPoolExecutor(1)

    def step(built: Any, batch: Any, mark: Any) -> torch.Tensor:
        size = len(batch.ids)
        cut = round(share * size)

        def part(begin: int, end: int) -> torch.Tensor:
            rows = type(batch)(*(tensor[begin:end] for tensor in batch))
            loss = built.forward(built.model, rows) * ((end - begin) / size)
            built.backward(built.model, loss)
            return loss.detach()

        loss = torch.zeros(())
        if cut:
            loss = loss + (pool.submit(part, 0, cut).result() if thread else part(0, cut))
        if cut < size:
            loss = loss + part(cut, size)
        built.update(built.model, built.optimizer)
        return loss

    return recipe.replace("step", step)


def delegates(recipe: harness.Recipe) -> harness.Recipe:
    """The whole step in a child process, which is started at the first step. Both processes share the parameters."""

    def around(step: Step) -> Step:
        child: list[Connection] = []

        def run(built: Any, batch: Any, mark: Any) -> torch.Tensor:
            if not child:
                child.append(start_child(step, built))
            child[0].send((type(batch), [tensor.numpy() for tensor in batch]))
            return torch.tensor(child[0].recv())

        return run

    return recipe.wrap("step", around)


def start_child(step: Step, built: Any) -> Connection:
    """A forked process that takes a step for each batch it receives. It exits when the other end is closed."""
    built.model.share_memory()
    ours, theirs = Pipe()
    if os.fork():
        theirs.close()
        return ours
    ours.close()
    try:
        while True:
            form, arrays = theirs.recv()
            batch = form(*(torch.from_numpy(array) for array in arrays))
            theirs.send(float(step(built, batch, no_mark)))
    finally:
        os._exit(0)


class Refreshing(torch.optim.SGD):
    """SGD that does additional work at every `every`-th step. The number of the step is in its state, as in Shampoo."""

    def __init__(self, parameters: Any, lr: float, every: int, cost_ms: float) -> None:
        super().__init__(parameters, lr=lr)
        self.every, self.cost_ms = every, cost_ms

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        numbers = [0]
        for parameter in (parameter for group in self.param_groups for parameter in group["params"]):
            state = self.state[parameter]
            state["step"] = state.get("step", torch.zeros(())) + 1
            numbers.append(int(state["step"]))
        if max(numbers) % self.every == 0:
            spin(self.cost_ms)
        return loss


def refreshing(recipe: harness.Recipe, *, every: int = 20, cost_ms: float = 50.0, lr: float = 1e-3) -> harness.Recipe:
    """Gradient descent with additional work at every `every`-th step, counted in the optimizer's state."""
    return recipe.replace("optimizer", lambda model: Refreshing(model.parameters(), lr, every, cost_ms))


def counting(
    recipe: harness.Recipe,
    *,
    every: int = 20,
    cost_ms: float = 50.0,
    where: Literal["buffer", "attribute"] = "buffer",
) -> harness.Recipe:
    """Additional work at every `every`-th step, as Lookahead does it. The number of the step is in a buffer of the
    model, or in an attribute that is in no state dict."""

    def init(inner: Callable[[nn.Module], None]) -> Callable[[nn.Module], None]:
        def run(model: nn.Module) -> None:
            inner(model)
            if where == "buffer":
                model.register_buffer("steps", torch.zeros((), dtype=torch.int64))
            else:
                model.steps = 0

        return run

    def around(step: Step) -> Step:
        def run(built: Any, batch: Any, mark: Any) -> torch.Tensor:
            loss = step(built, batch, mark)
            built.model.steps += 1
            if int(built.model.steps) % every == 0:
                spin(cost_ms)
            return loss

        return run

    return recipe.wrap("init", init).wrap("step", around)


@harness.hookimpl
def provide_optimizations():
    yield harness.Optimization("waits", waits, "waits in each step", changes="rounding")
    yield harness.Optimization("other_thread", elsewhere, "works in another thread", changes="rounding")
    yield harness.Optimization("moved", moved, "a share of the work in another thread", changes="rounding")
    yield harness.Optimization("delegates", delegates, "works in a child process", changes="rounding")
    yield harness.Optimization("counting", counting, "more work at some steps", changes="rounding")
    yield harness.Optimization(
        "refreshing", refreshing, "an optimizer with more work at some steps", changes="update", role="optimizer"
    )
