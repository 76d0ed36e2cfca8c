"""Promises of models: shapes, gradients, training, and predictions that do not depend on the other examples."""

from __future__ import annotations

from typing import Any

import torch

from harness.errors import UserError
from harness.measure.runtime.builder import BuiltTrial
from harness.measure.runtime.dtypes import floats_as, input_dtype
from harness.measure.runtime.generators import seed_generators
from harness.measure.runtime.observations import prepared
from harness.plugins.parts import Skip
from harness.testing.part_under_test import BATCH, Broken, PartUnderTest, message_prefix, train_step

#: The largest relative difference of results in float64 that rounding can cause.
ROUNDING = 1e-9
#: The step of a finite difference along a unit vector, and the relative error that is allowed in a derivative.
STEP, TOLERANCE = 1e-5, 1e-5
#: Training steps on one batch.
STEPS = 30


def every_setting(part: PartUnderTest) -> tuple[dict[str, BuiltTrial], list[str]]:
    """The built trial of each setting of the model by its description, and why other settings are rejected."""
    built, rejected = {}, []
    for parameters in part.settings():
        try:
            built[message_prefix(parameters)] = part.built(**parameters)
        except (ValueError, UserError, Skip) as error:
            if not parameters:
                raise
            rejected.append(f"{message_prefix(parameters)}rejected: {error}")
    return built, rejected


def shapes(part: PartUnderTest) -> str:
    """Loss, predictions and observations have the right shapes in every setting and for every batch."""
    settings, rejected = every_setting(part)
    for setting, built in settings.items():
        for examples in part.probes:
            check_shapes(built, built.batch(examples), setting)
    return "; ".join([f"{len(settings)} settings", *rejected])


def check_shapes(built: BuiltTrial, batch: Any, setting: str = "") -> None:
    """The loss is a scalar, predictions and observations have one row per example, and all are finite."""
    rows, model = len(batch.ids), built.model
    loss = built.forward(model, batch)
    if not isinstance(loss, torch.Tensor) or loss.shape != ():
        raise Broken(f"{setting}the loss has {shape_of(loss)} and is not a scalar")
    predictions = built.evaluate(model, batch)
    if not isinstance(predictions, torch.Tensor) or predictions.shape[:1] != (rows,):
        raise Broken(f"{setting}predict returns {shape_of(predictions)} for {rows} examples")
    observed = built.observe(model, batch)
    for name, tensor in observed.items():
        if tensor.shape[:1] != (rows,):
            raise Broken(f"{setting}observe returns {name} of {shape_of(tensor)} for {rows} examples")
    for name, tensor in {"the loss": loss, "the prediction": predictions, **observed}.items():
        if not bool(torch.isfinite(tensor).all()):
            raise Broken(f"{setting}{name} of {rows} examples is not finite")


def shape_of(value: Any) -> str:
    """The shape of a tensor, or the type of another value."""
    return f"shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else f"type {type(value).__name__}"


def batch_of_one(part: PartUnderTest) -> None:
    """A training step on a single example has a finite loss."""
    built = part.built()
    batch = built.batch(part.examples[:1])
    check_shapes(built, batch)
    loss = train_step(built, batch)
    if not bool(torch.isfinite(loss)):
        raise Broken(f"a step on one example has the loss {float(loss)}")


def batch_invariance(part: PartUnderTest) -> None:
    """In evaluation mode, the prediction for an example is the same alone and in a batch."""
    built = part.built(exact=True)
    built.model.eval()
    for examples in part.probes:
        together = predicted(built, examples)
        for row, example in enumerate(examples):
            difference = distance(predicted(built, [example])[0], together[row])
            if difference > ROUNDING:
                others = len(examples) - 1
                raise Broken(
                    f"the prediction for example {row} differs by {difference:.1e} in a batch with {others} others"
                )


def predicted(built: BuiltTrial, examples: list[Any]) -> torch.Tensor:
    """The predictions for the examples, in their order."""
    batch = floats_as(built.on_device(built.collate(examples)), input_dtype(built.model) or torch.float32)
    with torch.no_grad():
        predictions: torch.Tensor = built.evaluate(built.model, batch)
    return predictions


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference where both have values, relative to the largest value."""
    for dim in range(one.dim()):
        size = min(one.shape[dim], other.shape[dim])
        one, other = one.narrow(dim, 0, size), other.narrow(dim, 0, size)
    if not one.numel():
        return 0.0
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-12))


def deterministic_evaluation(part: PartUnderTest) -> str:
    """In evaluation mode, two predictions of one batch are bit-identical in every setting."""
    settings, _ = every_setting(part)
    for setting, built in settings.items():
        built.model.eval()
        if not torch.equal(predicted(built, part.examples), predicted(built, part.examples)):
            raise Broken(f"{setting}two predictions of one batch differ")
    return f"{len(settings)} settings"


def gradients(part: PartUnderTest) -> str:
    """For each parameter, the derivative along a random direction equals the central difference of the loss."""
    built = prepared(part.builder, part.trial, {}, exact=True)
    batch = built.batch(part.probes[0])
    generator = torch.Generator().manual_seed(0)

    def loss() -> torch.Tensor:
        seed_generators(0)  # layers that draw must draw the same
        value: torch.Tensor = built.forward(built.model, batch)
        return value

    built.backward(built.model, loss())
    worst = 0.0
    for name, parameter in built.model.named_parameters():
        if not parameter.requires_grad:
            continue
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(parameter.device)
        direction /= direction.norm()
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.to_dense()
        derivative = float((gradient * direction).sum())
        losses = []
        with torch.no_grad():
            original = parameter.clone()
            for step in (STEP, -STEP):
                parameter.copy_(original + step * direction)
                losses.append(float(loss()))
            parameter.copy_(original)
        slope = (losses[0] - losses[1]) / (2 * STEP)
        error = abs(slope - derivative) / max(float(gradient.norm()), abs(slope), 1e-5)
        worst = max(worst, error)
        if error > TOLERANCE:
            raise Broken(f"along {name}, the slope of the loss is {slope:.6g} but the gradient gives {derivative:.6g}")
    return f"off by {worst:.0e} at most"


def trains(part: PartUnderTest) -> str:
    """In thirty steps on one batch, all numbers stay finite, and the loss of a model decreases."""
    built = part.built()
    seed_generators(0)
    batch = built.batch(part.examples)
    losses = []
    for number in range(STEPS):
        losses.append(float(train_step(built, batch)))
        if not torch.isfinite(torch.tensor(losses[-1])):
            raise Broken(f"the loss of step {number + 1} is {losses[-1]}")
    for name, parameter in built.model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise Broken(f"after {STEPS} steps, {name} is not finite")
    first, last = sum(losses[:3]) / 3, sum(losses[-3:]) / 3
    change = f"loss of {BATCH} examples {first:.3g} to {last:.3g} in {STEPS} steps"
    if part.declared.kind == "model" and not last < first:
        raise Broken(f"it cannot fit one batch: {change}")
    return change
