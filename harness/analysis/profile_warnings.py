"""What trials that stand in one table were computed with, and a warning where that is not the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from harness.analysis.profiles import Profiled
from harness.analysis.resources import SUBNORMAL
from harness.records.plan import Block

Profiles = Mapping[tuple[str, str], Sequence[Profiled]]


def warnings(blocks: Sequence[Block], profiles: Profiles) -> list[str]:
    """What speaks against taking a table's ratios for the effect of its levels alone. The same warning about several
    blocks is given once, with their names."""
    found: dict[str, list[str]] = {}
    for (block_id, mode), group in profiles.items():
        block = next(block for block in blocks if block.id == block_id)
        for text in (*other_ways(group), *other_flags(group), *subnormal(group)):
            found.setdefault(text, []).append(f"{block.name} · {mode}")
    return [f"{_some(places)}: {text}" for text, places in found.items()]


def other_ways(group: Sequence[Profiled]) -> list[str]:
    """A warning where not all went the same way."""
    ways = _by(group, lambda one: one.ways)
    if len(ways) < 2:
        return []
    told = "; ".join(f"{', '.join(levels)}: {' and '.join(way)}" for way, levels in ways.items())
    return [f"they were computed in different ways ({told}), so the ratio is also one between these."]


def other_flags(group: Sequence[Profiled]) -> list[str]:
    """A warning for each flag or type that not all have alike."""
    names = dict.fromkeys(name for one in group for name in told_by(one))
    texts = []
    for name in names:
        values = _by(group, partial(_flag, name))
        if len(values) > 1:
            told = "; ".join(f"{', '.join(levels)}: {in_words(value)}" for value, levels in values.items())
            texts.append(f"{name} differ ({told}).")
    return texts


def subnormal(group: Sequence[Profiled]) -> list[str]:
    """A warning where a backward pass computes with subnormal numbers."""
    levels = [one.level for one in group if (one.fingerprint.get("subnormal") or 0.0) > SUBNORMAL]
    if not levels:
        return []
    return [
        f"the backward pass of {', '.join(levels)} computes with subnormal numbers, which is slow on many processors."
    ]


def told_by(one: Profiled) -> dict[str, Any]:
    """Flags by name, and the types of the weights."""
    return {**one.fingerprint["flags"], "types of weights": ", ".join(one.fingerprint["types"])}


def in_words(value: Any) -> str:
    """A flag's value."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def ways_told(profiles: Profiles, block: str, level: str) -> dict[str, Any]:
    """What the profiles of a trial tell of how it was computed: the way in each mode, flags and types."""
    found: dict[str, Any] = {}
    for (where, mode), group in profiles.items():
        for one in group:
            if (where, one.level) == (block, level):
                found[mode] = list(one.ways)
                found |= {f"{mode}, {name}": value for name, value in told_by(one).items()}
    return found


def _flag(name: str, one: Profiled) -> Any:
    return told_by(one).get(name)


def _by(group: Sequence[Profiled], key: Callable[[Profiled], Any]) -> dict[Any, list[str]]:
    found: dict[Any, list[str]] = {}
    for one in group:
        found.setdefault(key(one), []).append(one.level)
    return found


def _some(places: Iterable[str], most: int = 4) -> str:
    named = list(places)
    rest = f" and {len(named) - most} more" if len(named) > most else ""
    return ", ".join(named[:most]) + rest
