"""Verifies before timing that each variant keeps its promise, on difficult examples.

The reference is the baseline in float64. The error of the baseline in float32 estimates the rounding error; a variant
that promises the same computation may have four times that error (and a millionth more).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

import torch

from harness.measure.runtime.batches import dataset_counts, work_set
from harness.measure.runtime.builder import BuiltTrial, TrialBuilder, no_mark
from harness.measure.runtime.failure import BrokenPromise, TrialFailed, blaming
from harness.measure.runtime.global_state import GlobalState
from harness.measure.runtime.watchdog import Watchdog
from harness.plugins.parts import CHANGES
from harness.records.plan import Block, Trial
from harness.records.settings import Speed

#: A variant's error may be the error of the float32 baseline times the first number, plus the second.
TIMES, PLUS = 4.0, 1e-6

#: What a trial promises, by what it `changes`.
PROMISES = {
    "rounding": "the same computation",
    "order": "the same computation in another order",
    "update": "the same gradients before the update",
    "model": "finite numbers",
    "answer": "nothing",
}

Tensors = dict[str, torch.Tensor]


@contextmanager
def exact_products() -> Iterator[None]:
    """Switch TensorFloat-32 off. It rounds products to ten bits on a GPU, differently for each algorithm, which would
    hide whether a computation is the same. Timing uses torch's defaults."""
    products, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, cudnn.allow_tf32
    products.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        products.allow_tf32, cudnn.allow_tf32 = before


@exact_products()
def verify_block(block: Block, builder: TrialBuilder, watchdog: Watchdog) -> list[dict[str, Any]]:
    """One finding per trial, with the outcome "ok", "invalid" (a promise is broken) or "failed" (it raised, or a value
    is not finite). The baseline's finding includes the amounts counted in the dataset."""
    baseline = block.baseline
    data = builder.data(baseline.dataset)
    probes = list(data.probes(baseline.seed)) if data.probes else default_probes(data.train, baseline.batch_size)
    # And a batch of the size that is timed: code that depends on the size of a batch must do the same here.
    probes.append(random_batch(data.train, baseline.batch_size, baseline.seed))
    findings = []
    state = GlobalState()
    references: list[Tensors] = []
    own_errors: list[dict[str, float]] = []
    weights: Mapping[str, torch.Tensor] = {}
    for trial in block.trials:
        finding: dict[str, Any] = {"level": trial.level, "outcome": "ok", "reason": "", "data": {}}
        findings.append(finding)
        try:
            with blaming(trial.level, "verifying"):
                watchdog.doing(trial.level, "verifying")
                if trial is baseline:
                    weights = builder.weights(trial)
                    exact = prepared(builder, trial, weights, torch.float64)
                    references = [observations(exact, probe, watchdog) for probe in probes]
                    finding["data"]["dataset_counts"] = dataset_counts(exact, data.train)
                built = prepared(builder, trial, weights, torch.float32)
                seen = [observations(built, probe, watchdog) for probe in probes]
                for tensors in seen:
                    check_finite(trial, tensors)
                if trial is baseline:
                    own_errors = [errors(s, r) for s, r in zip(seen, references, strict=True)]
                else:
                    worst = check_promise(trial, seen, references, own_errors)
                    finding["data"].update(worst)
                if trial.changes != "answer":
                    check_order(block, trial, built, data.train)
                    if CHANGES.index(trial.changes) <= CHANGES.index("order"):
                        check_update(builder, trial, baseline, weights)
                        check_step(builder, trial, baseline, weights, probes[-1])
        except BrokenPromise as promise:
            finding.update(outcome="invalid", reason=f"promises {PROMISES[trial.changes]}, but {promise}")
        except TrialFailed as failure:
            finding.update(outcome="failed", reason=failure.reason)
        changed = state.restore()
        if changed and finding["outcome"] == "ok":
            finding.update(outcome="failed", reason=f"it changes {', '.join(changed)}, which all trials share")
        if trial is baseline and finding["outcome"] != "ok":
            break
    watchdog.stop_alarm()
    return findings


def default_probes(train: Sequence[Any], batch_size: int) -> list[list[Any]]:
    """The probes of a dataset without difficult examples: a full batch, a smaller batch, and a single example."""
    return [list(train[:batch_size]), list(train[batch_size : batch_size + 3]) or list(train[:3]), [train[0]]]


