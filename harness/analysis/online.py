"""Error control over a series of tries: at which error rate each try may be called faster.

The rule is LORD++ (Ramdas, Yang, Wainwright and Jordan 2017, after the alpha investing of Foster and Stine 2008 and
LORD of Javanmard and Montanari 2018). Each try spends some of an allowance, and each keep earns some back. The rates of
all tries together never exceed `alpha` times the number of keeps (of 1, before the first). Therefore

- if no try has an effect, the probability that any of them is kept is at most alpha / 2;
- otherwise, the expected number of false keeps is at most alpha times that of all keeps (mFDR).

Both need only that each try is kept with at most its own rate if it has no effect, whatever happened before. A try that
has not ended counts as not kept (Zrnic, Ramdas and Jordan 2021), so several may run at the same time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

#: How evenly the allowance is spread: half of it is for the first 20 tries, and a tenth for those after 180.
SPREAD = 20


def share_of(age: int) -> float:
    """The share of an amount that is spent on the try number `age` (1, 2, ...) since the amount was earned. All shares
    add up to 1."""
    return SPREAD / ((age + SPREAD - 1) * (age + SPREAD))


@dataclass(frozen=True)
class SeriesState:
    """How many tries were begun, and for each keep how many had been begun when it was known."""

    alpha: float
    begun: int = 0
    keeps: tuple[int, ...] = ()

    @property
    def earned(self) -> tuple[tuple[int, float], ...]:
        """The amounts that can be spent: after how many tries each was earned, and how much it is. The first keep earns
        less, since half of alpha is there from the beginning."""
        amounts = (self.alpha / 2, *(self.alpha for _ in self.keeps[1:]))
        return ((0, self.alpha / 2), *zip(self.keeps, amounts, strict=False))

    @property
    def next_level(self) -> float:
        """The error rate of the next try."""
        return sum(amount * share_of(self.begun + 1 - after) for after, amount in self.earned)

    @property
    def wealth(self) -> float:
        """What is left for all further tries, if none of them is kept."""
        # The shares of all tries up to the age n add up to 1 - SPREAD / (n + SPREAD).
        return sum(amount * SPREAD / (self.begun - after + SPREAD) for after, amount in self.earned)

    def begin(self) -> SeriesState:
        """The state after another try was begun."""
        return replace(self, begun=self.begun + 1)

    def keep(self) -> SeriesState:
        """The state after a try was kept."""
        return replace(self, keeps=(*self.keeps, self.begun))
