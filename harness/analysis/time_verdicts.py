"""The verdict on a ratio of times: after how many processes, and by which interval (see docs/method.md)."""

from __future__ import annotations

import math

from harness.analysis import stats
from harness.analysis.stats import Estimate
from harness.analysis.verdicts import CLOSE, Verdict, conclude
from harness.records.plan import Block
from harness.records.settings import Speed

#: The fewest processes that give a verdict where processes take turns: each ratio is then of two processes, whose
#: difference takes more of them.
FEWEST_TURNS = 10


def looks_of(block: Block) -> tuple[int, ...]:
    """After how many processes a block's results are looked at; the first is the fewest that give a verdict."""
    looks = (block.measures.speed or Speed()).looks
    return tuple(look for look in looks if look >= FEWEST_TURNS) if block.takes_turns else looks


def decide(estimate: Estimate, settings: Speed, floor: float, least: int = stats.MIN_REPLICATES) -> tuple[Verdict, str]:
    """The verdict on an estimate, in the method's order, and the reason where it is undecided or invalid. `least` is
    the fewest processes that give one. A wide interval never shows equivalence, and neither do few processes."""
    if estimate.k < least and not settings.quick:
        return Verdict.INVALID, f"{estimate.k} of at least {least} processes"
    half = estimate.half_width()
    enough = estimate.k >= stats.MIN_REPLICATES or settings.quick
    margin = math.log1p(settings.margin) if half <= settings.margin / 2 and enough else None
    verdict = conclude(estimate, margin, floor, 0.05, Verdict.FASTER, Verdict.SLOWER)
    if verdict == Verdict.FASTER and lacks_level(estimate, settings, floor):
        p, level = faster_p(estimate, settings, floor), settings.faster_level
        return Verdict.UNDECIDED, f"faster by its 95 % interval, but p = {p:.2g}, and its series needs p <= {level:.2g}"
    if verdict != Verdict.UNDECIDED:
        return verdict, ""
    if half > settings.half_width:
        return verdict, f"interval is ±{100 * half:.1f} %, target ±{100 * settings.half_width:.1f} %"
    if not enough:
        return verdict, f"{estimate.k} of at least {stats.MIN_REPLICATES} processes for an equivalence"
    return verdict, CLOSE


def faster_p(estimate: Estimate, settings: Speed, floor: float) -> float:
    """The one-sided p value of *faster*: of a ratio this far below the floor, at any of the looks (Bonferroni)."""
    if estimate.mean >= 0:
        return 1.0
    return min(1.0, estimate.p_value(floor) * estimate.share / 2 * len(settings.looks))


def lacks_level(estimate: Estimate, settings: Speed, floor: float) -> bool:
    """Whether the interval shows *faster*, but not at the error rate that a series gives this try."""
    level = settings.faster_level
    return level is not None and estimate.interval()[1] < -floor and faster_p(estimate, settings, floor) > level
