"""Truncated backpropagation through time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from harness import Recipe
from harness_rnn.contract import NO_LABEL, SequenceBatch, SequenceModel


def tbptt(recipe: Recipe, *, window: int = 64) -> Recipe:
    """Cut each batch into windows of `window` steps, carry the state from one to the next, and let no gradient pass
    between them (Williams and Peng 1990): a step keeps the activations of one window only.

    Where steps are asked about, each window that has labels makes an update of its own, from the mean loss over its
    labels: more updates a step, and later windows begin with a state that older weights have left.

    Where a class or a number is asked of the whole sequence, only the window in which a row ends knows its loss. The
    gradient of a row reaches back to the beginning of that window: 1 to `window` steps, as its length has it. All rows
    together make one update, so truncation is all that differs from the default step. A readout over all steps reads
    those of earlier windows without gradient.

    A window that nothing is asked of runs without gradient. It takes a model that carries a state, hence of one
    direction, and no part that runs the core without handing the state on, as `segment` does: that raises ValueError.
    """
    if window < 1:
        raise ValueError(f"window = {window} is less than one step")

    def step(built: Any, batch: SequenceBatch, mark: Callable[[str], None]) -> Tensor:
        model = built.model
        each = model.facts.task == "steps"
        asked = asked_at(batch, each)
        windows = Windows(model, batch)
        mean = torch.zeros((), device=batch.labels.device)
        for start in range(0, len(asked), window):
            stop = min(start + window, len(asked))
            part = cut(batch, start, stop, each)
            share = sum(asked[start:stop]) / max(1, sum(asked))
            with torch.set_grad_enabled(share > 0):
                loss = built.forward(windows, part)
            mark("forward")
            if not share:
                continue
            built.backward(model, loss if each else loss * share)
            mark("backward")
            mean = mean + loss.detach() * share
            if each:
                built.update(model, built.optimizer)
                mark("update")
        if not each:
            built.update(model, built.optimizer)
            mark("update")
        return mean

    def checked(init: Any) -> Any:
        def check_direction(model: SequenceModel) -> None:
            if getattr(getattr(model.encoder, "rnn", None), "bidirectional", False):
                raise ValueError("tbptt cuts time from left to right, and a backward direction begins at the right end")
            init(model)

        return check_direction

    return recipe.replace("step", step).wrap("init", checked)


class Windows:
    """What `forward` is given for a model: its loss is that of the next window, which begins with the state that the
    last one has left. In all else it is the model."""

    def __init__(self, model: SequenceModel, batch: SequenceBatch) -> None:
        self.model, self.batch = model, batch
        self.start, self.carry = 0, None
        self.before: list[Tensor] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def loss(self, part: SequenceBatch) -> Tensor:
        """The mean loss over the labels of the window, or over the rows that end in it; NaN where there are none."""
        model, lengths = self.model, self.batch.lengths
        outputs, final, carry = model.core(model.embed(part.tokens), part.lengths, self.carry)
        if carry is None:
            raise ValueError("tbptt carries the state from window to window, and this core (segment's?) returns none")
        self.carry = detached(carry)
        start, self.start = self.start, self.start + part.tokens.shape[1]
        if model.facts.task == "steps":
            return model.criterion(model.answer(outputs, final, part.lengths), part.labels)
        ending = ((start < lengths) & (lengths <= self.start)).nonzero().flatten()
        rows = ending.to(outputs.device)
        so_far = torch.cat([*self.before, outputs], 1)
        self.before.append(outputs.detach())
        return model.criterion(model.answer(so_far[rows], final[rows], lengths[ending]), part.labels[rows])


def asked_at(batch: SequenceBatch, each: bool) -> list[int]:
    """How many labels each step has, up to the last valid one: of steps, or of the rows that end there."""
    longest = int(batch.lengths.max())
    if each:
        counts: list[int] = (batch.labels[:, :longest] != NO_LABEL).sum(0).tolist()
    else:
        counts = torch.bincount(batch.lengths - 1, minlength=longest).tolist()
    return counts


def cut(batch: SequenceBatch, start: int, stop: int, each: bool) -> SequenceBatch:
    """The batch from step `start` to before `stop`. A row that has ended before counts as one step long: what it
    computes there is asked of nobody."""
    return batch._replace(
        tokens=batch.tokens[:, start:stop],
        lengths=(batch.lengths - start).clamp(1, stop - start),
        labels=batch.labels[:, start:stop] if each else batch.labels,
    )


def detached(state: Any) -> Any:
    """A state without its past."""
    return tuple(detached(one) for one in state) if isinstance(state, tuple) else state.detach()
