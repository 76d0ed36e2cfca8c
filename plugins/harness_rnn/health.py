"""Health of a sequence model on one batch: how far back gradients reach, and what its gates do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from harness_rnn.contract import SequenceBatch, SequenceModel
from harness_rnn.models.gates import gate_statistics
from harness_rnn.tasks import has_label, no_label


def health(model: SequenceModel, batch: SequenceBatch) -> Mapping[str, float | list[float]]:
    """`gradient_by_lag`, and `gate_statistics` of the recurrent module if there is one. See `SequenceModel.health`."""
    with as_if_training(model):
        with torch.no_grad():
            x = model.embed(batch.tokens)
        rnn = getattr(model.encoder, "rnn", None)
        return {**gradient_by_lag(model, batch), **gate_statistics(rnn, x, batch.lengths)}


@contextmanager
def as_if_training(model: nn.Module) -> Iterator[None]:
    """Train mode without dropout inside; restored afterwards. cuDNN has no backward pass in evaluation mode."""
    modes = [(module, module.training) for module in model.modules()]
    dropped = []
    model.train()
    for module in model.modules():
        name = "p" if isinstance(module, nn.modules.dropout._DropoutNd) else "dropout"
        if isinstance(module, torch.jit.ScriptModule):  # its dropout is a constant, which evaluation switches off
            if "Dropout" in module.original_name or getattr(module, "dropout", 0.0):
                module.training = False
        elif isinstance(getattr(module, name, None), float):
            dropped.append((module, name, getattr(module, name)))
    try:
        for module, name, _ in dropped:
            setattr(module, name, 0.0)
        yield
    finally:
        for module, name, share in dropped:
            setattr(module, name, share)
        for module, mode in modes:
            module.training = mode


def gradient_by_lag(model: SequenceModel, batch: SequenceBatch) -> dict[str, list[float]]:
    """`lags` 0, 1, 2, 4, 8, ... and for each the norm of dLoss/dx_t at this distance before the end of a row, averaged
    over the rows that are long enough.

    x is the result of `embed`. A row ends at its last valid step. If each step has a label, it ends at its last
    labelled step, and only that one counts towards the loss, so that a lag is the distance to a single prediction. The
    loss is a mean over rows: compare ratios of norms between batches of different sizes, not norms.
    """
    labels, ends = batch.labels, batch.lengths - 1
    if model.facts.per_step:
        labels, ends = last_labelled(labels)
    with torch.enable_grad():
        x = model.embed(batch.tokens).detach().requires_grad_()
        outputs, final, _ = model.core(x, batch.lengths)
        loss = model.criterion(model.predict_from(outputs, final, batch.lengths), labels)
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


def last_labelled(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Labels (B, T) with only the last one of each row, and its step (B,) on the CPU, -1 in a row without labels."""
    at = torch.arange(labels.shape[1], device=labels.device)
    ends = torch.where(has_label(labels), at, -1).amax(1)
    return labels.masked_fill(at != ends[:, None], no_label(labels)), ends.cpu()
