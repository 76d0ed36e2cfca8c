"""Grouping of findings and blocks: by any key, and along an axis whose levels are numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from harness.analysis.finding import Finding
from harness.records.plan import Block

Item = TypeVar("Item")
Key = TypeVar("Key")
FindingT = TypeVar("FindingT", bound=Finding)
#: Axes with their levels.
Context = tuple[tuple[str, str], ...]

#: The fewest different numbers along which results are followed.
FEWEST = 3
#: Where the largest number is at least this many times the smallest, numbers are spaced by their logs.
WIDE = 10.0


def grouped(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """The items by key, in the order of each key's first item."""
    found: dict[Key, list[Item]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def by_place(findings: Iterable[FindingT]) -> dict[tuple[str, str, str], list[FindingT]]:
    """Findings by block id, mode and metric."""
    return grouped(findings, lambda one: (one.block.id, one.mode, one.metric))


def along(axes: Sequence[str], blocks: Iterable[Block]) -> dict[Context, list[Block]]:
    """The blocks that differ in these axes alone, by the levels of the other axes."""
    return grouped(blocks, lambda block: tuple(item for item in block.context.items() if item[0] not in axes))


def axes_of(blocks: Iterable[Block]) -> list[str]:
    """The axes of the contexts of blocks, in the suite's order."""
    return list(dict.fromkeys(axis for block in blocks for axis in block.context))


def numbers_of(axis: str, levels: Iterable[str]) -> list[float] | None:
    """The levels of an axis as numbers; None where one is no number. A level is a number alone or after the axis's own
    name ("20", "lag 20"); a name that merely ends in digits is not."""
    try:
        found = [float(level.removeprefix(axis).strip(" _=")) for level in levels]
    except ValueError:
        return None
    return found if all(map(math.isfinite, found)) else None


def number(level: str) -> float | None:
    """The number above zero that a level's name is; None for any other name."""
    try:
        value = float(level)
    except ValueError:
        return None
    return value if 0 < value < math.inf else None


def groups_along(axis: str, blocks: Sequence[Block]) -> list[list[Block]]:
    """The blocks that differ in the level of `axis` alone, smallest level first; none where a level is no number."""
    if not all(number(block.context.get(axis, "")) for block in blocks):
        return []
    return list(along([axis], sorted(blocks, key=lambda block: float(block.context[axis]))).values())


def spaced_by_logs(numbers: Sequence[float]) -> bool:
    """Whether numbers, the smallest first, are spaced by their logs."""
    return numbers[0] > 0 and numbers[-1] >= WIDE * numbers[0]
