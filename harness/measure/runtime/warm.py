"""Prepare a process that will be forked: one thread, and the slow first optimizer step done."""

from __future__ import annotations

import torch


def warm(gpus: int) -> None:
    """Take one tiny step on one thread, without a GPU. The first optimizer of a process imports many modules, and after
    a computation on two threads a fork can hang.

    If there are `gpus` no step is taken, and each child pays for its own first step: a first backward pass starts a
    thread for each GPU, and an optimizer asks for the state of the GPU's stream. After either, no child could use
    autograd or CUDA."""
    torch.set_num_threads(1)
    if gpus:
        return
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()


def use_threads(count: int) -> None:
    """Compute on `count` threads from now on. A server must stay on one."""
    if count != torch.get_num_threads():
        torch.set_num_threads(count)
