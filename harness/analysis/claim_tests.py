"""The statistical test of a claim: where the true value lies if it is true, and which intervals show that.

docs/method.md gives the interval and the error rate of each form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from harness.analysis.stats import Estimate
from harness.records.plan import Claim

#: How far a number without chance may miss the claimed one by rounding, in the estimate's units.
ROUNDING = 1e-12


@dataclass(frozen=True)
class ClaimTest:
    """A claim is true of values from `low` to `high`, in the estimate's units, and false of values more than `gap`
    outside. A number without chance may be outside by `rounding`; with `strict` it must be inside."""

    form: Literal["difference", "equal", "limit"]
    low: float
    high: float
    gap: float = 0.0
    strict: bool = False
    rounding: float = 0.0

    @classmethod
    def of(cls, claim: Claim, floor: float, *, on_logs: bool = False) -> ClaimTest:
        """The test of a claim. A difference without an amount must exceed the `floor`. `on_logs` says whether a value
        is estimated by its logarithm."""
        by, rounding = claim.by, ROUNDING if claim.by and not (claim.is_value and claim.is_exact) else 0.0
        if claim.is_value:
            bound = math.log(by) if on_logs else by
            low, high = (bound, math.inf) if claim.expect == "at least" else (-math.inf, bound)
            return cls("limit", low, high, rounding=rounding)
        if claim.expect == "equal":
            size = by if claim.scale == "difference" else math.log1p(by)
            return cls("equal", -size, size, rounding=rounding)
        down = claim.expect.endswith("lower")
        size = by if claim.scale == "difference" else -math.log1p(-by) if down else math.log1p(by)
        if claim.is_limit:
            low, high = (-size, math.inf) if down else (-math.inf, size)
            return cls("limit", low, high, rounding=rounding)
        gap, size = (0.0, size) if by else (2 * floor, floor)
        low, high = (-math.inf, -size) if down else (size, math.inf)
        return cls("difference", low, high, gap=gap, strict=not by, rounding=rounding)

    def holds(self, estimate: Estimate, alpha: float) -> bool:
        """Whether the interval lies where the claim is true: for a difference the 1 - alpha interval, as for *faster*;
        else the 1 - 2 alpha interval, as for *equivalent*."""
        low, high = estimate.interval(1 - alpha if self.form == "difference" else max(0.0, 1 - 2 * alpha))
        if self.strict:
            return high < self.high if math.isinf(self.low) else self.low < low
        return self.low - self.rounding <= low and high <= self.high + self.rounding

    def fails(self, estimate: Estimate, alpha: float) -> bool:
        """Whether the interval lies where the claim is false: for a limit the 1 - 2 alpha interval, else the 1 - alpha
        interval. A number without chance always decides."""
        if estimate.half_width() <= ROUNDING:
            return not self.holds(estimate, alpha)
        low, high = estimate.interval(max(0.0, 1 - 2 * alpha) if self.form == "limit" else 1 - alpha)
        return low > self.high + self.gap or high < self.low - self.gap

    def distance(self, estimate: Estimate) -> float:
        """How far the estimate is outside of where the claim is true; negative inside."""
        sides = (self.low - estimate.mean, estimate.mean - self.high)
        return max(side for side, bound in zip(sides, (self.low, self.high), strict=True) if math.isfinite(bound))
