"""Truncated backpropagation through time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from harness import Recipe
from harness_rnn.contract import SequenceBatch, SequenceModel
from harness_rnn.tasks import has_label


def tbptt(recipe: Recipe, *, window: int = 64) -> Recipe:
    """Truncated backpropagation through time (Williams and Peng 1990): cut each batch into windows of `window` steps.

    The state passes from one window to the next, but no gradient does, so that a step stores the activations of only
    one window. A window without labels runs without gradient.

    If each step has a label, each window with labels makes an update from the mean loss over its labels. There are more
    updates per step, and later windows start from a state that was computed with older weights.

    For one label per sequence, a row has its loss in the window in which it ends, and its gradient reaches back to the
    start of that window. All rows together make one update. A readout over all steps reads the outputs of earlier
    windows without gradient.

    The model must have one direction and a core that returns a state, (L, B, H) or a pair of these; otherwise building
    the trial or the first step raises ValueError. The core of `segment` returns no state. A `window` below 1 raises
    ValueError, too.
    """
    if window < 1:
        raise ValueError(f"window = {window}: it must be at least 1")

    def step(built: Any, batch: SequenceBatch, mark: Callable[[str], None]) -> Tensor:
        model = built.model
        per_step = model.facts.per_step
        labels = labels_at(batch, per_step)
        windows = WindowedModel(model, batch)
        mean = torch.zeros((), device=batch.labels.device)
        for start in range(0, len(labels), window):
            stop = min(start + window, len(labels))
            part = cut(batch, start, stop, per_step)
            share = sum(labels[start:stop]) / max(1, sum(labels))
            with torch.set_grad_enabled(share > 0):
                loss = built.forward(windows, part)
            mark("forward")
            if not share:
                continue
            built.backward(model, loss if per_step else loss * share)
            mark("backward")
            mean = mean + loss.detach() * share
            if per_step:
                built.update(model, built.optimizer)
                mark("update")
        if not per_step:
            built.update(model, built.optimizer)
            mark("update")
        return mean

    def checked(init: Any) -> Any:
        def check_direction(model: SequenceModel) -> None:
            if getattr(getattr(model.encoder, "rnn", None), "bidirectional", False):
                raise ValueError("tbptt needs a model with one direction: a backward direction starts at the end")
            init(model)

        return check_direction

    return recipe.replace("step", step).wrap("init", checked)


class WindowedModel:
    """A proxy of the model. Its `loss` is that of the next window, which starts from the state after the previous one.
    All other attributes are the model's."""

    def __init__(self, model: SequenceModel, batch: SequenceBatch) -> None:
        self.model, self.batch = model, batch
        self.start, self.carry = 0, None
        self.before: list[Tensor] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def loss(self, part: SequenceBatch) -> Tensor:
        """The mean loss over the labels of the window, or over the rows that end in it; NaN if there are none."""
        model, lengths = self.model, self.batch.lengths
        outputs, final, carry = model.core(model.embed(part.tokens), part.lengths, self.carry)
        if carry is None:
            raise ValueError("tbptt needs a core that returns a state, but this one (of segment?) returns none")
        self.carry = detached(carry)
        start, self.start = self.start, self.start + part.tokens.shape[1]
        if model.facts.per_step:
            return model.criterion(model.predict_from(outputs, final, part.lengths), part.labels)
        ending = ((start < lengths) & (lengths <= self.start)).nonzero().flatten()
        rows = ending.to(outputs.device)
        so_far = torch.cat([*self.before, outputs], 1)
        self.before.append(outputs.detach())
        return model.criterion(model.predict_from(so_far[rows], final[rows], lengths[ending]), part.labels[rows])


def labels_at(batch: SequenceBatch, per_step: bool) -> list[int]:
    """The number of labels of each step up to the last valid one: its own, or those of the rows that end there."""
    longest = int(batch.lengths.max())
    if per_step:
        counts: list[int] = has_label(batch.labels[:, :longest]).sum(0).tolist()
    else:
        counts = torch.bincount(batch.lengths - 1, minlength=longest).tolist()
    return counts


def cut(batch: SequenceBatch, start: int, stop: int, per_step: bool) -> SequenceBatch:
    """The steps start..stop-1 of a batch. A row that has ended before counts as one step long; its results are not
    used."""
    return batch._replace(
        tokens=batch.tokens[:, start:stop],
        lengths=(batch.lengths - start).clamp(1, stop - start),
        labels=batch.labels[:, start:stop] if per_step else batch.labels,
    )


def detached(state: Any) -> Any:
    """A state without its gradient history."""
    return tuple(detached(one) for one in state) if isinstance(state, tuple) else state.detach()
