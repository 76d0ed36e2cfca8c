"""Verifies before timing, on difficult examples, that each variant keeps its promise.

The reference is the baseline in float64. A variant that promises the same computation may differ from it by as much as
rounding explains: see `harness.measure.runtime.reference`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from typing import Any, NamedTuple

import torch

from harness.measure.kinds.verify_functions import FunctionVerifier
from harness.measure.runtime.builder import SAME_FUNCTION, BuiltTrial, TrialBuilder, no_mark
from harness.measure.runtime.dtypes import as_real, lower_of
from harness.measure.runtime.experiments.same_examples import check_same_examples
from harness.measure.runtime.failure import TrialFailed, failures_of, reason_of
from harness.measure.runtime.generators import seed_generators
from harness.measure.runtime.global_state import GlobalState
from harness.measure.runtime.gradients import set_gradients
from harness.measure.runtime.observations import GRADIENT, Tensors, errors, observations, prepared, projection
from harness.measure.runtime.probes import probes_of
from harness.measure.runtime.promises import PROMISES, BrokenPromise
from harness.measure.runtime.reference import LOOSE, STRICT, Reference
from harness.measure.runtime.seed_checks import check_seeds
from harness.measure.runtime.watchdog import Watchdog
from harness.records.plan import Block, Trial

#: The largest difference of the changes of all weights by one step, as a share of their size.
LARGEST = 0.01


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
    verifier = verifier_of(block, builder, watchdog)
    state = GlobalState()
    findings = []
    for trial in block.trials:
        finding: dict[str, Any] = {"level": trial.level, "outcome": "ok", "reason": "", "data": {}}
        findings.append(finding)
        try:
            watchdog.doing(trial.level, "verifying")
            verifier.verify(trial, finding["data"])
        except BrokenPromise as broken:
            promise = f"promises {PROMISES[trial.changes]}"
            if trial.is_function:
                promise = f"it must return what {block.baseline.level} returns"
            finding.update(outcome="invalid", reason=f"{promise}, but {broken}")
        except TrialFailed as failure:
            finding.update(outcome="failed", reason=failure.reason)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a trial's code may raise anything
            finding.update(outcome="failed", reason=f"verifying: {reason_of(error)}")
        changed = state.restore()
        if changed:
            cause = f"it changes {', '.join(changed)}, which all trials share"
            finding.update(outcome="failed", reason="; ".join(filter(None, (cause, finding["reason"]))))
        if trial is block.baseline and finding["outcome"] != "ok":
            break
    watchdog.stop_alarm()
    return findings


def verifier_of(block: Block, builder: TrialBuilder, watchdog: Watchdog) -> Verifier | FunctionVerifier:
    """What verifies the trials of a block: they are models, or functions of the user."""
    kind = FunctionVerifier if block.baseline.is_function else Verifier
    return kind(block, builder, watchdog)


class Verifier:
    """Verifies the trials of one block. The baseline comes first, since the others are compared with it."""

    def __init__(self, block: Block, builder: TrialBuilder, watchdog: Watchdog) -> None:
        self.block, self.builder, self.watchdog = block, builder, watchdog
        self.baseline = block.baseline
        data = self.data = builder.data(self.baseline.dataset)
        self.probes = probes_of(block, data)
        #: The weights of the baseline.
        self.weights: Mapping[str, torch.Tensor] = {}
        self.reference: Reference

    def verify(self, trial: Trial, data: dict[str, Any]) -> None:
        """Verify one trial, and add to the data of its finding. Raises BrokenPromise and TrialFailed."""
        if trial is self.baseline:
            self.weights = self.builder.weights(trial)
        elif not check_same_examples(self.builder, self.block, trial):
            data["unseen_batches"] = True
        built, probes = self.prepared(trial), range(len(self.probes))
        observed = [self.observed(built, probe) for probe in probes]
        if trial is self.baseline:
            self.reference = Reference(built, observed, self.exact(trial, probes), self.observed)
            data["dataset_counts"] = dataset_counts(built, self.data.train)
        for name, tensor in (item for tensors in observed for item in tensors.items()):
            if not bool(torch.isfinite(tensor).all()):
                raise TrialFailed(trial.level, f"{name} is not finite (NaN or infinity)")
        if self.block.measures.trains and not any(name.startswith(GRADIENT) for name in observed[-1]):
            raise TrialFailed(trial.level, "no parameter has a gradient after the backward pass, so it does not train")
        if trial is not self.baseline and trial.changes in SAME_FUNCTION:
            data.update(self.check_observations(trial, observed))
        if trial.changes != "answer":
            self.check_order(trial, built)
        if trial.changes in ("rounding", "order"):
            self.check_update(trial)
            self.check_step(trial)
        if self.trains_under_seeds:
            check_seeds(self.builder, trial, self.weights, self.probes[-1].examples)

    @property
    def trains_under_seeds(self) -> bool:
        """Whether the block has a kind of measurement that compares runs under the same seed."""
        kinds = self.builder.catalog.measures
        return any(kinds[name].kind.placement == "per_seed" for name in self.block.measures.kinds)

    def prepared(self, trial: Trial, *, exact: bool = False) -> BuiltTrial:
        """The built trial with the weights of the baseline: see `prepared`."""
        return prepared(self.builder, trial, self.weights, exact=exact)

    def exact(self, trial: Trial, probes: Iterable[int]) -> tuple[BuiltTrial, list[Tensors]] | None:
        """The built trial in float64 and its observations; None if it cannot compute in float64."""
        try:
            built = self.prepared(trial, exact=True)
            return built, [self.observed(built, probe) for probe in probes]
        except Exception:  # code that is written for one dtype may raise anything
            return None

    def observed(self, built: BuiltTrial, probe: int) -> Tensors:
        """The observations on a probe. Raises TrialFailed with the name of the probe."""
        with failures_of(built.trial.level, f"verifying {self.probes[probe].name}"):
            return observations(built, self.probes[probe].examples, self.watchdog)

    def check_observations(self, trial: Trial, observed: Sequence[Tensors]) -> dict[str, Any]:
        """Compare the tensors of each probe with the reference. Returns the error that is closest to its limit. Raises
        BrokenPromise."""
        reference, found = self.reference, []
        for probe, tensors in enumerate(observed):
            expected = reference.tensors[probe]
            missing = sorted(set(expected) ^ set(tensors))
            if missing:
                raise BrokenPromise(f"only one of it and the baseline has {missing[0]}")
            for name, tensor in tensors.items():
                if tensor.shape != expected[name].shape:
                    shapes = f"{tuple(tensor.shape)} and not {tuple(expected[name].shape)}"
                    raise BrokenPromise(f"{name} has shape {shapes}")
            for name, error in errors(tensors, expected).items():
                limit = reference.quick_limit(probe, name)
                if error > limit:
                    limit = self.careful_limit(trial, probe, name, error)
                found.append((error, limit, name))
        worst = max(found, key=lambda case: case[0] / case[1], default=(0.0, 1.0, ""))
        return dict(zip(("error", "allowed", "of"), worst, strict=True))

    def careful_limit(self, trial: Trial, probe: int, name: str, error: float) -> float:
        """The largest error that rounding explains, from the spread of the baseline under random rounding. A variant
        that agrees with the baseline in float64 may have a larger one. Raises BrokenPromise if the error is larger."""
        reference = self.reference
        limit, exact_error = reference.limit(probe, name, STRICT), None
        if error > limit and reference.is_exact and (exact := self.exact(trial, [probe])):
            exact_error = errors(exact[1][0], reference.tensors[probe]).get(name, inf)
            if exact_error <= reference.exact_limit(probe, name):
                limit = reference.limit(probe, name, LOOSE)
        if error <= limit:
            return limit
        both = "" if exact_error is None else f"; in float64 it is off by {exact_error:.1e}"
        probed = self.probes[probe].name
        raise BrokenPromise(
            f"{name} is off by {error:.1e} of its largest value (rounding allows {limit:.1e}; {probed}{both})"
        )

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
        gradients. A difference of the size of a rounding error of the parameter is allowed."""

        def update(built: BuiltTrial) -> None:
            set_gradients(built, built.batch(self.probes[-1].examples), projection)
            built.update(built.model, built.optimizer)

        for change in self.parameter_changes(trial, update):
            difference, size = float((change.ours - change.theirs).abs().max()), float(change.theirs.abs().max())
            if difference > 1e-4 * size + 4 * torch.finfo(change.dtype).eps * change.largest:
                name = change.name
                raise BrokenPromise(f"the same gradients move {name} differently (by {difference:.1e} of {size:.1e})")

    def check_step(self, trial: Trial) -> None:
        """Raise BrokenPromise unless one whole step, as it is timed, changes the weights equally, up to one percent.

        An optimizer that looks at signs, as Adam does in its first step, amplifies a gradient that rounds to either
        side of zero. If the weights differ, the step is therefore repeated in float64, and weights whose gradient is
        smaller than its error are not compared. If a replaced `step` leaves something out, the others still differ.
        """
        difference = self.step_difference(trial)
        if difference > LARGEST:
            exact = self.reference.is_exact and self.exact(trial, [len(self.probes) - 1]) is not None
            difference = self.step_difference(trial, exact=exact, reliable=True)
        if difference > LARGEST:
            raise BrokenPromise(f"a whole step moves the weights differently (by {difference:.1%})")

    def step_difference(self, trial: Trial, *, exact: bool = False, reliable: bool = False) -> float:
        """The difference of the changes of all weights by one step, as a share of their size. With `reliable`, only
        weights are compared whose gradient is larger than its error."""

        def step(built: BuiltTrial) -> None:
            built.step(built, built.batch(self.probes[-1].examples), no_mark)

        difference, size, last = 0.0, 0.0, len(self.probes) - 1
        for change in self.parameter_changes(trial, step, exact=exact):
            ours, theirs = change.ours, change.theirs
            if reliable and (mask := self.reference.reliable(last, change.name, exact=exact)) is not None:
                ours, theirs = ours * mask.to(ours), theirs * mask.to(theirs)
            difference += float((ours - theirs).square().sum())
            size += float(theirs.square().sum())
        return (difference / size) ** 0.5 if size else 0.0 if not difference else inf

    def parameter_changes(
        self, trial: Trial, act: Callable[[BuiltTrial], None], *, exact: bool = False
    ) -> list[ParameterChange]:
        """How `act` changes each parameter that trial and baseline have; empty if one of them has no optimizer."""
        found: list[Tensors] = []
        for one in (trial, self.baseline):
            built = self.prepared(one, exact=exact)
            if built.optimizer is None:
                return []
            seed_generators(trial.seed)
            before = {name: parameter.detach().clone() for name, parameter in built.model.named_parameters()}
            act(built)
            found.append({name: as_real(p.detach() - before[name]) for name, p in built.model.named_parameters()})
        ours, theirs = found
        return [
            ParameterChange(name, ours[name], theirs[name], float(before[name].abs().max()))
            for name in sorted(ours.keys() & theirs.keys())
            if ours[name].numel()
        ]


class ParameterChange(NamedTuple):
    """How the variant and the baseline change a parameter, and the largest magnitude of its values before."""

    name: str
    ours: torch.Tensor
    theirs: torch.Tensor
    largest: float

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of fewer bits."""
        return lower_of(self.ours.dtype, self.theirs.dtype)


def dataset_counts(built: BuiltTrial, examples: Sequence[Any], most: int = 64) -> dict[str, float]:
    """The amounts counted in the first batches (at most `most`) in the order of the dataset itself. Reports compare
    them with the amounts in the work set."""
    totals: dict[str, float] = {}
    size = built.trial.batch_size
    for at in range(0, min(len(examples), most * size), size):
        for name, amount in built.count(built.model, built.collate(examples[at : at + size])).items():
            totals[name] = totals.get(name, 0.0) + amount
    return totals
