"""Preparation of a process that will be forked."""

from __future__ import annotations

import torch


def warm(gpus: int) -> None:
    """Set one thread, because a fork after a computation on two threads can hang. Then take a tiny training step,
    because the first optimizer of a process imports many modules.

    If there are `gpus`, no step is taken: a first backward pass starts a thread for each GPU, and an optimizer reads
    the state of the GPU's stream. After either, no child could use autograd or CUDA."""
    torch.set_num_threads(1)
    if gpus:
        return
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()


def use_threads(count: int) -> None:
    """Compute on `count` threads from now on. A fork server must use one."""
    if count != torch.get_num_threads():
        torch.set_num_threads(count)
