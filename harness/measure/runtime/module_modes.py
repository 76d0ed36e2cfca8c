"""Modes of modules: without dropout, and in evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def without_dropout(model: nn.Module) -> None:
    """Set the probability of every dropout to 0. That of a scripted module is a constant, so the module is put into
    evaluation mode instead."""
    for module in model.modules():
        name = "p" if isinstance(module, nn.modules.dropout._DropoutNd) else "dropout"
        if isinstance(module, torch.jit.ScriptModule):
            if "Dropout" in module.original_name or getattr(module, "dropout", False):
                module.training = False
        elif isinstance(getattr(module, name, None), float):
            setattr(module, name, 0.0)


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside. Afterwards, each module has its own mode again. The methods `eval` and `train` of the
    model are called, since they may do more than set the mode, such as merge weights."""
    modes = [(module, module.training) for module in model.modules()]
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
        for module, mode in modes:
            module.training = mode
