"""The base of everything that is concluded from records: one estimate with its interval and verdict; and the
corrections for the number of findings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from harness.analysis import stats
from harness.analysis.stats import Estimate
from harness.analysis.verdicts import DIFFERENT, Flag, Verdict
from harness.records.plan import Block
from harness.records.record import Record

Scale = Literal["ratio", "difference", "number", "exponent"]
FindingT = TypeVar("FindingT", bound="Finding")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one metric shows about `level` (or the effect of that name) in one block and mode.

    `estimate` is in log units where `scale` is "ratio", and None where there is too little to estimate. `adjusted` is
    the p value of a difference, adjusted for the number of comparisons."""

    block: Block
    level: str
    mode: str
    metric: str
    scale: Scale = "ratio"
    estimate: Estimate | None = None
    verdict: Verdict = Verdict.INVALID
    reason: str = ""
    flags: tuple[Flag, ...] = ()
    confidence: float = 0.95
    adjusted: float | None = None

    @property
    def context(self) -> Mapping[str, str]:
        """The levels of the axes that are not compared."""
        return self.block.context

    @property
    def baseline(self) -> str:
        """The level that it is compared with."""
        return self.block.baseline.level

    @property
    def size(self) -> float | None:
        """The estimate as a ratio to the baseline, or as a difference."""
        return None if self.estimate is None else self.on_scale(self.estimate.mean)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval of `size` that decides; None where there is too little for one."""
        if self.estimate is None or not math.isfinite(self.estimate.error) or self.estimate.df <= 0:
            return None
        low, high = self.estimate.interval(self.confidence)
        return self.on_scale(low), self.on_scale(high)

    @property
    def low(self) -> float | None:
        """The lower end of `interval`."""
        return self.interval[0] if self.interval else None

    @property
    def high(self) -> float | None:
        """The upper end of `interval`."""
        return self.interval[1] if self.interval else None

    def on_scale(self, value: float) -> float:
        """A value in the units of the estimate on the scale of `size`."""
        return math.exp(value) if self.scale == "ratio" else value

    def in_words(self, value: float) -> str:
        """A value on the scale of `size` as text."""
        return scaled_in_words(value, self.scale)


def scaled_in_words(value: float, scale: str) -> str:
    """A ratio, a difference in points, of numbers or of exponents as text."""
    if scale in ("exponent", "number"):
        return f"{value:+.2f}" if scale == "exponent" else f"{value:+.3g}"
    return f"{100 * value:+.1f}" if scale == "difference" else f"{value:.3f}"


def exact_in_words(ratio: float) -> str:
    """An exact ratio with enough digits to tell it from 1."""
    return next((words for digits in range(3, 18) if (words := f"{ratio:.{digits}g}") != "1"), "1")


def failure_in_words(record: Record) -> str:
    """Why the trial of a record has no verdict. "Invalid" is left out, since the verdict says it."""
    return record.reason if record.outcome == "invalid" else f"{record.outcome}: {record.reason}"


def control_false_discoveries(comparisons: Iterable[FindingT], floor: float) -> list[FindingT]:
    """The comparisons with p values corrected within each metric (Benjamini-Hochberg). A difference that may be chance
    among so many is flagged."""
    found: list[Any] = list(comparisons)
    for i, _ in _corrected(found, floor, stats.benjamini_hochberg, frozenset()):
        if found[i].adjusted > 0.05 and found[i].verdict in DIFFERENT:
            found[i] = replace(found[i], flags=(*found[i].flags, Flag.ONE_OF_MANY))
    return found


def control_familywise_errors(
    findings: Iterable[FindingT], floor: float, without: frozenset[Verdict] = frozenset()
) -> list[FindingT]:
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
    found: list[Any], floor: float, correct: Callable[[Sequence[float]], list[float]], without: frozenset[Verdict]
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
