"""Make a process ready to be forked from: one thread, and the slow first optimizer step behind it."""

from __future__ import annotations

import torch


def warm(gpus: int) -> None:
    """One thread, one tiny step on it, no GPU: the first optimizer of a process imports much behind the scenes, and
    after a region with two threads a fork can hang.

    Where there are `gpus` there is no step, and each child pays for its own: a first backward pass starts a thread for
    each GPU, and an optimizer asks what the GPU's stream does, and after either no child could use autograd or CUDA."""
    torch.set_num_threads(1)
    if gpus:
        return
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()


def use_threads(count: int) -> None:
    """Compute on `count` threads from here on. For children only: the server stays on one."""
    if count != torch.get_num_threads():
        torch.set_num_threads(count)
