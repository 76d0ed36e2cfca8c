"""Promises of sequence models: what the contract asks, beyond what the core asks of every model.

Each is a sentence at the door; the functions here take a `harness.testing.Subject` and raise `Broken` with what they
saw. They build their own small sequences, so that they hold for models of any dataset's size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

from harness import Skip
from harness.testing import Broken, Subject, find_out
from harness.testing.subject import in_words
from harness_rnn.contract import NO_LABEL, SequenceBatch, SequenceExample, SequenceFacts, SequenceModel, collate

#: Lengths of a ragged batch: unsorted, with ties and ones, the longest neither first nor last.
RAGGED = (5, 1, 9, 3, 9, 1, 4)
#: Values in float64 may differ by so much: sums in another order.
SAME = 1e-9
#: Sizes of the models, where their author has not named any: what is wrong is wrong in small, too.
SMALL = {"hidden_size": 16, "embedding_size": 8}
VOCABULARY, CLASSES, FEATURES = 11, 3, 4
#: What a dataset may ask of a sequence model.
TASKS = {
    "a class of tokens": SequenceFacts(VOCABULARY, CLASSES),
    "a class of features": SequenceFacts(0, CLASSES, FEATURES),
    "a number": SequenceFacts(VOCABULARY, 1, task="value"),
    "a class for each step": SequenceFacts(VOCABULARY, CLASSES, task="steps"),
}


def every_layer_and_direction(subject: Subject) -> str:
    """Outputs (B, T, D*H) and final (B, D*H) for one to three layers, one and two directions, with and without dropout,
    and for every task; the encoder's `output_size` D*H must be twice as much for two directions as for one."""
    tried = 0
    for where, facts, parameters in variants(subject):
        model, batch = build(subject, facts, **parameters), of_lengths(facts, RAGGED)
        rows, steps = batch.tokens.shape[:2]
        outputs, final, _ = model.core(model.embed(batch.tokens), batch.lengths)
        size = model.encoder.output_size
        check(f"{where}, the core's outputs", outputs, (rows, steps, size))
        check(f"{where}, the core's final", final, (rows, size))
        expected = (rows, steps, facts.classes) if facts.task == "steps" else (rows, facts.classes)
        check(f"{where}, what it predicts", model.predict(batch), expected)
        model.loss(batch).backward()  # type: ignore[no-untyped-call]
        if parameters.get("bidirectional"):
            one = build(subject, facts, **{**parameters, "bidirectional": False}).encoder.output_size
            if size != 2 * one:
                raise Broken(f"{where}, its output size is {size}, not twice the {one} of one direction")
        tried += 1
    return f"{tried} models"


def check(what: str, tensor: Tensor, shape: tuple[Any, ...]) -> None:
    """A finite tensor of this shape."""
    if tensor.shape != shape:
        raise Broken(f"{what} has shape {tuple(tensor.shape)} where {shape} is due")
    if not bool(torch.isfinite(tensor).all()):
        raise Broken(f"{what} is not finite")


def variants(subject: Subject, *, dropout: bool = True) -> Iterator[tuple[str, SequenceFacts, dict[str, Any]]]:
    """Every task, and every setting of the model for one of them, each in words first."""
    for task, facts in TASKS.items():
        yield f"for {task}", facts, {}
    for parameters in settings(subject, dropout=dropout):
        yield in_words(parameters), TASKS["a class of tokens"], parameters


def settings(subject: Subject, *, dropout: bool = True) -> Iterator[dict[str, Any]]:
    """Layers times directions times dropout, as far as the model has these parameters."""
    choices = {"num_layers": (1, 2, 3), "bidirectional": (False, True), "dropout": (0.0, 0.5) if dropout else (0.0,)}
    there = {name: values for name, values in choices.items() if name in subject.schema}
    for values in product(*there.values()):
        chosen = dict(zip(there, values, strict=True))
        if chosen.get("dropout") and chosen.get("num_layers", 2) < 2:
            continue  # dropout is between layers
        yield chosen


def length_one(subject: Subject) -> None:
    """Sequences of one step, alone, all of them, and among longer ones, can be learned from."""
    for task, facts in TASKS.items():
        for lengths in ((1,), (1, 1, 1), (1, 6, 1)):
            loss = build(subject, facts).loss(of_lengths(facts, lengths))
            loss.backward()  # type: ignore[no-untyped-call]
            check(f"for {task}, the loss of sequences of lengths {lengths}", loss, ())


def ragged_as_alone(subject: Subject) -> None:
    """Outputs at valid steps, final state and logits of each row of a ragged batch are those of the row alone."""
    for where, facts, parameters in variants(subject, dropout=False):
        model = build(subject, facts, **parameters).double().eval()
        batch = double(of_lengths(facts, RAGGED))
        together = model.observe(batch)
        for row, length in enumerate(RAGGED):
            for name, tensor in model.observe(row_of(batch, row, length)).items():
                there = together[name][row]
                far = off(tensor[0], there[:length] if tensor.dim() == 3 else there)
                if far > SAME:
                    raise Broken(f"{where}, {name} of a row of length {length} is off by {far:.1e}")


def padding_does_not_leak(subject: Subject) -> None:
    """Whatever stands in the pads, and however many there are, changes no output at a valid step, no final state, no
    logit, no loss and no gradient."""
    for where, facts, parameters in variants(subject, dropout=False):
        model = build(subject, facts, **parameters).double().eval()
        batch = double(of_lengths(facts, RAGGED))
        expected = everything(model, batch)
        for what, other in {"junk in the pads": junk_in_pads(batch), "four more pads": longer(batch, 4)}.items():
            for name, tensor in everything(model, other).items():
                far = off(tensor, expected[name])
                if far > SAME:
                    raise Broken(f"{where}, {what} changes {name} by {far:.1e}")


