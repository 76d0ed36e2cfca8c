"""Gradients in the layout, dense or sparse, that a backward pass gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.measure.runtime.builder import BuiltTrial


def set_gradients(built: BuiltTrial, batch: Any, value_of: Callable[[str, torch.Tensor], torch.Tensor]) -> None:
    """Give each parameter the gradient ``value_of(name, parameter)``, in the layout that its gradient has for this
    batch, since some optimizers accept only one layout. Only modules with an attribute `sparse` have sparse ones."""
    if any(getattr(module, "sparse", False) for module in built.model.modules()):
        built.backward(built.model, built.forward(built.model, batch))
    for name, parameter in built.model.named_parameters():
        gradient, value = parameter.grad, value_of(name, parameter)
        is_sparse = gradient is not None and gradient.is_sparse
        parameter.grad = value.to_sparse(gradient.sparse_dim()) if is_sparse else value
