"""Whether a sequence model can learn from far back, and what its gates do: read off one batch, changing nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from harness_rnn.contract import NO_LABEL, SequenceBatch, SequenceModel
from harness_rnn.models.gates import gate_statistics


def health(model: SequenceModel, batch: SequenceBatch) -> Mapping[str, float | list[float]]:
    """See `SequenceModel.health`."""
    with as_if_training(model):
        with torch.no_grad():
            x = model.embed(batch.tokens)
        rnn = getattr(model.encoder, "rnn", None)
        return {**gradient_by_lag(model, batch), **gate_statistics(rnn, x, batch.lengths)}


@contextmanager
def as_if_training(model: nn.Module) -> Iterator[None]:
    """In train mode, since cuDNN has no backward pass in the other, but without any dropout; afterwards as before."""
    modes = [(module, module.training) for module in model.modules()]
    dropped = []
    for module in model.modules():
        name = "p" if isinstance(module, nn.modules.dropout._DropoutNd) else "dropout"
        if isinstance(getattr(module, name, None), float):
            dropped.append((module, name, getattr(module, name)))
    try:
        model.train()
        for module, name, _ in dropped:
            setattr(module, name, 0.0)
        yield
    finally:
        for module, name, share in dropped:
            setattr(module, name, share)
        for module, mode in modes:
            module.training = mode


def gradient_by_lag(model: SequenceModel, batch: SequenceBatch) -> dict[str, list[float]]:
    """`lags` 0, 1, 2, 4, 8, ... and for each the norm of dLoss/dx_t that many steps before the end of a row, a mean
    over the rows that are long enough.

    x is what `embed` returns. A row ends at its last valid step; where steps are asked about, at the last of these, and
    no other counts towards the loss: a lag is then the distance to the one answer. The loss is a mean over rows, so
    norms of batches of different sizes are not comparable, but their ratios are.
    """
    labels, ends = batch.labels, batch.lengths - 1
    if model.facts.task == "steps":
        labels, ends = last_asked(labels)
    with torch.enable_grad():
        x = model.embed(batch.tokens).detach().requires_grad_()
        outputs, final, _ = model.core(x, batch.lengths)
        loss = model.criterion(model.answer(outputs, final, batch.lengths), labels)
        (gradient,) = torch.autograd.grad(loss, x)
    norms = gradient.double().norm(dim=2).cpu()  # (B, T)
    lags, means = [], []
    lag, longest = 0, int(ends.max())
    while lag <= longest:
        rows = (ends >= lag).nonzero().flatten()
        lags.append(float(lag))
        means.append(float(norms[rows, ends[rows] - lag].mean()))
        lag = max(1, 2 * lag)
    return {"lags": lags, "gradient_by_lag": means}


def last_asked(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Labels (B, T) with only each row's last one left, and where that is, (B,) on the CPU: -1 where a row has none."""
    at = torch.arange(labels.shape[1], device=labels.device)
    ends = torch.where(labels != NO_LABEL, at, -1).amax(1)
    return labels.masked_fill(at != ends[:, None], NO_LABEL), ends.cpu()
