"""Promises of datasets: the same for everybody, and batches that others can work with."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import torch

from harness.measure.runtime.digests import digest_of_data, digest_of_examples, tensors_in
from harness.plugins.catalog import resolve
from harness.plugins.parts import Batch, Skip
from harness.testing.fresh import ask
from harness.testing.subject import BATCH, Broken, Subject


def same_everywhere(subject: Subject) -> None:
    """Two fresh processes, with different hashes of strings, load the same examples."""
    trial = asdict(subject.trial)
    details = {"trial": trial, "plugins": subject.files}
    with ThreadPoolExecutor() as both:
        first, second = both.map(
            lambda seed: ask("data", **details, without=subject.without, hash_seed=seed), ("1", "2")
        )
    if first != second:
        raise Broken("two processes load different data; is something in the order of a set, or drawn without a seed?")


def examples_repeat(subject: Subject) -> None:
    """The same example is the same twice, and loading twice is loading the same."""
    data = subject.data
    examples = list(data.train[:BATCH])
    before = digest_of_examples(data, examples)
    if digest_of_examples(data, examples) != before:
        raise Broken("making a batch twice of the same examples gives two batches: collate changes or draws something")
    if digest_of_examples(data, [data.train[position] for position in range(len(examples))]) != before:
        raise Broken("asked again for the same positions, it gives other examples")
    again = subject.code(**subject.trial.dataset.parameters)
    if digest_of_data(again) != digest_of_data(data):
        raise Broken("loaded twice in one process, it is not the same")


def batches(subject: Subject) -> str:
    """A batch is a NamedTuple of tensors with the ids of its examples, of any size, and moves."""
    data = subject.data
    ids: list[int] = []
    for name, half in {"train": data.train, "test": data.test}.items():
        if not len(half):
            raise Broken(f"{name} has no examples")
        for size in (1, min(BATCH, len(half))):
            check_batch(data.collate(list(half[:size])), size, f"{size} of {name}")
        for at in range(0, min(len(half), 512), BATCH):
            ids += data.collate(list(half[at : at + BATCH])).ids.tolist()
    if len(set(ids)) < len(ids):
        raise Broken(f"{len(ids) - len(set(ids))} of {len(ids)} examples share an id with another, of train or test")
    if data.count is not None:
        for amount, value in data.count(data.collate(list(data.train[:BATCH]))).items():
            if not isinstance(value, int | float):
                raise Broken(f"it counts {amount} as a {type(value).__name__}, not a number")
    return f"{len(data.train)} to train, {len(data.test)} to test"


def check_batch(batch: Any, size: int, what: str) -> None:
    """One batch of `size` examples."""
    if not isinstance(batch, tuple) or not hasattr(batch, "_fields") or not isinstance(batch, Batch):
        raise Broken(f"collate makes a {type(batch).__name__} of {what}, not a NamedTuple with ids and to(device)")
    if not isinstance(batch.ids, torch.Tensor) or batch.ids.shape != (size,):
        raise Broken(f"the ids of a batch of {what} are not a tensor of shape ({size},)")
    for name, tensor in zip(batch._fields, batch, strict=True):
        if isinstance(tensor, torch.Tensor) and not bool(torch.isfinite(tensor).all()):
            raise Broken(f"{name} of a batch of {what} is not finite")
    moved = batch.to("meta")
    if type(moved) is not type(batch):
        raise Broken(f"to(device) makes a {type(moved).__name__} of it")
    if not any(tensor.device.type == "meta" for tensor in tensors_in(moved)):
        raise Broken("to(device) moves no tensor")


def fingerprint(subject: Subject) -> str:
    """Its content has a name that is the same each time, so that a trial's id can hold it."""
    if subject.part.fingerprint is None:
        raise Broken("it has no fingerprint: runs on different data could be taken for runs on the same")
    code = resolve(subject.part.fingerprint, subject.owner)
    parameters = subject.trial.dataset.parameters
    told = [code(**parameters) for _ in range(2)]
    if told[0] != told[1]:
        raise Broken(f"its fingerprint is {told[0]!r} and then {told[1]!r}")
    if not isinstance(told[0], str) or not told[0]:
        raise Broken(f"its fingerprint is {told[0]!r}, not a text")
    return told[0]


def scores(subject: Subject) -> str:
    """It computes the scores that its door names, and no others, of what a model predicts."""
    named, computed = set(subject.part.scores), set(subject.data.scores)
    if named != computed:
        only = sorted(named - computed) or sorted(computed - named)
        where = "its door names it and it is not computed" if named - computed else "its door does not name it"
        raise Broken(f"score {only[0]}: {where}")
    if not named:
        raise Skip("it has no score but a model's loss")
    built = subject.built()
    built.model.eval()
    batch = built.collate(list(subject.data.test[:BATCH]))
    with torch.no_grad():
        predictions = built.evaluate(built.model, batch)
    for name, score in subject.data.scores.items():
        values = score(predictions, batch)
        if not isinstance(values, torch.Tensor) or values.dim() != 1 or not values.is_floating_point():
            raise Broken(f"score {name} is not a tensor (n,) of floating-point values")
        if not values.numel() or not bool(torch.isfinite(values).all()):
            raise Broken(f"score {name} has no values or values that are not finite")
    return ", ".join(sorted(named))
