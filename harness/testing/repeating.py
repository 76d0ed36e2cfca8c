"""Promises of models and optimizations: the same again, from a seed, from a file, in another process, elsewhere."""

from __future__ import annotations

import io
import pickle
from dataclasses import asdict
from typing import Any

import torch

from harness.measure.runtime.builder import BuiltTrial
from harness.measure.runtime.digests import digest_of_weights
from harness.plugins.parts import Skip
from harness.testing.fresh import ask
from harness.testing.models import distance, predicted
from harness.testing.subject import Broken, Subject

#: Steps before and after a state is saved.
STEPS = 3


def steps(built: BuiltTrial, subject: Subject, seed: int = 0, count: int = STEPS) -> list[float]:
    """The losses of some steps on one batch, with what is drawn on the way drawn alike."""
    torch.manual_seed(seed)
    batch = built.batch(subject.examples)
    return [float(built.step(built, batch, lambda phase: None)) for _ in range(count)]


def repeats(subject: Subject) -> None:
    """Two builds under one seed are the same to the last bit, and stay so while they learn."""
    one, other = subject.built(seed=1), subject.built(seed=1)
    if digest_of_weights(one.model) != digest_of_weights(other.model):
        raise Broken("two models built under one seed begin with different weights")
    losses = steps(one, subject), steps(other, subject)
    if losses[0] != losses[1]:
        raise Broken(f"under one seed, {STEPS} steps have the losses {losses[0]} and {losses[1]}")
    if digest_of_weights(one.model) != digest_of_weights(other.model):
        raise Broken(f"under one seed, {STEPS} steps end at different weights")
    if subject.part.kind == "model" and digest_of_weights(one.model) == _weights_under(subject, 2):
        raise Broken("another seed gives the same weights: a comparison over seeds would see one of them")


def _weights_under(subject: Subject, seed: int) -> str:
    built = subject.built(seed=seed)
    steps(built, subject)
    return digest_of_weights(built.model)


def state_dict(subject: Subject) -> None:
    """Everything that a step changes is saved and loaded: another instance answers and goes on alike."""
    one, other = subject.built(seed=1), subject.built(seed=2)
    steps(one, subject)
    for source, target in zip(one.state(one), other.state(other), strict=True):
        if source is not None:
            target.load_state_dict(through_a_file(source.state_dict()))
    for built in (one, other):
        built.model.eval()
    if not torch.equal(predicted(one, subject.examples), predicted(other, subject.examples)):
        raise Broken("another instance with its state dict predicts something else")
    for built in (one, other):
        built.model.train()
    losses = steps(one, subject, seed=1), steps(other, subject, seed=1)
    if losses[0] != losses[1]:
        raise Broken(f"another instance with its state goes on differently: {losses[0]} and {losses[1]}")


def through_a_file(state: Any) -> Any:
    """What torch reads of what it wrote, with nothing but weights let through."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def rebuilds(subject: Subject) -> str:
    """Pickled and unpickled it predicts the same; or else another process builds the same weights from its name."""
    built = subject.built()
    built.model.eval()
    before = predicted(built, subject.examples)
    try:
        text = pickle.dumps(built.model)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    else:
        built.model = pickle.loads(text)  # from this process a moment ago
        if not torch.equal(before, predicted(built, subject.examples)):
            raise Broken("what is pickled and read again predicts something else")
        return "pickled"
    here = digest_of_weights(subject.builder.bare(subject.trial))
    details = {"trial": asdict(subject.trial), "plugins": subject.files}
    if ask("weights", **details, without=subject.without, hash_seed="1") != here:
        raise Broken(f"it cannot be pickled ({why}), and another process builds other weights from the same seed")
    return f"rebuilt by name: it cannot be pickled ({why[:80]})"


def dtypes(subject: Subject) -> None:
    """In float64 all of it computes in float64; back in float32 it says what it said."""
    built = subject.built()
    built.model.eval()
    before = predicted(built, subject.examples)
    built.model.to(torch.float64)
    kept = {name for name, tensor in built.model.state_dict().items() if tensor.dtype == torch.float32}
    if kept:
        raise Broken(f"moved to float64, {min(kept)} stays in float32")
    double = predicted(built, subject.examples)
    if double.dtype != torch.float64:
        raise Broken(f"in float64 it predicts in {double.dtype}")
    far = distance(double, before.double())
    if far > 1e-3:
        raise Broken(f"in float64 it predicts something else (by {far:.1e} of the largest value)")
    built.model.to(torch.float32)
    if not torch.equal(before, predicted(built, subject.examples)):
        raise Broken("moved to float64 and back it predicts something else")


def devices(subject: Subject) -> str:
    """On another device it computes there. Where there is no GPU, torch's meta device tells whether a tensor was left
    behind."""
    if torch.cuda.is_available():
        return on_a_gpu(subject)
    built = subject.built()
    try:
        built.model.to("meta")
        batch = built.collate(subject.examples).to("meta")
        built.forward(built.model, batch).backward()
        where = built.evaluate(built.model, batch).device
    except Exception as error:
        if "device" in str(error) and not isinstance(error, NotImplementedError):
            raise Broken(f"moved to another device, it fails: {first_line(error)}") from error
        raise Skip(
            f"there is no GPU here, and torch's meta device cannot stand in for one: {first_line(error)}"
        ) from error
    if where.type != "meta":
        raise Broken(f"moved to another device, it predicts on {where}")
    return "seen on torch's meta device: there is no GPU here"


def on_a_gpu(subject: Subject) -> str:
    """The same predictions on a GPU, and the same bits back on the CPU."""
    built = subject.built()
    built.model.to("cpu").eval()
    built.device = torch.device("cpu")
    before = predicted(built, subject.examples)
    built.model.to("cuda")
    built.device = torch.device("cuda")
    there = predicted(built, subject.examples)
    if there.device.type != "cuda":
        raise Broken(f"moved to cuda, it predicts on {there.device}")
    far = distance(there.cpu(), before)
    if far > 1e-2:  # TensorFloat-32 is allowed
        raise Broken(f"on cuda it predicts something else (by {far:.1e} of the largest value)")
    built.model.train()
    built.forward(built.model, built.batch(subject.examples)).backward()
    built.model.to("cpu")
    built.device = torch.device("cpu")
    built.model.eval()
    if not torch.equal(before, predicted(built, subject.examples)):
        raise Broken("moved to cuda and back it predicts something else")
    return f"cuda: off by {far:.0e}"


def first_line(error: Exception) -> str:
    """The first line of an error, cut where it grows long."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return text if len(text) < 160 else text[:160] + "..."
