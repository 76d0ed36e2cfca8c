"""minGRU (Feng et al. 2024): h_t = (1 - z_t) h_{t-1} + z_t g(c_t), where z and c depend on x_t only."""

from typing import Literal

import torch
from harness_rnn.contract import SequenceModel
from harness_rnn.models.encoder import last_valid
from torch import nn
from torch.nn import functional as F

Scan = Literal["parallel", "sequential"]


class MinGRU(nn.Module):
    """x (B, T, E) -> outputs (B, T, H), final (B, H), carry (L, B, H)."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int, scan: Scan, double: bool) -> None:
        super().__init__()
        self.output_size, self.scan, self.double = hidden_size, scan, double
        sizes = [input_size] + [hidden_size] * (num_layers - 1)
        #: Of each layer, z before its sigmoid and c before g.
        self.layers = nn.ModuleList(nn.Linear(size, 2 * hidden_size) for size in sizes)

    def forward(self, x, lengths, carry=None):
        scan = sequential if self.scan == "sequential" else parallel_in_double if self.double else parallel
        ends = []
        for number, layer in enumerate(self.layers):
            gate, candidate = layer(x).chunk(2, 2)
            x = scan(gate, candidate, None if carry is None else carry[number])
            ends.append(x[:, -1])
        return x, last_valid(x, lengths), torch.stack(ends)


def sequential(gate, candidate, before):
    """The recurrence step by step. `gate` and `candidate` are (B, T, H), `before` is (B, H) or None."""
    z, new = torch.sigmoid(gate), positive(candidate)
    h = torch.zeros_like(new[:, 0]) if before is None else before
    outputs = []
    for share, value in zip(z.unbind(1), new.unbind(1), strict=True):
        h = (1 - share) * h + share * value
        outputs.append(h)
    return torch.stack(outputs, 1)


def parallel(gate, candidate, before):
    """The recurrence as a parallel scan over logarithms (Heinsen 2023). All terms are positive."""
    log_keep, log_take = -F.softplus(gate), -F.softplus(-gate)  # the logarithms of 1 - z and z
    terms = log_take + log_of_positive(candidate)
    if before is not None:
        least = torch.finfo(before.dtype).tiny
        terms = torch.cat([before.clamp(min=least).log()[:, None], terms], 1)
        log_keep = F.pad(log_keep, (0, 0, 1, 0))
    since = log_keep.cumsum(1)
    outputs = (since + (terms - since).logcumsumexp(1)).exp()
    return outputs if before is None else outputs[:, 1:]


def parallel_in_double(gate, candidate, before):
    """`parallel` in float64. In float32, the cumulative sum over steps loses precision."""
    before = None if before is None else before.double()
    return parallel(gate.double(), candidate.double(), before).to(gate.dtype)


def positive(x):
    """g of the paper: x + 1/2 above zero, sigmoid(x) below."""
    return torch.where(x >= 0, x + 0.5, torch.sigmoid(x))


def log_of_positive(x):
    """The logarithm of `positive(x)`."""
    return torch.where(x >= 0, (F.relu(x) + 0.5).log(), -F.softplus(-x))


def min_gru(
    facts,
    *,
    hidden_size: int = 128,
    embedding_size: int = 64,
    num_layers: int = 1,
    scan: Scan = "parallel",
    double: bool = True,
) -> SequenceModel:
    """Layers of minGRU with positive states. Tokens (B, T) -> logits (B, C).

    `scan` chooses a parallel or a sequential computation of the steps. With `double`, the parallel scan adds logarithms
    in float64.
    """
    size = facts.features or embedding_size
    return SequenceModel(facts, MinGRU(size, hidden_size, num_layers, scan, double), embedding_size)
