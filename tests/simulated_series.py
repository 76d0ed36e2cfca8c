"""Series of simulated tries, by the rules of the verdict *faster*, for many series at once.

A process gives a log ratio that is normal around the true one. A try has 5, 10 or 20 processes, and ends as
`harness.analysis.standing.is_settled` ends it; scipy has the quantiles, since ours are not for arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from harness.analysis.online import SPREAD
from harness.analysis.stats import FLOOR
from harness.records.settings import PLAIN_RATES, Speed

SETTINGS = Speed(until="decided").as_planned(plain=True)
#: The number of tries of a series, and the standard deviation of log ratios between processes.
TRIES, SPREAD_OF_PROCESSES = 200, 0.006

#: The error rates of the tries in all series, of shape (series,), from what was kept before, (tries so far, series).
Rule = Callable[[np.ndarray], np.ndarray]


def uncorrected(kept: np.ndarray) -> np.ndarray:
    """Each try by its own 95 % interval, whatever the others showed."""
    return np.full(kept.shape[1], 1.0)


def bonferroni(kept: np.ndarray) -> np.ndarray:
    """5 % divided by a number of tries that is known in advance."""
    return np.full(kept.shape[1], 0.05 / TRIES)


def online(kept: np.ndarray, alpha: float = 0.05) -> np.ndarray:
    """The rule of `harness.analysis.online`, for many series."""
    begun = len(kept)
    ages = begun + 1 - np.arange(1, begun + 1)
    shares = SPREAD / ((ages + SPREAD - 1) * (ages + SPREAD))
    first = kept & (np.cumsum(kept, axis=0) == 1)
    earned = np.where(first, alpha / 2, np.where(kept, alpha, 0.0))
    return alpha / 2 * SPREAD / ((begun + SPREAD) * (begun + 1 + SPREAD)) + shares @ earned


@dataclass(frozen=True)
class Outcome:
    """Rates over many series. `any_false` is the share of series with a false keep, `false_share` the mean share of
    false keeps among all keeps, `power` the share of good tries that are kept, `processes` their mean number."""

    any_false: float
    false_share: float
    power: float
    processes: float
    keeps: float


def tried(levels: np.ndarray, truth: np.ndarray, spread: float, draw: np.random.Generator):
    """Whether each of many tries with these error rates and true log ratios is kept, and by how many processes."""
    n, looks = len(truth), SETTINGS.looks
    values = truth[:, None] + spread * draw.standard_normal((n, looks[-1]))
    kept, going, processes = np.zeros(n, bool), np.ones(n, bool), np.zeros(n, int)
    for look, rate in zip(looks, PLAIN_RATES, strict=True):
        mean, error = values[:, :look].mean(1), values[:, :look].std(1, ddof=1) / math.sqrt(look)
        faster, decided, half = judged(mean, error, look, rate, levels)
        kept |= going & faster
        processes[going] = look
        last = error * math.sqrt(look / looks[-1])
        at_last = judged(mean, last, looks[-1], PLAIN_RATES[-1], levels)
        lacking = (mean + half < -FLOOR) & ~enough(mean, error, look, levels)
        settled = decided | ((half <= SETTINGS.half_width) & ~lacking)
        settled |= (at_last[2] > SETTINGS.half_width) & ~at_last[1]
        going &= ~settled
    return kept, processes


def judged(mean: np.ndarray, error: np.ndarray, look: int, rate: float, levels: np.ndarray):
    """Whether each is faster, whether it is decided at all, and the half-width of its 95 % interval."""
    half, narrow = (student.isf(tail, look - 1) * error for tail in (rate / 2, rate))
    margin = math.log1p(SETTINGS.margin)
    equivalent = (half <= SETTINGS.margin / 2) & (np.abs(mean) + narrow <= margin)
    faster = ~equivalent & (mean + half < -FLOOR) & enough(mean, error, look, levels)
    return faster, equivalent | faster | (mean - half > FLOOR), half


def enough(mean: np.ndarray, error: np.ndarray, look: int, levels: np.ndarray) -> np.ndarray:
    """Whether *faster* has a p value, over all looks, up to the error rate."""
    return student.sf((-mean - FLOOR) / error, look - 1) * len(SETTINGS.looks) <= levels


def simulate(
    rule: Rule, *, effect: float = 0.0, good: float = 0.0, others: float = 0.0, spread=SPREAD_OF_PROCESSES,
    series: int = 1000, seed: int = 1,
) -> Outcome:  # fmt: skip
    """Many series of 200 tries. A share `good` of the tries takes less time by the share `effect`; the other tries have
    the log ratio `others`."""
    draw = np.random.default_rng(seed)
    kept, good_ones = np.zeros((0, series), bool), np.zeros((0, series), bool)
    processes = 0.0
    for _ in range(TRIES):
        is_good = draw.random(series) < good
        truth = np.where(is_good, math.log1p(-effect), others)
        now, number = tried(rule(kept), truth, spread, draw)
        kept, good_ones = np.vstack([kept, now]), np.vstack([good_ones, is_good])
        processes += float(number.mean())
    wrong, all_ = (kept & ~good_ones).sum(0), kept.sum(0)
    return Outcome(
        any_false=float((wrong > 0).mean()),
        false_share=float((wrong / np.maximum(all_, 1)).mean()),
        power=float((kept & good_ones).sum() / max(1, good_ones.sum())),
        processes=processes / TRIES,
        keeps=float(all_.mean()),
    )


def table(series: int = 1000) -> Iterator[str]:
    """The rows of the table of docs/method.md."""
    rules = {"uncorrected": uncorrected, "Bonferroni": bonferroni, "series": online}
    cases = [("no effect", {}), ("0.3 % faster, the floor", {"others": -FLOOR})]
    cases += [
        (f"{100 * good:.0f} % of tries {100 * effect:.0f} % faster", {"effect": effect, "good": good})
        for good in (0.1, 0.5)
        for effect in (0.02, 0.03, 0.05)
    ]
    for spread in (0.006, 0.012):
        for words, case in cases:
            for name, rule in rules.items():
                found = simulate(rule, **case, spread=spread, series=series)
                yield (
                    f"{100 * spread:.1f} % | {words} | {name} | {100 * found.any_false:.1f} % | "
                    f"{100 * found.false_share:.2f} % | {100 * found.power:.1f} % | {found.processes:.1f}"
                )


if __name__ == "__main__":
    for line in table():
        print(line, flush=True)
