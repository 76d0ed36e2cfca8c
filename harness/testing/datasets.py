"""Promises of datasets: every process loads the same examples, and batches have the form that models need."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict
from typing import Any

import torch

from harness.measure.runtime.digests import digest_of_data, digest_of_examples
from harness.measure.runtime.evaluation import Whole
from harness.measure.runtime.nested import tensors_in
from harness.plugins.catalog import resolve
from harness.plugins.parts import Batch, Skip
from harness.plugins.whole_score import WholeScore
from harness.testing.part_under_test import BATCH, Broken, PartUnderTest
from harness.testing.subprocess_checks import ask

#: The number of examples of each half that are tested for unique ids.
MOST = 512


def same_in_every_process(part: PartUnderTest) -> None:
    """A fresh process with another hash seed loads the same examples as this one."""
    if ask("digest", part.catalog, of="data", trial=asdict(part.trial)) != digest_of_data(part.data):
        raise Broken("another process loads different data; does it list a set, or draw without a seed?")


def examples_repeat(part: PartUnderTest) -> None:
    """Two batches of the same examples are equal, and so are two loads of the dataset."""
    data = part.data
    examples = list(data.train[:BATCH])
    before = digest_of_examples(data, examples)
    if digest_of_examples(data, examples) != before:
        raise Broken("two batches of the same examples differ: collate changes the examples, or draws something")
    if digest_of_examples(data, [data.train[position] for position in range(len(examples))]) != before:
        raise Broken("reading the same positions again gives other examples")
    if digest_of_data(part.code(**part.trial.dataset.parameters)) != digest_of_data(data):
        raise Broken("loading it twice in one process gives different data")


def batches(part: PartUnderTest) -> str:
    """Batches of one and of several examples have the required form, and all ids are different."""
    data = part.data
    ids: list[int] = []
    for name, half in {"train": data.train, "test": data.test}.items():
        if not len(half):
            raise Broken(f"{name} has no examples")
        for size in (1, min(BATCH, len(half))):
            check_batch(data.collate(list(half[:size])), size, f"a batch of {size} from {name}")
        for at in range(0, min(len(half), MOST), BATCH):
            ids += data.collate(list(half[at : at + BATCH])).ids.tolist()
    if len(set(ids)) < len(ids):
        raise Broken(f"{len(ids) - len(set(ids))} of {len(ids)} ids are not unique across train and test")
    if data.count is not None:
        for amount, value in data.count(data.collate(list(data.train[:BATCH]))).items():
            if not isinstance(value, int | float):
                raise Broken(f"the counted amount {amount} is a {type(value).__name__}, not a number")
    return f"{len(data.train)} to train, {len(data.test)} to test"


def check_batch(batch: Any, size: int, what: str) -> None:
    """The batch is a NamedTuple of finite tensors with `size` ids, and moves to another device."""
    if not isinstance(batch, tuple) or not hasattr(batch, "_fields") or not isinstance(batch, Batch):
        raise Broken(f"{what} is a {type(batch).__name__}, not a NamedTuple with ids and to(device)")
    if not isinstance(batch.ids, torch.Tensor) or batch.ids.shape != (size,):
        raise Broken(f"the ids of {what} are not a tensor of shape ({size},)")
    for name, tensor in zip(batch._fields, batch, strict=True):
        if isinstance(tensor, torch.Tensor) and not bool(torch.isfinite(tensor).all()):
            raise Broken(f"{name} of {what} is not finite")
    moved = batch.to("meta")
    if type(moved) is not type(batch):
        raise Broken(f"to(device) returns a {type(moved).__name__}, not a {type(batch).__name__}")
    if not any(tensor.device.type == "meta" for tensor in tensors_in(moved)):
        raise Broken("to(device) moves no tensor")


def fingerprint(part: PartUnderTest) -> str:
    """Two calls return the same non-empty text, which becomes part of the ids of trials."""
    if part.declared.fingerprint is None:
        raise Broken("it has no fingerprint: runs on different data could pass for runs on the same data")
    code = resolve(part.declared.fingerprint, part.owner)
    first, second = (code(**part.trial.dataset.parameters) for _ in range(2))
    if first != second:
        raise Broken(f"two calls return different fingerprints: {first!r} and {second!r}")
    if not isinstance(first, str) or not first:
        raise Broken(f"its fingerprint is {first!r}, not a text")
    return first


def scores(part: PartUnderTest) -> str:
    """The declared scores are computed. Each of them, and the criterion, is finite for the predictions of a
    model and for the constant answer."""
    declared, data = part.declared.scores, part.data
    for name in sorted(declared):
        if name not in data.scores and not declared[name].optional:
            raise Broken(f"score {name} is declared but not computed")
    found = {f"score {name}": score for name, score in data.scores.items() if name in declared}
    if data.criterion is not None:
        found["the criterion"] = data.criterion
    if not found:
        raise Skip("it has no score besides the loss of a model")
    built = part.built()
    built.model.eval()
    batch = built.collate(list(data.test[:MOST]))  # some scores are not defined for a few examples
    with torch.no_grad():
        answers = {"": built.evaluate(built.model, batch)}
        if data.constant is not None:
            answers[" of the constant answer"] = data.constant(list(data.train[:MOST]))(batch)
    for (of, predictions), (name, score) in itertools.product(answers.items(), found.items()):
        if isinstance(score, WholeScore):
            total = Whole(score.score)
            total.add(*score.values(predictions, batch))
            if not math.isfinite(total.found()):
                raise Broken(f"{name}{of} is {total.found()}")
            continue
        values = score(predictions, batch)
        if not isinstance(values, torch.Tensor):
            raise Broken(f"{name}{of} is a {type(values).__name__}; expected a tensor (n,) of floating-point values")
        if values.dim() != 1 or not values.is_floating_point():
            shape = f"{tuple(values.shape)} {str(values.dtype).removeprefix('torch.')}"
            what = f"from predictions {tuple(predictions.shape)}: expected a tensor (n,) of floating-point values"
            raise Broken(f"{name}{of} is {shape} {what}")
        if not values.numel() or not bool(torch.isfinite(values).all()):
            raise Broken(f"{name}{of} has no values, or values that are not finite")
    if data.size is not None and not math.isfinite(data.size(data.test[0])):
        raise Broken(f"the size of an example is {data.size(data.test[0])}")
    return ", ".join(sorted(declared)) or "the criterion"
