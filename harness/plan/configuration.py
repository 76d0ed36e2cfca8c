"""The values of a trial: those of the base, with the levels of all axes merged into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import Place, UserError, did_you_mean
from harness.suite.loader import ABSENT, PRESENT, Suite


@dataclass(frozen=True)
class Configuration:
    """The merged values of base and levels, with their positions, by path."""

    leaves: Mapping[tuple[str, ...], tuple[Any, Place]]

    def part(self, *path: str) -> tuple[dict[str, Any], dict[str, Place]]:
        """The parameters below a path, and the position of each."""
        values, places = {}, {}
        for leaf, (value, where) in self.leaves.items():
            if leaf[:-1] == path:
                values[leaf[-1]], places[leaf[-1]] = value, where
        return values, places

    def used(self) -> list[tuple[str, Place]]:
        """The optimizations in the order of their first mention, with their positions."""
        return [(leaf[1], where) for leaf, (value, where) in self.leaves.items() if len(leaf) == 2 and value is PRESENT]


def configuration_of(suite: Suite, coordinates: Mapping[str, str]) -> Configuration:
    """Base and levels merged. Raises UserError if two axes set the same path to different values."""
    leaves: dict[tuple[str, ...], tuple[Any, Place]] = {}
    set_by: dict[tuple[str, ...], tuple[str, Any]] = {}
    for assignment in suite.base:
        leaves[assignment.path] = (assignment.value, assignment.where)
    for axis, level in coordinates.items():
        for assignment in suite.axes[axis][level]:
            path, value = assignment.path, assignment.value
            other, earlier = set_by.get(path, (axis, value))
            if other != axis and earlier != value:
                raise UserError(
                    f"axes {other} and {axis} both set {'.'.join(path)}, to {earlier!r} and {value!r}.",
                    where=assignment.where,
                    fix="Set it in only one of them.",
                )
            set_by[path] = (axis, value)
            if value is ABSENT:
                if path not in leaves:
                    known = [leaf[1] for leaf in leaves if leaf[0] == "use"]
                    fix = did_you_mean(path[1], known)
                    raise UserError(f"there is no optimization {path[1]!r} to drop.", where=assignment.where, fix=fix)
                leaves = {leaf: kept for leaf, kept in leaves.items() if leaf[:2] != path}
            elif value is None:
                leaves.pop(path, None)
            elif value is PRESENT:
                leaves.setdefault(path, (value, assignment.where))
            else:
                leaves[path] = (value, assignment.where)
    return Configuration({path: leaf for path, leaf in leaves.items() if leaf[0] is not None})