def random_batch(train: Sequence[Any], size: int, seed: int) -> list[Any]:
    """A batch of training examples that the seed fixes."""
    positions = Random(f"probe {seed}").sample(range(len(train)), min(size, len(train)))
    return [train[position] for position in positions]


def prepared(
    builder: TrialBuilder, trial: Trial, weights: Mapping[str, torch.Tensor], dtype: torch.dtype
) -> BuiltTrial:
    """The built trial in train mode, with the probability of every dropout set to 0."""
    built = builder.build(trial, weights, dtype=dtype)
    for module in built.model.modules():
        if isinstance(module, torch.nn.modules.dropout._DropoutNd):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    return built


def observations(built: BuiltTrial, examples: Sequence[Any], watchdog: Watchdog) -> Tensors:
    """The tensors that are compared, as float64 on the CPU: the loss, the predictions and the observed tensors in order
    of example id, and the gradients of the loss and of a random projection of the observed tensors."""
    watchdog.doing(built.trial.level, "verifying")
    dtype = next(built.model.parameters()).dtype
    batch = as_dtype(built.batch(examples), dtype)
    found: Tensors = {}
    loss = built.forward(built.model, batch)
    if not isinstance(loss, torch.Tensor) or loss.shape != ():
        shape = tuple(loss.shape) if isinstance(loss, torch.Tensor) else type(loss).__name__
        raise ValueError(f"forward returns {shape}; expected a scalar loss")
    found["loss"] = loss
    built.backward(built.model, loss)
    found |= {f"gradient of {name}": gradient for name, gradient in gradients(built.model)}
    built.model.zero_grad(set_to_none=True)
    # The loss does not depend on states that the classifier ignores, but the projection depends on all of them.
    order = torch.argsort(batch.ids)
    total: Any = 0.0
    for name, tensor in built.observe(built.model, batch).items():
        if tensor.shape[:1] != batch.ids.shape:
            raise ValueError(f"observes {name} of shape {tuple(tensor.shape)} for {len(batch.ids)} examples")
        tensor = tensor[order.to(tensor.device)]
        found[name] = tensor
        total = total + (tensor * projection(name, tensor)).sum()
    built.model.eval()  # as it is timed
    with torch.inference_mode():
        predictions = built.evaluate(built.model, batch)
    built.model.train()
    if isinstance(predictions, torch.Tensor):
        if predictions.shape[:1] != batch.ids.shape:
            raise ValueError(f"predicts shape {tuple(predictions.shape)} for {len(batch.ids)} examples")
        found["predictions"] = predictions[order.to(predictions.device)]
    if isinstance(total, torch.Tensor) and total.requires_grad:
        built.backward(built.model, total)
        found |= {f"projected gradient of {name}": gradient for name, gradient in gradients(built.model)}
        built.model.zero_grad(set_to_none=True)
    return {name: tensor.detach().double().cpu() for name, tensor in found.items()}


