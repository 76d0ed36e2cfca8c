"""Measures the health of a short training run, to explain why clipping, a bias or an initialiser helped or not.

For every model, it records the norm of the gradient before and after the update changes it, and the first step at which
a value was not finite. A model may add probes with a method ``health(batch)``, which returns named numbers and lists of
numbers, such as the values of its gates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

import torch

from harness.measure.kinds.learning import TrainingRun, gradient_norm
from harness.measure.runtime.builder import no_mark
from harness.measure.runtime.generators import kept_generators
from harness.measure.runtime.task import Task
from harness.records.settings import Learning


def measure_health(task: Task) -> dict[str, Any]:
    """Train one trial under its own seed as the kind `learning` does, and probe it at regular steps. Returns JSON
    values."""
    settings = task.settings
    task.doing("building the model")
    training = task.block.measures.learning or Learning(steps=settings.steps)
    run = TrainingRun(task, task.block.baseline.seed, training)
    built, after = run.built, []
    assert built.optimizer is not None
    before_each_step(built.optimizer, lambda: after.append(float(gradient_norm(built.model))))
    before: list[float] = []
    examples = [run.train_set[index] for index in range(min(built.trial.batch_size, len(run.train_set)))]
    due = {round(settings.steps * index / settings.looks) for index in range(settings.looks + 1)}
    looked: list[int] = []
    probes: dict[str, list[Any]] = {}
    taken, bad = 0, None
    batches = run.batches(0)
    for step in range(settings.steps + 1):
        if step in due:
            task.doing("probing the model")
            looked.append(step)
            for name, value in probe(built.model, built.batch(examples)).items():
                probes.setdefault(name, []).append(value)
        if step == settings.steps:
            break
        task.doing("one training step")
        loss = float(built.step(built, built.batch(next(batches)), no_mark))
        before += [float(norm) for norm in run.norms]
        run.norms.clear()
        taken += 1
        if not isfinite(loss) or not isfinite(before[-1] if before else 0.0):
            bad = step
            break
    return {
        "steps": taken,
        "looked": looked,
        "probes": probes,
        "before": _json_values(before),
        "after": _json_values(after),
        "first_bad": bad,
    }


def before_each_step(optimizer: Any, act: Callable[[], None]) -> None:
    """Call `act` before each step of the optimizer. An optimizer of the user need not be one of torch."""
    if isinstance(optimizer, torch.optim.Optimizer):
        optimizer.register_step_pre_hook(lambda *_: act())  # after the hooks that change the gradient
        return
    step = optimizer.step

    def act_and_step(*given: Any) -> Any:
        act()
        return step(*given)

    optimizer.step = act_and_step


def probe(model: torch.nn.Module, batch: Any) -> Mapping[str, Any]:
    """The probes that the model defines; empty if it has none. Gradients and random generators do not change."""
    health = getattr(model, "health", None)
    if not callable(health):
        return {}
    gradients = [parameter.grad for parameter in model.parameters()]
    model.zero_grad(set_to_none=True)
    with kept_generators():
        found = {name: _json_values(value) for name, value in health(batch).items()}
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        parameter.grad = gradient
    return found


def _json_values(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_json_values(one) for one in value]
    return float(f"{value:.5g}") if isfinite(value) else None  # JSON has no infinity and no NaN
