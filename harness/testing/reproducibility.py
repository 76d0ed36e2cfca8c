"""Promises of models and optimizations: the same results for the same seed, state dict, dtype and device."""

from __future__ import annotations

import io
import pickle
from dataclasses import asdict
from typing import Any

import torch

from harness.measure.runtime.builder import BuiltTrial
from harness.measure.runtime.digests import digest_of_weights
from harness.measure.runtime.dtypes import input_dtype
from harness.measure.runtime.generators import seed_generators
from harness.plugins.parts import Skip
from harness.testing.models import distance, predicted
from harness.testing.part_under_test import Broken, PartUnderTest, train_step
from harness.testing.subprocess_checks import ask

#: Training steps before and after a state is saved.
STEPS = 3


def losses_of_steps(built: BuiltTrial, part: PartUnderTest, seed: int = 0) -> list[float]:
    """The losses of some steps on one batch, with the random numbers of a seed."""
    seed_generators(seed)
    batch = built.batch(part.examples)
    return [float(train_step(built, batch)) for _ in range(STEPS)]


def repeats(part: PartUnderTest) -> None:
    """Two builds with one seed start with the same bits and stay equal while they train."""
    one, other = part.built(seed=1), part.built(seed=1)
    if digest_of_weights(one.model) != digest_of_weights(other.model):
        raise Broken("two builds with the same seed start with different weights")
    losses = losses_of_steps(one, part), losses_of_steps(other, part)
    if losses[0] != losses[1]:
        raise Broken(f"with the same seed, {STEPS} steps have the losses {losses[0]} and {losses[1]}")
    if digest_of_weights(one.model) != digest_of_weights(other.model):
        raise Broken(f"with the same seed, {STEPS} steps end at different weights")
    if part.declared.kind == "model":
        another = part.built(seed=2)
        losses_of_steps(another, part)
        if digest_of_weights(one.model) == digest_of_weights(another.model):
            raise Broken("another seed gives the same weights: all seeds of a comparison would be the same run")


def state_dict(part: PartUnderTest) -> None:
    """Another instance that loads the saved state predicts the same and continues with the same losses."""
    one, other = part.built(seed=1), part.built(seed=2)
    losses_of_steps(one, part)
    for source, target in zip(one.state(one), other.state(other), strict=True):
        if source is not None:
            target.load_state_dict(through_a_file(source.state_dict()))
    for built in (one, other):
        built.model.eval()
    if not torch.equal(predicted(one, part.examples), predicted(other, part.examples)):
        raise Broken("another instance with its state dict predicts something else")
    for built in (one, other):
        built.model.train()
    losses = losses_of_steps(one, part, seed=1), losses_of_steps(other, part, seed=1)
    if losses[0] != losses[1]:
        raise Broken(f"another instance with its state continues differently: losses {losses[0]} and {losses[1]}")


def through_a_file(state: Any) -> Any:
    """The state after torch.save and torch.load with weights_only=True."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def rebuilds(part: PartUnderTest) -> str:
    """A pickled copy predicts the same; if pickling fails, another process builds the same weights from the seed."""
    built = part.built()
    built.model.eval()
    before = predicted(built, part.examples)
    try:
        pickled = pickle.dumps(built.model)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    else:
        built.model = pickle.loads(pickled)  # safe: this process has pickled it, and no file is read
        if not torch.equal(before, predicted(built, part.examples)):
            raise Broken("a pickled copy predicts something else")
        return "pickled"
    here = digest_of_weights(part.builder.bare(part.trial))
    if ask("digest", part.catalog, of="weights", trial=asdict(part.trial)) != here:
        raise Broken(f"pickling fails ({reason}), and another process builds other weights from the same seed")
    return f"rebuilt by name, because pickling fails ({reason[:80]})"


def dtypes(part: PartUnderTest) -> None:
    """In float64, the part computes in float64. Moved back to its own dtype, its predictions are bit-identical to those
    before."""
    built = part.built()
    own = input_dtype(built.model)
    if own is None:
        raise Skip("its parameters do not have one dtype")
    built.model.eval()
    before = predicted(built, part.examples)
    built.model.to(torch.float64)
    single = {name for name, tensor in built.model.state_dict().items() if tensor.dtype == torch.float32}
    if single:
        raise Broken(f"moved to float64, {min(single)} stays in float32")
    double = predicted(built, part.examples)
    if double.dtype != torch.float64:
        raise Broken(f"moved to float64, it predicts in {double.dtype}")
    check_close("in float64", double, before.double(), 1e-3)
    built.model.to(own)
    check_same("float64", before, predicted(built, part.examples))


def check_close(where: str, prediction: torch.Tensor, before: torch.Tensor, tolerance: float) -> float:
    """The relative difference of two predictions. Raises Broken if it is above the tolerance."""
    difference = distance(prediction, before)
    if difference > tolerance:
        raise Broken(f"{where} it predicts something else (by {difference:.1e} of the largest value)")
    return difference


def check_same(where: str, before: torch.Tensor, after: torch.Tensor) -> None:
    """Raise Broken if the predictions before and after a move differ."""
    if not torch.equal(before, after):
        raise Broken(f"moved to {where} and back, it predicts something else")


def devices(part: PartUnderTest) -> str:
    """Moved to another device, the part computes there. Without a GPU, torch's meta device finds tensors that were not
    moved."""
    if torch.cuda.is_available():
        return on_a_gpu(part)
    built = part.built()
    try:
        built.model.to("meta")
        batch = built.collate(part.examples).to("meta")
        built.forward(built.model, batch).backward()
        where = built.evaluate(built.model, batch).device
    except Exception as error:
        if "device" in str(error) and not isinstance(error, NotImplementedError):
            raise Broken(f"moved to another device, it fails: {first_line(error)}") from error
        raise Skip(f"there is no GPU, and it cannot run on torch's meta device: {first_line(error)}") from error
    if where.type != "meta":
        raise Broken(f"moved to another device, it predicts on {where}")
    return "tested on torch's meta device, since there is no GPU"


def on_a_gpu(part: PartUnderTest) -> str:
    """On a GPU, the predictions are the same. Moved back to the CPU, they are bit-identical to those before."""
    built = part.built()

    def predicted_on(device: str) -> torch.Tensor:
        built.model.to(device).eval()
        built.device = torch.device(device)
        return predicted(built, part.examples)

    before = predicted_on("cpu")
    there = predicted_on("cuda")
    if there.device.type != "cuda":
        raise Broken(f"moved to cuda, it predicts on {there.device}")
    difference = check_close("on cuda", there.cpu(), before, 1e-2)  # TensorFloat-32 is allowed
    built.model.train()
    built.forward(built.model, built.batch(part.examples)).backward()
    check_same("cuda", before, predicted_on("cpu"))
    return f"cuda: off by {difference:.0e}"


def first_line(error: Exception) -> str:
    """The first line of an error, shortened."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return text if len(text) < 160 else f"{text[:160]}..."
