"""Some examples of a dataset, or all of them in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Subset(Sequence[Any]):
    """The examples at some positions of a dataset, which needs only `examples[position]`."""

    def __init__(self, examples: Any, positions: Sequence[int]) -> None:
        self.examples, self.positions = examples, positions

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self.examples[position] for position in self.positions[index]]
        return self.examples[self.positions[index]]


def with_slices(examples: Any) -> Sequence[Any]:
    """The same examples as a sequence that has slices: a torch `Dataset` has none."""
    return examples if isinstance(examples, list | tuple | range) else Subset(examples, range(len(examples)))