def everything(model: SequenceModel, batch: SequenceBatch) -> dict[str, Tensor]:
    """What is observed, the loss, and the gradient of every weight (of an embedding's but the padding's own row)."""
    model.zero_grad()
    seen = dict(model.observe(batch))
    seen["the loss"] = model.loss(batch)
    total = sum(tensor.square().sum() for tensor in seen.values())
    total.backward()  # type: ignore[union-attr]
    found = {name: tensor.detach() for name, tensor in seen.items()}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            found[f"the gradient of {name}"] = parameter.grad.clone()
    return found


def packed_as_padded(subject: Subject) -> str:
    """Packed and padded are the same computation, verified as before a run."""
    tried = 0
    for parameters in settings(subject, dropout=False):
        if parameters.get("num_layers", 1) > 2:
            continue  # two are as good as three
        base = {**subject.base, "model": {**subject.written, **parameters}}
        finding = find_out(base, {"use": ["pack"]}, catalog=subject.catalog)
        if finding["outcome"] != "ok":
            raise Broken(f"{in_words(parameters)}: {finding['reason']}")
        tried += 1
    return f"{tried} settings"


def carries_on(subject: Subject) -> str:
    """Cut in two, the second piece with the carry of the first, a batch of equal lengths gives what it gives whole."""
    tried = 0
    for parameters in settings(subject, dropout=False):
        if parameters.get("bidirectional"):
            continue  # the backward direction begins at the end
        model = build(subject, TASKS["a class of tokens"], **parameters).double().eval()
        x = model.embed(of_lengths(TASKS["a class of tokens"], (8, 8, 8)).tokens)
        whole, final, _ = model.core(x, torch.tensor([8, 8, 8]))
        first, _, carry = model.core(x[:, :3], torch.tensor([3, 3, 3]))
        if carry is None:
            raise Skip("it hands on no carry")
        second, last, _ = model.core(x[:, 3:], torch.tensor([5, 5, 5]), carry)
        far = max(off(torch.cat([first, second], 1), whole), off(last, final))
        if far > SAME:
            raise Broken(f"{in_words(parameters)}, in two pieces it is off by {far:.1e}")
        tried += 1
    return f"{tried} settings"


def build(subject: Subject, facts: SequenceFacts, **parameters: Any) -> SequenceModel:
    """The model for these facts, under a fixed seed."""
    torch.manual_seed(0)
    small = {name: size for name, size in SMALL.items() if name in subject.schema and name not in subject.parameters}
    model = subject.code(facts, **{**subject.trial.model.parameters, **small, **parameters})
    for method in ("embed", "core", "readout", "head", "observe", "predict", "loss"):
        if not callable(getattr(model, method, None)):
            raise Broken(f"it offers 'sequence' and has no method {method}")
    return model  # type: ignore[no-any-return]


def of_lengths(facts: SequenceFacts, lengths: Sequence[int]) -> SequenceBatch:
    """Random sequences of these lengths, with labels as the task has them."""
    generator = torch.Generator().manual_seed(sum(lengths))
    examples = []
    for number, length in enumerate(lengths):
        tokens = torch.randint(2, max(facts.vocabulary, 3), (length,), generator=generator)
        if facts.features:
            tokens = torch.randn(length, facts.features, generator=generator)
        label: Any = number % facts.classes
        if facts.task == "value":
            label = 0.5 * number
        if facts.task == "steps":
            label = torch.randint(facts.classes, (length,), generator=generator)
        examples.append(SequenceExample(number, tokens, label))
    return collate(examples)


def double(batch: SequenceBatch) -> SequenceBatch:
    """The batch with features and numbers in float64."""
    return batch._replace(
        tokens=batch.tokens.double() if batch.tokens.is_floating_point() else batch.tokens,
        labels=batch.labels.double() if batch.labels.is_floating_point() else batch.labels,
    )


def row_of(batch: SequenceBatch, row: int, length: int) -> SequenceBatch:
    """One row alone, without pads."""
    labels = batch.labels[row : row + 1]
    return SequenceBatch(
        batch.ids[row : row + 1],
        batch.tokens[row : row + 1, :length],
        batch.lengths[row : row + 1],
        labels[:, :length] if labels.dim() == 2 else labels,
    )


def junk_in_pads(batch: SequenceBatch) -> SequenceBatch:
    """The batch with valid-looking tokens, or large features, where the pads are."""
    tokens = batch.tokens.clone()
    pads = torch.arange(tokens.shape[1]) >= batch.lengths[:, None]
    tokens[pads] = 100.0 if tokens.is_floating_point() else 7
    return batch._replace(tokens=tokens)


def longer(batch: SequenceBatch, by: int) -> SequenceBatch:
    """The batch with more pads at the end."""
    tokens = torch.cat([batch.tokens, torch.zeros_like(batch.tokens[:, :1]).expand(-1, by, *batch.tokens.shape[2:])], 1)
    labels = batch.labels
    if labels.dim() == 2:
        labels = torch.cat([labels, torch.full((len(labels), by), NO_LABEL)], 1)
    return batch._replace(tokens=tokens, labels=labels)


def off(one: Tensor, other: Tensor) -> float:
    """The largest difference; infinite where shapes differ."""
    if one.shape != other.shape:
        return float("inf")
    return float((one - other).detach().abs().max()) if one.numel() else 0.0
