"""The tensors of a trial that verification compares: loss, predictions, observed tensors and gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import torch

from harness.measure.runtime.builder import BuiltTrial, TrialBuilder
from harness.measure.runtime.dtypes import as_real
from harness.measure.runtime.generators import seed_generators
from harness.measure.runtime.module_modes import evaluation_mode, without_dropout
from harness.measure.runtime.watchdog import Watchdog
from harness.records.plan import Trial

Tensors = dict[str, torch.Tensor]

#: The prefix of the name of a parameter, for the gradient of the loss.
GRADIENT = "gradient of "


def prepared(
    builder: TrialBuilder, trial: Trial, weights: Mapping[str, torch.Tensor], *, exact: bool = False
) -> BuiltTrial:
    """The built trial in train mode, with the probability of every dropout set to 0; in float64 if `exact`."""
    built = builder.build(trial, weights, exact=exact)
    without_dropout(built.model)
    return built


def observations(built: BuiltTrial, examples: Sequence[Any], watchdog: Watchdog) -> Tensors:
    """The tensors that are compared, as float64 on the CPU: the loss, the predictions and the observed tensors in order
    of example id, and the gradients of the loss and of a random projection of the observed tensors. Buffers, such as
    running statistics, have their values again afterwards, so that observations do not depend on earlier ones."""
    watchdog.doing(built.trial.level, "verifying")
    buffers = [(buffer, buffer.clone()) for buffer in built.model.buffers()]
    seed_generators(built.trial.seed)  # a layer that draws then draws the same for every variant
    batch = built.batch(examples)
    found: Tensors = {}
    loss = built.forward(built.model, batch)
    if not isinstance(loss, torch.Tensor) or loss.shape != ():
        shape = tuple(loss.shape) if isinstance(loss, torch.Tensor) else type(loss).__name__
        raise ValueError(f"forward returns {shape}; expected a scalar loss")
    found["loss"] = loss
    if loss.requires_grad or built.optimizer is not None:  # a rule without weights may be timed in inference
        found |= gradients(built, loss, GRADIENT)
    # The loss does not depend on states that the classifier ignores, but the projection depends on all of them.
    order = torch.argsort(batch.ids)
    total: Any = 0.0
    for name, tensor in built.observe(built.model, batch).items():
        if tensor.shape[:1] != batch.ids.shape:
            raise ValueError(f"observes {name} of shape {tuple(tensor.shape)} for {len(batch.ids)} examples")
        tensor = tensor[order.to(tensor.device)]
        found[name] = tensor
        real = as_real(tensor)
        total = total + (real * projection(name, real)).sum()
    with evaluation_mode(built.model), torch.inference_mode():  # as it is timed
        predictions = built.evaluate(built.model, batch)
    if isinstance(predictions, torch.Tensor):
        if predictions.shape[:1] != batch.ids.shape:
            raise ValueError(f"predicts shape {tuple(predictions.shape)} for {len(batch.ids)} examples")
        found["predictions"] = predictions[order.to(predictions.device)]
    if isinstance(total, torch.Tensor) and total.requires_grad:
        found |= gradients(built, total, f"projected {GRADIENT}")
    with torch.no_grad():
        for buffer, value in buffers:
            buffer.copy_(value)
    return {name: as_real(tensor.detach()).double().cpu() for name, tensor in found.items()}


def projection(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Random weights for an observed tensor. Its name and shape fix them, so they are the same for every variant."""
    generator = torch.Generator().manual_seed(Random(name).randrange(1 << 31))
    weights = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
    return weights.to(device=tensor.device, dtype=tensor.dtype)


def gradients(built: BuiltTrial, loss: torch.Tensor, prefix: str) -> Tensors:
    """The dense gradient of each parameter after a backward pass. The model has no gradients afterwards."""
    built.backward(built.model, loss)
    found = {
        f"{prefix}{name}": parameter.grad.to_dense().clone() if parameter.grad.is_sparse else parameter.grad.clone()
        for name, parameter in built.model.named_parameters()
        if parameter.grad is not None
    }
    built.model.zero_grad(set_to_none=True)
    return found


def errors(tensors: Tensors, reference: Tensors) -> dict[str, float]:
    """The largest error of each tensor, as a share of the largest value of the reference."""
    return {
        name: float((tensor - reference[name]).abs().max() / reference[name].abs().max().clamp(min=1e-12))
        for name, tensor in tensors.items()
        if name in reference and tensor.shape == reference[name].shape and tensor.numel()
    }
