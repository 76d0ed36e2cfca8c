"""How much rounding may change the results of a computation, estimated by repeating it with random rounding errors.

Each repetition multiplies the inputs of every operator by 1 + u, with a random u of the size of a rounding error. The
results then spread as much as those of other orders of the same sums do: the estimate follows from the number of terms
and from the conditioning. This is Monte Carlo arithmetic (D. S. Parker, "Monte Carlo Arithmetic", 1997).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from random import Random
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

#: Random numbers are drawn once, and tensors of at most half as many elements get a part of them.
POOL = 1 << 18


class RandomRounding(TorchDispatchMode):  # type: ignore[misc]  # torch does not declare its type
    """While it is active, every operator gets inputs with random relative errors of up to an epsilon of `dtype`.

    Operators that only choose elements or make views get their inputs as they are: the maximum of equal values is the
    same element in every order of a sum."""

    def __init__(self, dtype: torch.dtype, seed: int) -> None:
        super().__init__()
        self.size = torch.finfo(dtype).eps
        self.random, self.generator = Random(seed), torch.Generator().manual_seed(seed)
        self.pool = self.factors(POOL)

    def factors(self, count: int) -> torch.Tensor:
        """Random factors near 1, shape (count,)."""
        return 1 + self.size * (torch.rand(count, generator=self.generator, dtype=torch.float64) * 2 - 1)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here. If this were true, torch would import its compiler, which takes seconds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        changed = list(args)
        for position in read_arguments(func):
            if position < len(changed):
                value = changed[position]
                one = isinstance(value, torch.Tensor)
                changed[position] = self.rounded(value) if one else tree_map_only(torch.Tensor, self.rounded, value)
        return func(*changed, **(kwargs or {}))

    def rounded(self, tensor: torch.Tensor) -> torch.Tensor:
        """A copy with random relative errors."""
        count = tensor.numel()
        if not tensor.is_floating_point() or tensor.layout != torch.strided or not count:
            return tensor
        if count <= POOL // 2:
            begin = self.random.randrange(POOL - count)
            factors = self.pool[begin : begin + count]
        else:
            factors = self.factors(count)
        return tensor * factors.view(tensor.shape).to(tensor)


@cache
def read_arguments(func: Any) -> tuple[int, ...]:
    """The positions of the tensors that an operator computes with, without one that it changes in place. There are none
    if it returns a view, or chooses elements."""
    schema = func._schema
    aliases = [value.alias_info for value in (*schema.arguments, *schema.returns) if value.alias_info is not None]
    if any(not alias.is_write for alias in aliases) or schema.name.partition("::")[2] in CHOOSING:
        return ()
    return tuple(
        position
        for position, argument in enumerate(schema.arguments)
        if "Tensor" in str(argument.type) and argument.alias_info is None
    )


#: Operators whose result depends on which of their inputs is larger, or that pass on which one was chosen.
CHOOSING = frozenset({
    "max", "min", "argmax", "argmin", "sort", "topk", "kthvalue", "median", "mode", "cummax", "cummin", "eq", "ne",
    "lt", "le", "gt", "ge", "isclose", "equal", "sign", "floor", "ceil", "round", "trunc", "bernoulli", "multinomial",
    "max_pool2d_with_indices", "max_pool3d_with_indices", "adaptive_max_pool2d", "adaptive_max_pool3d",
    "_local_scalar_dense",
})  # fmt: skip


def spread(samples: list[dict[str, float]], errors: Mapping[str, float]) -> dict[str, float]:
    """The root mean square of the errors of each tensor, over the samples and the baseline's own error."""
    found = {}
    for name, own in errors.items():
        squares = [own**2, *(sample[name] ** 2 for sample in samples if name in sample)]
        found[name] = (sum(squares) / len(squares)) ** 0.5
    return found