def projection(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Random weights for an observed tensor. Its name and shape fix them, so they are the same for every variant."""
    generator = torch.Generator().manual_seed(Random(name).randrange(1 << 31))
    weights = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
    return weights.to(device=tensor.device, dtype=tensor.dtype)


def gradients(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """The name and the dense gradient of each parameter."""
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            gradient = parameter.grad
            yield name, gradient.to_dense().clone() if gradient.is_sparse else gradient.clone()


def as_dtype(batch: Any, dtype: torch.dtype) -> Any:
    """The batch with its floating-point tensors in another type."""
    return type(batch)(
        *(
            value.to(dtype) if isinstance(value, torch.Tensor) and value.is_floating_point() else value
            for value in batch
        )
    )


def check_finite(trial: Trial, tensors: Tensors) -> None:
    """Raise TrialFailed if a value is not finite."""
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise TrialFailed(trial.level, f"{name} is not finite (NaN or infinity)")


def errors(tensors: Tensors, reference: Tensors) -> dict[str, float]:
    """The largest error of each tensor, as a share of the largest value of the reference."""
    return {
        name: float((tensor - reference[name]).abs().max() / reference[name].abs().max().clamp(min=1e-12))
        for name, tensor in tensors.items()
        if name in reference and tensor.shape == reference[name].shape and tensor.numel()
    }


def check_promise(
    trial: Trial, seen: Sequence[Tensors], references: Sequence[Tensors], own: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    """Compare the tensors of each probe with the reference, as far as the trial promises equality. Returns the error
    that is closest to its limit. Raises BrokenPromise."""
    if trial.changes in ("model", "answer"):
        return {}
    worst = (0.0, 1.0, "")  # the error, its limit, and the name of the tensor
    for probe, (tensors, reference, own_errors) in enumerate(zip(seen, references, own, strict=True)):
        missing = sorted(set(reference) ^ set(tensors))
        if missing:
            raise BrokenPromise(f"only one of it and the baseline has {missing[0]}")
        found = errors(tensors, reference)
        for name, tensor in tensors.items():
            if tensor.shape != reference[name].shape:
                shapes = f"{tuple(tensor.shape)} and not {tuple(reference[name].shape)}"
                raise BrokenPromise(f"{name} has shape {shapes}")
            error, allowed = found.get(name, 0.0), TIMES * own_errors.get(name, 0.0) + PLUS
            if error > allowed:
                limit = f"rounding allows {allowed:.1e}; probe {probe}"
                raise BrokenPromise(f"{name} is off by {error:.1e} of its largest value ({limit})")
            worst = max(worst, (error, allowed, name), key=lambda case: case[0] / case[1])
    return dict(zip(("error", "allowed", "of"), worst, strict=True))


def check_order(block: Block, trial: Trial, built: BuiltTrial, train: Sequence[Any]) -> None:
    """Raise BrokenPromise unless each example of the work set is in exactly one batch."""
    speed = block.measures.speed or Speed()
    try:
        examples = work_set(train, trial.batch_size, speed.batches, trial.seed)
    except ValueError:
        return  # there are too few examples; timing will report that
    try:
        built.work_batches(examples)
    except ValueError as error:
        raise BrokenPromise(str(error)) from error


def check_update(builder: TrialBuilder, trial: Trial, baseline: Trial, weights: Mapping[str, torch.Tensor]) -> None:
    """Raise BrokenPromise unless the updates of both trials change parameters equally, given the same gradients."""

    def update(built: BuiltTrial) -> None:
        for name, parameter in built.model.named_parameters():
            parameter.grad = projection(name, parameter)
        built.update(built.model, built.optimizer)

    ours, theirs = (moves(builder, one, weights, update) for one in (trial, baseline))
    for name in sorted(ours.keys() & theirs.keys()):
        difference, size = float((ours[name] - theirs[name]).abs().max()), float(theirs[name].abs().max())
        if difference > 1e-4 * size + 1e-7:
            raise BrokenPromise(f"the same gradients move {name} differently (by {difference:.1e} of {size:.1e})")


def check_step(
    builder: TrialBuilder, trial: Trial, baseline: Trial, weights: Mapping[str, torch.Tensor], examples: Sequence[Any]
) -> None:
    """Raise BrokenPromise unless one whole step, as it is timed, changes the weights equally.

    The tolerance is one percent: an optimizer that depends on signs, as Adam does in its first step, amplifies a
    gradient that rounds to either side of zero. If a replaced `step` leaves something out, the difference is larger.
    """

    def one_step(built: BuiltTrial) -> None:
        built.step(built, built.batch(examples), no_mark)

    ours, theirs = (moves(builder, one, weights, one_step) for one in (trial, baseline))
    names = sorted(ours.keys() & theirs.keys())
    difference = sum(float((ours[name] - theirs[name]).square().sum()) for name in names) ** 0.5
    size = sum(float(theirs[name].square().sum()) for name in names) ** 0.5
    if difference > 0.01 * size:
        raise BrokenPromise(f"a whole step moves the weights differently (by {difference / size:.1%})")


def moves(
    builder: TrialBuilder, trial: Trial, weights: Mapping[str, torch.Tensor], act: Callable[[BuiltTrial], None]
) -> Tensors:
    """The change of each parameter when `act` is called with the trial; empty if the trial has no optimizer."""
    built = prepared(builder, trial, weights, torch.float32)
    if built.optimizer is None:
        return {}
    before = {name: parameter.detach().clone() for name, parameter in built.model.named_parameters()}
    act(built)
    return {name: parameter.detach() - before[name] for name, parameter in built.model.named_parameters()}
