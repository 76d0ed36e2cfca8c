"""Promises of models: shapes, gradients, learning, and answers that depend on nothing but the example."""

from __future__ import annotations

from typing import Any

import torch

from harness.errors import UserError
from harness.measure.kinds.verify import as_dtype
from harness.measure.runtime.builder import BuiltTrial
from harness.plugins.parts import Skip
from harness.testing.subject import BATCH, Broken, Subject, in_words

#: Answers in float64 may differ by so much of their largest value: sums in another order.
SAME = 1e-9
#: The step of a finite difference along a direction of length one, and how far a derivative may then be off.
STEP, OFF = 1e-5, 1e-5
#: Steps of training on one batch.
STEPS = 30


def shapes(subject: Subject) -> str:
    """Loss, predictions and observations have the shapes that are due, in every setting, on every batch."""
    tried, refused = 0, []
    for parameters in subject.settings():
        try:
            built = subject.built(**parameters)
        except (ValueError, UserError, Skip) as error:
            if not parameters:
                raise
            refused.append(f"{in_words(parameters)} is refused: {error}")
            continue
        tried += 1
        for examples in subject.batches:
            check_shapes(built, built.batch(examples), in_words(parameters))
    return "; ".join([f"{tried} settings", *refused])


def check_shapes(built: BuiltTrial, batch: Any, setting: str) -> None:
    """A scalar loss, and a row for each example in what is predicted and observed, all of it finite."""
    rows, model = len(batch.ids), built.model
    loss = built.forward(model, batch)
    if not isinstance(loss, torch.Tensor) or loss.shape != ():
        raise Broken(f"{setting}, the loss is {described(loss)} and not a scalar")
    predictions = built.evaluate(model, batch)
    if not isinstance(predictions, torch.Tensor) or predictions.shape[:1] != (rows,):
        raise Broken(f"{setting}, predict gives {described(predictions)} for {rows} examples")
    seen = built.observe(model, batch)
    for name, tensor in seen.items():
        if tensor.shape[:1] != (rows,):
            raise Broken(f"{setting}, observe gives {name} of {described(tensor)} for {rows} examples")
    for name, tensor in {"the loss": loss, "what it predicts": predictions, **seen}.items():
        if not bool(torch.isfinite(tensor).all()):
            raise Broken(f"{setting}, {name} is not finite for {rows} examples")


def described(value: Any) -> str:
    """A tensor's shape, or the type of what is none."""
    return f"shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"


def batch_of_one(subject: Subject) -> None:
    """One example alone can be learned from."""
    built = subject.built()
    batch = built.batch(subject.examples[:1])
    check_shapes(built, batch, "alone")
    loss = built.step(built, batch, lambda phase: None)
    if not bool(torch.isfinite(loss)):
        raise Broken(f"a step on one example has the loss {float(loss)}")


def alone_as_in_company(subject: Subject) -> None:
    """In evaluation, no example's answer depends on which others are in its batch."""
    built = subject.built(dtype=torch.float64)
    built.model.eval()
    for examples in subject.batches:
        together = predicted(built, examples)
        for row, example in enumerate(examples):
            far = distance(predicted(built, [example])[0], together[row])
            if far > SAME:
                others = len(examples) - 1
                raise Broken(f"example {row} is answered differently by {far:.1e} in the company of {others} others")


def predicted(built: BuiltTrial, examples: list[Any]) -> torch.Tensor:
    """What is predicted of the examples, in the order of the examples."""
    batch = as_dtype(built.batch(examples), next(built.model.parameters()).dtype)
    with torch.no_grad():
        answer: torch.Tensor = built.evaluate(built.model, batch)
    return answer


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference where both have values, as a share of the largest value."""
    for dim in range(one.dim()):
        size = min(one.shape[dim], other.shape[dim])
        one, other = one.narrow(dim, 0, size), other.narrow(dim, 0, size)
    if not one.numel():
        return 0.0
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-12))


def evaluation_is_steady(subject: Subject) -> str:
    """In evaluation two predictions of one batch are the same bits, in every setting: nothing is drawn or counted."""
    tried = 0
    for parameters in subject.settings():
        try:
            built = subject.built(**parameters)
        except (ValueError, UserError, Skip):
            continue
        tried += 1
        built.model.eval()
        if not torch.equal(predicted(built, subject.examples), predicted(built, subject.examples)):
            raise Broken(f"{in_words(parameters)}, two predictions of one batch differ")
    return f"{tried} settings"


def gradients(subject: Subject) -> str:
    """Along a random direction in each parameter, the gradient in float64 is what a finite difference gives."""
    built = subject.calm(torch.float64)
    batch = as_dtype(built.batch(subject.batches[0]), torch.float64)
    generator = torch.Generator().manual_seed(0)

    def loss() -> torch.Tensor:
        torch.manual_seed(0)  # what a layer draws is drawn alike
        value: torch.Tensor = built.forward(built.model, batch)
        return value

    built.backward(built.model, loss())
    worst = (0.0, "")
    for name, parameter in built.model.named_parameters():
        if not parameter.requires_grad:
            continue
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(parameter.device)
        direction /= direction.norm()
        told = 0.0 if parameter.grad is None else float((parameter.grad.to_dense() * direction).sum())
        size = 0.0 if parameter.grad is None else float(parameter.grad.to_dense().norm())
        with torch.no_grad():
            kept = parameter.clone()
            parameter.copy_(kept + STEP * direction)
            after = float(loss())
            parameter.copy_(kept - STEP * direction)
            before = float(loss())
            parameter.copy_(kept)
        found = (after - before) / (2 * STEP)
        off = abs(found - told) / max(size, abs(found), 1e-5)
        worst = max(worst, (off, name))
        if off > OFF:
            raise Broken(f"along {name} the loss changes by {found:.6g} and the gradient says {told:.6g}")
    return f"off by {worst[0]:.0e} at most"


def trains(subject: Subject) -> str:
    """Thirty steps on one batch: every number stays finite, and a model's loss falls."""
    built = subject.built()
    torch.manual_seed(0)
    batch = built.batch(subject.examples)
    losses = []
    for number in range(STEPS):
        losses.append(float(built.step(built, batch, lambda phase: None)))
        if not torch.isfinite(torch.tensor(losses[-1])):
            raise Broken(f"the loss of step {number + 1} is {losses[-1]}")
    for name, parameter in built.model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise Broken(f"after {STEPS} steps {name} is not finite")
    first, last = sum(losses[:3]) / 3, sum(losses[-3:]) / 3
    told = f"loss of {BATCH} examples {first:.3g} to {last:.3g} in {STEPS} steps"
    if subject.part.kind == "model" and not last < first:
        raise Broken(f"it does not learn one batch by heart: {told}")
    return told
