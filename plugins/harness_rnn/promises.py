"""Promises of sequence models, in addition to those of all models.

Each function takes a model as `harness.testing.PartUnderTest` and raises `Broken` with what it found. The sequences are
synthetic and small, so that the checks work for models of any dataset. The sentences are in `harness_rnn`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

from harness import Skip
from harness.testing import Broken, PartUnderTest, verify_level
from harness.testing.part_under_test import message_prefix
from harness_rnn.contract import SequenceBatch, SequenceExample, SequenceFacts, SequenceModel, collate
from harness_rnn.tasks import no_label

#: Lengths of a ragged batch: unsorted, with ties and ones, the longest neither first nor last.
RAGGED = (5, 1, 9, 3, 9, 1, 4)
#: The largest difference in float64 that rounding explains.
ROUNDING = 1e-9
#: Sizes of the models, unless the caller gives any. Small models show the same mistakes.
SMALL = {"hidden_size": 16, "embedding_size": 8}
VOCABULARY, CLASSES, FEATURES = 11, 3, 4
#: The tasks that a dataset may set.
TASKS = {
    "a class of tokens": SequenceFacts(VOCABULARY, CLASSES),
    "a class of features": SequenceFacts(0, CLASSES, FEATURES),
    "a number": SequenceFacts(VOCABULARY, 1, task="value"),
    "a class for each step": SequenceFacts(VOCABULARY, CLASSES, task="steps"),
    "a number for each step": SequenceFacts(0, 1, FEATURES, task="step_values"),
}
CLASS_OF_TOKENS = TASKS["a class of tokens"]


def every_layer_and_direction(part: PartUnderTest) -> str:
    """Outputs are (B, T, D*H) and final is (B, D*H) for every task, and for one to three layers, one and two
    directions, with and without dropout. The encoder's `output_size` D*H is twice as large for two directions."""
    variants = list(every_variant(part))
    for where, facts, parameters in variants:
        model, batch = build(part, facts, **parameters), of_lengths(facts, RAGGED)
        rows, steps = batch.tokens.shape[:2]
        outputs, final, _ = model.core(model.embed(batch.tokens), batch.lengths)
        size = model.encoder.output_size
        check(f"{where}the core's outputs", outputs, (rows, steps, size))
        check(f"{where}the core's final", final, (rows, size))
        expected = (rows, steps, facts.classes) if facts.per_step else (rows, facts.classes)
        check(f"{where}the prediction", model.predict(batch), expected)
        model.loss(batch).backward()  # type: ignore[no-untyped-call]
        if parameters.get("bidirectional"):
            one = build(part, facts, **{**parameters, "bidirectional": False}).encoder.output_size
            if size != 2 * one:
                raise Broken(f"{where}the output size is {size}, not twice the {one} of one direction")
    return f"{len(variants)} models"


def check(what: str, tensor: Tensor, shape: tuple[Any, ...]) -> None:
    """Raise Broken unless the tensor is finite and of this shape."""
    if tensor.shape != shape:
        raise Broken(f"{what} has shape {tuple(tensor.shape)}; expected {shape}")
    if not bool(torch.isfinite(tensor).all()):
        raise Broken(f"{what} is not finite")


def every_variant(part: PartUnderTest, *, dropout: bool = True) -> Iterator[tuple[str, SequenceFacts, dict[str, Any]]]:
    """Every task with the model's own parameters, and one task with every setting. Each starts with its description."""
    for task, facts in TASKS.items():
        yield f"for the task {task!r}: ", facts, {}
    for parameters in settings(part, dropout=dropout):
        yield message_prefix(parameters), CLASS_OF_TOKENS, parameters


def settings(part: PartUnderTest, *, dropout: bool = True) -> Iterator[dict[str, Any]]:
    """Layers times directions times dropout, as far as the model has these parameters."""
    choices = {"num_layers": (1, 2, 3), "bidirectional": (False, True), "dropout": (0.0, 0.5) if dropout else (0.0,)}
    available = {name: values for name, values in choices.items() if name in part.schema}
    for values in product(*available.values()):
        chosen = dict(zip(available, values, strict=True))
        if chosen.get("dropout") and chosen.get("num_layers", 2) < 2:
            continue  # dropout is between layers
        yield chosen


def length_one(part: PartUnderTest) -> None:
    """Sequences of one step give a finite loss and gradients: alone, all of them, and among longer ones."""
    for task, facts in TASKS.items():
        for lengths in ((1,), (1, 1, 1), (1, 6, 1)):
            loss = build(part, facts).loss(of_lengths(facts, lengths))
            loss.backward()  # type: ignore[no-untyped-call]
            check(f"for the task {task!r}: the loss of sequences of lengths {lengths}", loss, ())


def ragged_as_alone(part: PartUnderTest) -> None:
    """Outputs at valid steps, final state and logits of each row of a ragged batch are those of the row alone."""
    for where, facts, parameters in every_variant(part, dropout=False):
        model = build(part, facts, **parameters).double().eval()
        batch = double(of_lengths(facts, RAGGED))
        together = model.observe(batch)
        for row, length in enumerate(RAGGED):
            for name, tensor in model.observe(row_of(batch, row, length)).items():
                in_batch = together[name][row]
                difference = distance(tensor[0], in_batch[:length] if tensor.dim() == 3 else in_batch)
                if difference > ROUNDING:
                    raise Broken(f"{where}in a row of length {length}, the error of {name} is {difference:.1e}")


