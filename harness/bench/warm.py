"""Make a process ready to be forked from: one thread, and the slow first optimizer step behind it."""

from __future__ import annotations

from unittest.mock import patch

import torch


def warm() -> None:
    """One thread, one tiny step on it, no GPU: the first optimizer of a process imports much behind the scenes, and
    after a region with two threads a fork can hang.

    An optimizer asks whether there is a GPU, and then what its stream does; the answer would wake CUDA here, and no
    child could use it."""
    torch.set_num_threads(1)
    with patch.object(torch.cuda, "is_available", lambda: False):
        model = torch.nn.Linear(2, 2)
        optimizer = torch.optim.Adam(model.parameters())
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()


def use_threads(count: int) -> None:
    """Compute on `count` threads from here on. For children only: the server stays on one."""
    if count != torch.get_num_threads():
        torch.set_num_threads(count)
