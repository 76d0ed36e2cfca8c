"""A short training run looked at closely: why clipping, a bias or an initialiser helped, or did not.

What is looked at in every model: the gradient's norm before and after whatever the update does to it, and the first
step at which something was no longer a number. What a model knows of itself it says in ``health(batch)``, named numbers
and lists of numbers: gates, and how far back gradients reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import torch

from harness.measure.kinds.learning import Run, gradient_norm
from harness.measure.runtime.failure import blaming
from harness.measure.runtime.task import Task
from harness.records.settings import Learning


def measure_health(task: Task) -> dict[str, Any]:
    """Train one trial under its own seed as a learning measure would, and look. Returns JSON values; raises
    TrialFailed."""
    settings, level, watchdog = task.settings, task.level, task.watchdog
    with blaming(level, "looking at its health"):
        watchdog.doing(level, "building the model")
        run = Run.of(task, task.block.baseline.seed, task.block.measures.learning or Learning())
        built, after = run.built, []
        assert built.optimizer is not None
        built.optimizer.register_step_pre_hook(lambda *_: after.append(float(gradient_norm(built.model))))
        before: list[float] = []
        examples = [run.train_set[index] for index in range(min(built.trial.batch_size, len(run.train_set)))]
        looks = {round(settings.steps * index / settings.looks) for index in range(settings.looks + 1)}
        looked: list[int] = []
        probes: dict[str, list[Any]] = {}
        taken, bad = 0, None
        batches = run.batches(0)
        for step in range(settings.steps + 1):
            if step in looks:
                watchdog.doing(level, "looking at its health")
                looked.append(step)
                for name, value in probed(built.model, built.batch(examples)).items():
                    probes.setdefault(name, []).append(value)
            if step == settings.steps:
                break
            watchdog.doing(level, "one training step")
            loss = float(built.step(built, built.batch(next(batches)), lambda phase: None))
            before += [float(norm) for norm in run.norms]
            run.norms.clear()
            taken += 1
            if not isfinite(loss) or not isfinite(before[-1] if before else 0.0):
                bad = step
                break
        watchdog.rest()
    return {
        "steps": taken,
        "looked": looked,
        "probes": probes,
        "before": _plain(before),
        "after": _plain(after),
        "first_bad": bad,
    }


def probed(model: torch.nn.Module, batch: Any) -> Mapping[str, Any]:
    """What the model says of itself, nothing where it has nothing to say. Leaves gradients and generator alone."""
    health = getattr(model, "health", None)
    if not callable(health):
        return {}
    gathered = [parameter.grad for parameter in model.parameters()]
    model.zero_grad(set_to_none=True)
    with torch.random.fork_rng(devices=[]):
        found = {name: _plain(value) for name, value in health(batch).items()}
    for parameter, gradient in zip(model.parameters(), gathered, strict=True):
        parameter.grad = gradient
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return float(f"{value:.5g}") if isfinite(value) else None  # JSON has no word for what is no number
