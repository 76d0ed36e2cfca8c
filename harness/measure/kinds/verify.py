"""Verifies before timing, on difficult examples, that each variant keeps its promise.

The reference is the baseline in float64. The error of the baseline in float32 estimates the rounding error. The error
of a variant that promises the same computation may be four times as large (plus one millionth).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

import torch

from harness.measure.runtime.builder import SAME_FUNCTION, BuiltTrial, TrialBuilder, no_mark
from harness.measure.runtime.failure import TrialFailed, failures_of, reason_of
from harness.measure.runtime.global_state import GlobalState
from harness.measure.runtime.gradients import set_gradients
from harness.measure.runtime.module_modes import evaluation_mode, without_dropout
from harness.measure.runtime.probes import probes_of
from harness.measure.runtime.watchdog import Watchdog
from harness.records.plan import Block, Trial

#: The largest allowed error of a variant is FACTOR times the error of the float32 baseline, plus OFFSET.
FACTOR, OFFSET = 4.0, 1e-6

#: What a trial promises, by what it `changes`.
PROMISES = {
    "rounding": "the same computation",
    "order": "the same computation in another order",
    "update": "the same gradients before the update",
    "model": "finite numbers",
    "answer": "nothing",
}

Tensors = dict[str, torch.Tensor]


class BrokenPromise(Exception):
    """A variant breaks a promise of its parts."""


@contextmanager
def exact_products() -> Iterator[None]:
    """Switch TensorFloat-32 off: on a GPU it rounds factors to ten bits, and this error would hide whether a
    computation is the same. Timing uses torch's defaults."""
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
    is not finite). The baseline's finding includes the amounts counted in the dataset. If the baseline is not ok, it is
    the only finding."""
    verifier = Verifier(block, builder, watchdog)
    state = GlobalState()
    findings = []
    for trial in block.trials:
        finding: dict[str, Any] = {"level": trial.level, "outcome": "ok", "reason": "", "data": {}}
        findings.append(finding)
        try:
            watchdog.doing(trial.level, "verifying")
            verifier.verify(trial, finding["data"])
        except BrokenPromise as broken:
            finding.update(outcome="invalid", reason=f"promises {PROMISES[trial.changes]}, but {broken}")
        except TrialFailed as failure:
            finding.update(outcome="failed", reason=failure.reason)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a trial's code may raise anything
            finding.update(outcome="failed", reason=f"verifying: {reason_of(error)}")
        changed = state.restore()
        if changed and finding["outcome"] == "ok":
            finding.update(outcome="failed", reason=f"it changes {', '.join(changed)}, which all trials share")
        if trial is block.baseline and finding["outcome"] != "ok":
            break
    watchdog.stop_alarm()
    return findings


class Verifier:
    """Verifies the trials of one block. The baseline comes first, since the others are compared with it."""

    def __init__(self, block: Block, builder: TrialBuilder, watchdog: Watchdog) -> None:
        self.block, self.builder, self.watchdog = block, builder, watchdog
        self.baseline = block.baseline
        data = self.data = builder.data(self.baseline.dataset)
        self.probes = probes_of(block, data)
        #: The weights of the baseline, its tensors in float64 for each probe, and the errors of its float32 tensors.
        self.weights: Mapping[str, torch.Tensor] = {}
        self.references: list[Tensors] = []
        self.baseline_errors: list[dict[str, float]] = []

    def verify(self, trial: Trial, data: dict[str, Any]) -> None:
        """Verify one trial, and add to the data of its finding. Raises BrokenPromise and TrialFailed."""
        if trial is self.baseline:
            self.weights = self.builder.weights(trial)
            exact = self.prepared(trial, torch.float64)
            self.references = self.observed(exact)
            data["dataset_counts"] = dataset_counts(exact, self.data.train)
        built = self.prepared(trial)
        observed = self.observed(built)
        for name, tensor in (item for tensors in observed for item in tensors.items()):
            if not bool(torch.isfinite(tensor).all()):
                raise TrialFailed(trial.level, f"{name} is not finite (NaN or infinity)")
        if trial is self.baseline:
            self.baseline_errors = [errors(*pair) for pair in zip(observed, self.references, strict=True)]
        elif trial.changes in SAME_FUNCTION:
            data.update(self.check_observations(observed))
        if trial.changes != "answer":
            self.check_order(trial, built)
        if trial.changes in ("rounding", "order"):
            self.check_update(trial)
            self.check_step(trial)

    def prepared(self, trial: Trial, dtype: torch.dtype = torch.float32) -> BuiltTrial:
        """The built trial with the weights of the baseline: see `prepared`."""
        return prepared(self.builder, trial, self.weights, dtype)

    def observed(self, built: BuiltTrial) -> list[Tensors]:
        """The observations on each probe. Raises TrialFailed with the name of the probe."""
        found = []
        for probe in self.probes:
            with failures_of(built.trial.level, f"verifying {probe.name}"):
                found.append(observations(built, probe.examples, self.watchdog))
        return found

    def check_observations(self, observed: Sequence[Tensors]) -> dict[str, Any]:
        """Compare the tensors of each probe with the reference. Returns the error that is closest to its limit. Raises
        BrokenPromise."""
        worst = (0.0, 1.0, "")  # the error, its limit, and the name of the tensor
        for probe, (tensors, reference) in enumerate(zip(observed, self.references, strict=True)):
            missing = sorted(set(reference) ^ set(tensors))
            if missing:
                raise BrokenPromise(f"only one of it and the baseline has {missing[0]}")
            found = errors(tensors, reference)
            for name, tensor in tensors.items():
                if tensor.shape != reference[name].shape:
                    shapes = f"{tuple(tensor.shape)} and not {tuple(reference[name].shape)}"
                    raise BrokenPromise(f"{name} has shape {shapes}")
                error, allowed = found.get(name, 0.0), FACTOR * self.baseline_errors[probe].get(name, 0.0) + OFFSET
                if error > allowed:
                    limit = f"rounding allows {allowed:.1e}; {self.probes[probe].name}"
                    raise BrokenPromise(f"{name} is off by {error:.1e} of its largest value ({limit})")
                worst = max(worst, (error, allowed, name), key=lambda case: case[0] / case[1])
        return dict(zip(("error", "allowed", "of"), worst, strict=True))

    def check_order(self, trial: Trial, built: BuiltTrial) -> None:
        """Raise BrokenPromise unless each example of the work set is in exactly one batch."""
        try:
            examples = self.builder.work_set(trial, self.block.measures.work_set_batches)
        except ValueError:
            return  # there are too few examples; timing will report that
        try:
            built.work_batches(examples)
        except ValueError as error:
            raise BrokenPromise(str(error)) from error

    def check_update(self, trial: Trial) -> None:
        """Raise BrokenPromise unless the updates of trial and baseline change parameters equally, given the same
        gradients."""

        def update(built: BuiltTrial) -> None:
            set_gradients(built, built.batch(self.probes[-1].examples), projection)
            built.update(built.model, built.optimizer)

        for name, change, expected in self.parameter_changes(trial, update):
            difference, size = float((change - expected).abs().max()), float(expected.abs().max())
            if difference > 1e-4 * size + 1e-7:
                raise BrokenPromise(f"the same gradients move {name} differently (by {difference:.1e} of {size:.1e})")

    def check_step(self, trial: Trial) -> None:
        """Raise BrokenPromise unless one whole step, as it is timed, changes the weights equally.

        The tolerance is one percent: an optimizer that depends on signs, as Adam does in its first step, amplifies a
        gradient that rounds to either side of zero. If a replaced `step` leaves something out, the difference is
        larger.
        """

        def step(built: BuiltTrial) -> None:
            built.step(built, built.batch(self.probes[-1].examples), no_mark)

        changes = self.parameter_changes(trial, step)
        difference = sum(float((change - expected).square().sum()) for _, change, expected in changes) ** 0.5
        size = sum(float(expected.square().sum()) for _, _, expected in changes) ** 0.5
        if difference > 0.01 * size:
            raise BrokenPromise(f"a whole step moves the weights differently (by {difference / size:.1%})")

    def parameter_changes(
        self, trial: Trial, act: Callable[[BuiltTrial], None]
    ) -> list[tuple[str, torch.Tensor, torch.Tensor]]:
        """The name of each parameter that trial and baseline have, and how `act` changes it in each of them; empty if
        one of them has no optimizer."""
        found: list[Tensors] = []
        for one in (trial, self.baseline):
            built = self.prepared(one)
            if built.optimizer is None:
                return []
            before = {name: parameter.detach().clone() for name, parameter in built.model.named_parameters()}
            act(built)
            found.append({name: one.detach() - before[name] for name, one in built.model.named_parameters()})
        changes, expected = found
        return [(name, changes[name], expected[name]) for name in sorted(changes.keys() & expected.keys())]


def dataset_counts(built: BuiltTrial, examples: Sequence[Any], most: int = 64) -> dict[str, float]:
    """The amounts counted in the first batches (at most `most`) in the order of the dataset itself. Reports compare
    them with the amounts in the work set."""
    totals: dict[str, float] = {}
    size = built.trial.batch_size
    for at in range(0, min(len(examples), most * size), size):
        for name, amount in built.count(built.model, built.collate(examples[at : at + size])).items():
            totals[name] = totals.get(name, 0.0) + amount
    return totals


def prepared(
    builder: TrialBuilder, trial: Trial, weights: Mapping[str, torch.Tensor], dtype: torch.dtype
) -> BuiltTrial:
    """The built trial in train mode, with the probability of every dropout set to 0."""
    built = builder.build(trial, weights, dtype=dtype)
    without_dropout(built.model)
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
    found |= gradients(built, loss, "gradient of")
    # The loss does not depend on states that the classifier ignores, but the projection depends on all of them.
    order = torch.argsort(batch.ids)
    total: Any = 0.0
    for name, tensor in built.observe(built.model, batch).items():
        if tensor.shape[:1] != batch.ids.shape:
            raise ValueError(f"observes {name} of shape {tuple(tensor.shape)} for {len(batch.ids)} examples")
        tensor = tensor[order.to(tensor.device)]
        found[name] = tensor
        total = total + (tensor * projection(name, tensor)).sum()
    with evaluation_mode(built.model), torch.inference_mode():  # as it is timed
        predictions = built.evaluate(built.model, batch)
    if isinstance(predictions, torch.Tensor):
        if predictions.shape[:1] != batch.ids.shape:
            raise ValueError(f"predicts shape {tuple(predictions.shape)} for {len(batch.ids)} examples")
        found["predictions"] = predictions[order.to(predictions.device)]
    if isinstance(total, torch.Tensor) and total.requires_grad:
        found |= gradients(built, total, "projected gradient of")
    return {name: tensor.detach().double().cpu() for name, tensor in found.items()}


def projection(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Random weights for an observed tensor. Its name and shape fix them, so they are the same for every variant."""
    generator = torch.Generator().manual_seed(Random(name).randrange(1 << 31))
    weights = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
    return weights.to(device=tensor.device, dtype=tensor.dtype)


def gradients(built: BuiltTrial, loss: torch.Tensor, prefix: str) -> Tensors:
    """The dense gradient of each parameter after a backward pass. The model has no gradients afterwards."""
    built.backward(built.model, loss)
    found = {
        f"{prefix} {name}": parameter.grad.to_dense().clone() if parameter.grad.is_sparse else parameter.grad.clone()
        for name, parameter in built.model.named_parameters()
        if parameter.grad is not None
    }
    built.model.zero_grad(set_to_none=True)
    return found


def as_dtype(batch: Any, dtype: torch.dtype) -> Any:
    """The batch with its floating-point tensors in another type."""
    return type(batch)(
        *(
            value.to(dtype) if isinstance(value, torch.Tensor) and value.is_floating_point() else value
            for value in batch
        )
    )


def errors(tensors: Tensors, reference: Tensors) -> dict[str, float]:
    """The largest error of each tensor, as a share of the largest value of the reference."""
    return {
        name: float((tensor - reference[name]).abs().max() / reference[name].abs().max().clamp(min=1e-12))
        for name, tensor in tensors.items()
        if name in reference and tensor.shape == reference[name].shape and tensor.numel()
    }
