"""One comparison of a result, as `Result.of` gives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.analysis.finding import Finding
from harness.errors import UserError, did_you_mean
from harness.report.answers import answer
from harness.report.cells import FIRST_LOOK


@dataclass(frozen=True, repr=False)
class OneComparison:
    """A level against the baseline, by one metric in one context and mode. `finding` has all that is known."""

    finding: Finding
    first_look: bool = False

    @property
    def level(self) -> str:
        """The level."""
        return self.finding.level

    @property
    def verdict(self) -> str:
        """The verdict, such as faster, slower, equivalent or undecided. A first look has no verdict: ""."""
        return "" if self.first_look else str(self.finding.verdict)

    @property
    def reason(self) -> str:
        """Why it is undecided or invalid; else empty."""
        return self.finding.reason

    @property
    def ratio(self) -> float | None:
        """The time of the level over that of the baseline, or the ratio or the difference of a score. None where there
        is no estimate."""
        return self.finding.size

    @property
    def interval(self) -> tuple[float, float] | None:
        """The confidence interval of `ratio`, which decides."""
        return self.finding.interval

    def __repr__(self) -> str:
        return f"{FIRST_LOOK}: {answer(self.finding)}" if self.first_look else answer(self.finding)


def choose(findings: Sequence[Finding], wanted: Mapping[str, str]) -> Finding:
    """The one comparison whose level, mode, metric and coordinates are these. Raises UserError where there is none or
    several, and says what to choose by."""
    if not findings:
        raise UserError(
            "this run compared nothing.", fix="result.problems says why; result.rows('numbers') has the rest."
        )
    left = [(_names(one), one) for one in findings]
    for name, value in wanted.items():
        known = {names[name]: None for names, _ in left if name in names}
        if not known:
            names = sorted({each for names, _ in left for each in names})
            raise UserError(f"comparisons of this run have no {name!r}.", fix=did_you_mean(name, names))
        left = [(names, one) for names, one in left if names.get(name) == value]
        if not left:
            raise UserError(f"no comparison has {name}={value!r}.", fix=did_you_mean(value, known))
    if len(left) > 1:
        first = left[0][0]
        differing = [f"{name}={value!r}" for name, value in first.items() if any(n.get(name) != value for n, _ in left)]
        what = f"{len(left)} comparisons of this run fit."
        raise UserError(what, fix=f"Choose one, for example: result.of({', '.join(differing)})")
    return left[0][1]


def _names(one: Finding) -> dict[str, str]:
    """What a comparison can be chosen by."""
    return {**one.context, "level": one.level, "mode": one.mode, "metric": one.metric}
