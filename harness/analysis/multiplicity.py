"""Corrections for the number of comparisons: the more there are, the more of them look different by chance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from harness.analysis import stats
from harness.analysis.finding import Finding
from harness.analysis.verdicts import DIFFERENT, Flag, Verdict

One = TypeVar("One", bound=Finding)
Correction = Callable[[Sequence[float]], list[float]]


def discoveries(comparisons: Iterable[One], floor: float) -> list[One]:
    """The comparisons with p values corrected within each metric (Benjamini-Hochberg). A difference that may be chance
    among so many is flagged."""
    found: list[Any] = list(comparisons)
    for i, _ in _corrected(found, floor, stats.benjamini_hochberg, frozenset()):
        if found[i].adjusted > 0.05 and found[i].verdict in DIFFERENT:
            found[i] = replace(found[i], flags=(*found[i].flags, Flag.ONE_OF_MANY))
    return found


def as_a_family(findings: Iterable[One], floor: float, without: frozenset[Verdict] = frozenset()) -> list[One]:
    """The findings with p values corrected within each metric (Holm), those `without` these verdicts. A difference that
    may be chance among so many becomes undecided."""
    found: list[Any] = list(findings)
    for i, number in _corrected(found, floor, stats.holm_adjusted, without):
        one = found[i]
        if one.verdict in DIFFERENT and one.adjusted > 1 - one.confidence:
            reason = f"{one.verdict} on its own, not after correcting for {number} comparisons"
            found[i] = replace(one, verdict=Verdict.UNDECIDED, reason=reason)
    return found


def _corrected(
    found: list[Any], floor: float, correct: Correction, without: frozenset[Verdict]
) -> list[tuple[int, int]]:
    """Set `adjusted` of the findings that have an estimate, in place: their positions, each with the size of its
    family."""
    places = []
    for metric in dict.fromkeys(one.metric for one in found):
        family = [
            i for i, one in enumerate(found) if one.metric == metric and one.estimate and one.verdict not in without
        ]
        p_values = [found[i].estimate.p_value(floor) for i in family]
        for i, adjusted in zip(family, correct(p_values), strict=True):
            found[i] = replace(found[i], adjusted=adjusted)
            places.append((i, len(family)))
    return places
