"""What is put back between passes over the work set, and what runs on."""

from __future__ import annotations

from random import Random
from threading import Lock
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from attacks import Refreshing
from torch import nn

from harness.measure.runtime.clock import Clock, SampleBuffer, run_rounds
from harness.measure.runtime.member import BuiltMember

BATCHES = 4


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 1)
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("running", torch.zeros(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.steps += 1
        self.running += 1
        return (self.layer(x) * self.scale).square().mean()


def member(make_optimizer, *more_state, model: nn.Module | None = None) -> BuiltMember:
    """A member with four batches, whose state is that of the model, of the optimizer and of `more_state`."""
    model = model or Net()
    optimizer = make_optimizer(model.parameters())
    stateful = [model, optimizer, *(make(optimizer) for make in more_state)]

    def step(built, batch, mark):
        loss = model(batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        for scheduler in stateful[2:]:
            scheduler.step()
        mark("step")
        return loss.detach()

    built = SimpleNamespace(
        trial=SimpleNamespace(level="b"), model=model, optimizer=optimizer, step=step, batch=lambda examples: examples,
        state=lambda built: stateful,
    )  # fmt: skip
    watchdog = SimpleNamespace(doing=lambda level, activity: None)
    return BuiltMember(built, "variant", [torch.randn(5, 3) for _ in range(BATCHES)], "train", watchdog)


def run(one: BuiltMember, passes: int) -> SampleBuffer:
    buffer = SampleBuffer()
    run_rounds([one], [buffer], BATCHES, range(passes * BATCHES), Clock(), Random(0))
    return buffer


def warmed(one: BuiltMember) -> BuiltMember:
    """After a first pass and with its state saved, as after the warm-up."""
    one.save()
    run(one, 1)
    one.save()
    return one


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.NAdam, torch.optim.Adadelta, torch.optim.Rprop])
def test_weights_and_moments_are_put_back_and_counters_run_on(optimizer):
    one = warmed(member(lambda parameters: optimizer(parameters, lr=0.1)))
    model, state = one.built.model, one.built.optimizer.state
    weights = [parameter.detach().clone() for parameter in model.parameters()]
    moments = {name: value.clone() for name, value in state[model.layer.weight].items() if value.numel() > 1}
    assert moments
    run(one, 20)
    one.restore()
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), weights, strict=True))
    assert all(torch.equal(state[model.layer.weight][name], value) for name, value in moments.items())
    assert torch.equal(model.running, torch.full((3,), 1.0 * BATCHES))
    assert int(model.steps) == 21 * BATCHES
    assert int(state[model.layer.weight]["step"]) == 21 * BATCHES


def test_work_at_every_nth_step_comes_during_the_measurement():
    one = warmed(member(lambda parameters: Refreshing(parameters, 1e-3, 20, 5.0)))
    cpu = run(one, 25).cpu
    slow = [number for number, nanoseconds in enumerate(cpu) if nanoseconds > 5e6]
    assert slow == list(range(20 - BATCHES - 1, 100, 20))


def test_state_that_a_later_step_adds_stays():
    class Lookahead(torch.optim.SGD):
        def step(self, closure=None):
            super().step()
            for parameter in self.param_groups[0]["params"]:
                state = self.state[parameter]
                state["number"] = state.get("number", 0) + 1
                if state["number"] == 2 * BATCHES:
                    state["slow"] = parameter.detach().clone()

    one = warmed(member(lambda parameters: Lookahead(parameters, lr=0.1)))
    run(one, 5)
    one.restore()
    state = one.built.optimizer.state[one.built.model.layer.weight]
    assert state["number"] == 6 * BATCHES
    assert state["slow"].shape == (1, 3)


def test_a_schedule_that_ends_is_started_again():
    def schedule(optimizer):
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10)

    one = warmed(member(lambda parameters: torch.optim.SGD(parameters, lr=0.1), schedule))
    assert len(run(one, 10).wall) == 10 * BATCHES
    assert one.restarts == 6  # six steps after the first pass, and the seventh raises
    assert one.built.optimizer.param_groups[0]["params"][0].grad is None


def test_a_step_that_raises_again_fails():
    def broken(built, batch, mark):
        raise ValueError("it never works")

    one = warmed(member(lambda parameters: torch.optim.SGD(parameters, lr=0.1)))
    one.built.step = broken
    with pytest.raises(ValueError, match="never works"):
        run(one, 1)
    fresh = member(lambda parameters: torch.optim.SGD(parameters, lr=0.1))
    fresh.built.step = broken
    with pytest.raises(ValueError, match="never works"):  # nothing was saved
        run(fresh, 1)


class WithArrays(Net):
    """Its extra state holds moments in an array of NumPy, a counter, and a lock that cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.moments, self.calls, self.lock = np.zeros(3), 0, Lock()

    def get_extra_state(self) -> dict[str, Any]:
        return {"moments": self.moments, "calls": self.calls, "lock": self.lock}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.moments, self.calls = state["moments"], state["calls"]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.moments += 1
        self.calls += 1
        return super().forward(x)


def test_arrays_are_put_back_as_tensors_are_and_counters_run_on():
    one = member(lambda parameters: torch.optim.SGD(parameters, lr=0.1), model=WithArrays())
    one.run_work_set()
    one.save()
    one.run_work_set()
    assert one.built.model.moments.tolist() == [2.0 * BATCHES] * 3
    one.restore()
    assert one.built.model.moments.tolist() == [1.0 * BATCHES] * 3
    assert one.built.model.calls == 2 * BATCHES


def test_a_restart_loads_arrays_as_they_were_saved():
    one = member(lambda parameters: torch.optim.SGD(parameters, lr=0.1), model=WithArrays())
    one.run_work_set()
    one.save()
    one.restore()
    one.run_work_set()
    assert one.restart()
    assert (one.built.model.moments.tolist(), one.built.model.calls) == ([1.0 * BATCHES] * 3, BATCHES)


@pytest.mark.parametrize("action", ["save", "restore", "restart"])
def test_the_owner_of_a_state_is_named_before_its_code_runs(action):
    """If code raises, the last name is that of the level that failed."""
    said = []
    one = member(lambda parameters: torch.optim.SGD(parameters, lr=0.1))
    one.watchdog.doing = lambda level, activity: said.append((level, activity))
    one.save()
    one.restore()
    said.clear()

    def raises() -> None:
        raise RuntimeError("the state is gone")

    one.built.model.state_dict = raises
    one.built.model.load_state_dict = lambda state: raises()
    with pytest.raises(RuntimeError, match="the state is gone"):
        getattr(one, action)()
    assert [level for level, _ in said] == ["b"]
