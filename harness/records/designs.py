"""Ablation designs: which combinations of factors are measured, and which contrasts of them are the effects."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["grid", "leave-one-out", "mirror", "factorial"]
Combination = frozenset[str]

#: What tables call the place of a trial in a design.
AXIS = "factors"
#: Each design's baseline, and the fewest and the most factors it takes.
BASELINES = {"leave-one-out": "all", "mirror": "none", "factorial": "none"}
FEWEST, MOST = 2, {"factorial": 5}

AVERAGE, INTERACTION = "average over contexts", "interaction"
REMOVED, ADDED, BOTH, REST = "removed from full", "added to base", "average of both", "interaction with the rest"

#: What each estimand is; `harness.report.tables.effects` shows it under its tables.
WORDS = {
    AVERAGE: "the factor on against off, averaged over all settings of the others",
    INTERACTION: "what the first does with the second on against what it does with it off, averaged over the others",
    REMOVED: "the full model against the full model without the factor",
    ADDED: "the factor alone against none",
    BOTH: "the mean of added to base and removed from full, the Shapley value where no three factors interact",
    REST: "what the factor does in the full model against what it does alone",
}

#: The estimands that a claim about a design's effect speaks of.
CLAIMED = {"leave-one-out": (REMOVED,), "mirror": (BOTH,), "factorial": (AVERAGE, INTERACTION)}


@dataclass(frozen=True)
class Contrast:
    """An effect as a weighted sum over combinations: of one factor, or of how two interact."""

    kind: str
    factors: tuple[str, ...]
    weights: tuple[tuple[Combination, float], ...]


def combinations(design: str, factors: Sequence[str]) -> dict[str, Combination]:
    """The combinations of a design by name, the baseline first. Each is the set of the factors that are on. Where two
    names mean the same, as with two factors in a mirror, the first is kept."""
    every = frozenset(factors)
    none = {"none": frozenset[str]()}
    alone = {factor: frozenset({factor}) for factor in factors}
    without = {f"all-{factor}": every - {factor} for factor in factors}
    if design == "leave-one-out":
        named = {"all": every, **without}
    elif design == "mirror":
        named = {**none, **alone, **without, "all": every}
    else:
        sizes = (itertools.combinations(factors, size) for size in range(1, len(factors)))
        named = {**none, **{"+".join(on): frozenset(on) for several in sizes for on in several}, "all": every}
    found: dict[str, Combination] = {}
    for name, on in named.items():
        if on not in found.values():
            found[name] = on
    return found


def contrasts(design: str, factors: Sequence[str]) -> list[Contrast]:
    """The effects that a design estimates; of the kinds in `WORDS`.

    The contrasts of a factorial are the textbook's (Box, Hunter and Hunter 2005, chapter 5), with the interaction as a
    difference of differences. In a mirror the mean of both one-at-a-time effects equals the Shapley value (1953)
    where the response has no terms of three factors or more.
    """
    every, none = frozenset(factors), frozenset[str]()
    found = []
    for factor in factors:
        one = frozenset({factor})
        removed, added = {every: 1.0, every - one: -1.0}, {one: 1.0, none: -1.0}
        if design == "leave-one-out":
            found.append(_contrast(REMOVED, (factor,), removed))
        elif design == "mirror":
            found.append(_contrast(ADDED, (factor,), added))
            found.append(_contrast(REMOVED, (factor,), removed))
            found.append(_contrast(BOTH, (factor,), _sum((added, 0.5), (removed, 0.5))))
            if len(factors) > 1:
                found.append(_contrast(REST, (factor,), _sum((removed, 1.0), (added, -1.0))))
        else:
            found.append(_contrast(AVERAGE, (factor,), _factorial(factors, one)))
    if design == "factorial":
        for pair in itertools.combinations(factors, 2):
            found.append(_contrast(INTERACTION, pair, _factorial(factors, frozenset(pair))))
    return found


def effect_names(design: str, factors: Sequence[str]) -> list[str]:
    """What a claim can call the effects of a design."""
    return [name_of(c.factors) for c in contrasts(design, factors) if c.kind in CLAIMED[design]]


def name_of(factors: Sequence[str]) -> str:
    """An effect's name: its factor, or two with an x between them."""
    return " x ".join(factors)


def effect_called(text: str, factors: Sequence[str]) -> str:
    """The name of the effect that is written, its factors in whatever order."""
    parts = text.split(" x ")
    return name_of(sorted(parts, key=factors.index) if set(parts) <= set(factors) else parts)


def _factorial(factors: Sequence[str], of: Combination) -> dict[Combination, float]:
    """On minus off, once for each factor in `of`, averaged over all settings of the rest."""
    share = 1 / 2 ** (len(factors) - len(of))
    every = [frozenset(on) for size in range(len(factors) + 1) for on in itertools.combinations(factors, size)]
    return {on: share * (-1.0) ** len(of - on) for on in every}


def _sum(*terms: tuple[dict[Combination, float], float]) -> dict[Combination, float]:
    total: dict[Combination, float] = {}
    for weights, factor in terms:
        for on, weight in weights.items():
            total[on] = total.get(on, 0.0) + factor * weight
    return total


def _contrast(kind: str, factors: tuple[str, ...], weights: dict[Combination, float]) -> Contrast:
    return Contrast(kind, factors, tuple((on, weight) for on, weight in weights.items() if weight))