def padding_does_not_leak(part: PartUnderTest) -> None:
    """Other values in the padding, or more of it, change no output at a valid step, final state, logit, loss or
    gradient."""
    for where, facts, parameters in every_variant(part, dropout=False):
        model = build(part, facts, **parameters).double().eval()
        batch = double(of_lengths(facts, RAGGED))
        expected = everything(model, batch)
        changes = {
            "other values in the padding": with_other_padding(batch),
            "four more steps of padding": longer(batch, 4),
        }
        for change, other in changes.items():
            for name, tensor in everything(model, other).items():
                difference = distance(tensor, expected[name])
                if difference > ROUNDING:
                    raise Broken(f"{where}{change} change {name} by {difference:.1e}")


def everything(model: SequenceModel, batch: SequenceBatch) -> dict[str, Tensor]:
    """Observations, loss, and the gradient of every weight for the sum of their squares."""
    model.zero_grad()
    observed = {**model.observe(batch), "the loss": model.loss(batch)}
    total = sum(tensor.square().sum() for tensor in observed.values())
    total.backward()  # type: ignore[union-attr]
    found = {name: tensor.detach() for name, tensor in observed.items()}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            found[f"the gradient of {name}"] = parameter.grad.clone()
    return found


def packed_as_padded(part: PartUnderTest) -> str:
    """Packed and padded are the same computation for one and two layers, verified as before a run."""
    tried = 0
    for parameters in settings(part, dropout=False):
        if parameters.get("num_layers", 1) > 2:
            continue  # no different from two
        base = {**part.base, "model": {**small_sizes(part), **part.suite_entry, **parameters}}
        finding = verify_level(base, {"use": ["pack"]}, catalog=part.catalog)
        if finding["outcome"] != "ok":
            raise Broken(f"{message_prefix(parameters)}{finding['reason']}")
        tried += 1
    return f"{tried} settings"


def carried_state(part: PartUnderTest) -> str:
    """A batch that is cut in two, with the carry of the first piece passed to the second, gives the same as a whole."""
    tried = 0
    for parameters in settings(part, dropout=False):
        if parameters.get("bidirectional"):
            continue  # the backward direction begins at the end
        model = build(part, CLASS_OF_TOKENS, **parameters).double().eval()
        x = model.embed(of_lengths(CLASS_OF_TOKENS, (8, 8, 8)).tokens)
        whole, final, _ = model.core(x, torch.tensor([8, 8, 8]))
        first, _, carry = model.core(x[:, :3], torch.tensor([3, 3, 3]))
        if carry is None:
            raise Skip("its core returns no carry")
        second, last, _ = model.core(x[:, 3:], torch.tensor([5, 5, 5]), carry)
        difference = max(distance(torch.cat([first, second], 1), whole), distance(last, final))
        if difference > ROUNDING:
            raise Broken(f"{message_prefix(parameters)}the error of two pieces is {difference:.1e}")
        tried += 1
    return f"{tried} settings"


def build(part: PartUnderTest, facts: SequenceFacts, **parameters: Any) -> SequenceModel:
    """The model for these facts, with a fixed seed."""
    torch.manual_seed(0)
    model = part.code(facts, **{**part.trial.model.parameters, **small_sizes(part), **parameters})
    for method in ("embed", "core", "readout", "head", "observe", "predict", "loss"):
        if not callable(getattr(model, method, None)):
            raise Broken(f"it offers 'sequence' but has no method {method}")
    return model  # type: ignore[no-any-return]


def small_sizes(part: PartUnderTest) -> dict[str, int]:
    """Sizes of a small model, as far as the model has these parameters and the user gave none."""
    return {name: size for name, size in SMALL.items() if name in part.schema and name not in part.parameters}


def of_lengths(facts: SequenceFacts, lengths: Sequence[int]) -> SequenceBatch:
    """Random sequences of these lengths, with labels for the task."""
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
        if facts.task == "step_values":
            label = torch.randn(length, generator=generator)
        examples.append(SequenceExample(number, tokens, label))
    return collate(examples)


def double(batch: SequenceBatch) -> SequenceBatch:
    """The batch with features and numbers in float64."""
    return batch._replace(
        tokens=batch.tokens.double() if batch.tokens.is_floating_point() else batch.tokens,
        labels=batch.labels.double() if batch.labels.is_floating_point() else batch.labels,
    )


def row_of(batch: SequenceBatch, row: int, length: int) -> SequenceBatch:
    """One row without padding."""
    labels = batch.labels[row : row + 1]
    return SequenceBatch(
        batch.ids[row : row + 1],
        batch.tokens[row : row + 1, :length],
        batch.lengths[row : row + 1],
        labels[:, :length] if labels.dim() == 2 else labels,
    )


def with_other_padding(batch: SequenceBatch) -> SequenceBatch:
    """The batch with valid tokens, or large features, in the padding."""
    tokens = batch.tokens.clone()
    padding = torch.arange(tokens.shape[1]) >= batch.lengths[:, None]
    tokens[padding] = 100.0 if tokens.is_floating_point() else 7
    return batch._replace(tokens=tokens)


def longer(batch: SequenceBatch, by: int) -> SequenceBatch:
    """The batch with more padding at the end."""
    tokens = torch.cat([batch.tokens, torch.zeros_like(batch.tokens[:, :1]).expand(-1, by, *batch.tokens.shape[2:])], 1)
    labels = batch.labels
    if labels.dim() == 2:
        labels = torch.cat([labels, labels.new_full((len(labels), by), no_label(labels))], 1)
    return batch._replace(tokens=tokens, labels=labels)


def distance(one: Tensor, other: Tensor) -> float:
    """The largest absolute difference; infinite if the shapes differ."""
    if one.shape != other.shape:
        return float("inf")
    return float((one - other).detach().abs().max()) if one.numel() else 0.0
