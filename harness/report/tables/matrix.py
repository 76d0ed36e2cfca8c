"""The comparisons of a run as one matrix, levels by contexts: each cell has a size, half of its interval, a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from harness.analysis import seed_stats
from harness.analysis.claim_words import named_levels
from harness.analysis.effects import Effect
from harness.analysis.finding import Finding
from harness.analysis.findings import Findings
from harness.analysis.grouping import grouped
from harness.analysis.learning import LearningComparison
from harness.analysis.quantities import QuantityFinding
from harness.analysis.verdicts import DECIDED, EXCLUDED, Verdict
from harness.records import designs
from harness.report.cells import (
    UNKNOWN,
    WORDING,
    amount,
    in_words,
    listed,
    place_in_words,
    still_needed,
    subject_in_words,
)
from harness.report.tables.claims import capitalised
from harness.report.tables.comparisons import number_cell
from harness.report.tables.learning import value_in_words

#: From this half-width on, in percent, the interval of a ratio is shown itself.
WIDE = 30
#: So many levels with a flag are named.
MOST_FLAGGED = 4
#: Why a verdict is missing is said of at most this many comparisons.
MOST_REASONS = 2


class Place(NamedTuple):
    """Where levels were compared, and by what. `titled` is the context with the names of axes beside numbers."""

    context: str
    titled: str
    mode: str
    metric: str


class Cell(NamedTuple):
    """One comparison. `look` is that of its verdict (see `harness.report.cells.WORDING`)."""

    size: str
    verdict: str = ""
    look: str = ""

    @property
    def text(self) -> str:
        """The size and the verdict."""
        return " ".join(filter(None, (self.size, self.verdict)))


@dataclass(frozen=True)
class Matrix:
    """The `cells` by (level, place). `places` has the short names of the contexts, modes and scores, and `titles` those
    with the axes of numbers; `axes` are the axes of the contexts. `baselines` has the baseline's own value at each
    place. `caption` says what the numbers are, and `notes` what the flags and the undecided comparisons mean."""

    axis: str
    axes: tuple[str, ...]
    baseline: str
    levels: tuple[str, ...]
    places: tuple[str, ...]
    titles: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell]
    baselines: tuple[str, ...]
    caption: str
    notes: tuple[str, ...]

    def cell(self, level: str, place: str) -> Cell:
        """The comparison of a level at a place; an empty cell where there is none."""
        return self.cells.get((level, place), Cell(UNKNOWN))


def matrix_of(findings: Findings) -> Matrix | None:
    """The matrix of the comparisons that answer the question of the suite; None where nothing was compared."""
    shown = answering(findings)
    if not shown:
        return None
    places = list(dict.fromkeys(map(place_of, shown)))
    names = dict(zip(places, names_of(places), strict=True))
    quick = findings.is_quick
    by_place = grouped(shown, place_of)
    return Matrix(
        axis=findings.plan.axis,
        axes=tuple(shown[0].context),
        baseline="" if isinstance(shown[0], Effect) else shown[0].baseline,
        levels=tuple(dict.fromkeys(one.level for one in shown)),
        places=tuple(names.values()),
        titles=tuple(names_of(places, titled=True)),
        cells={(one.level, names[place_of(one)]): cell_of(one, quick=quick) for one in shown},
        baselines=tuple(baseline_value(findings, by_place[place][0]) for place in places),
        caption=caption_of(shown),
        notes=() if quick else tuple(notes_of(shown, names)),
    )


def answering(findings: Findings) -> list[Finding]:
    """The comparisons that answer the question: the effects of a design, or else times and scores, and the quantities
    that claims are about. Where nothing was timed or trained, the first quantity of each kind of measurement."""
    plan = findings.plan
    if plan.factors:
        metrics = {"step_time", *(one.settings.metric for one in findings.learning.learned)}
        kinds = designs.CLAIMED[plan.design]
        if effects := [one for one in findings.effects if one.kind in kinds and one.metric in metrics]:
            return list[Finding](effects)
    claimed = dict.fromkeys((claim.metric, claim.of) for claim in plan.claims)
    quantities = [one for one in findings.quantities if one.level != one.baseline]
    chosen = [one for one in quantities if (one.metric, one.mode) in claimed]
    if not findings.deciding and not chosen:
        first = {kind.quantities[0].metric for kind in findings.kinds if kind.quantities}
        chosen = [one for one in quantities if one.metric in first]
    order = {place: number for number, place in enumerate(claimed)}
    chosen.sort(key=lambda one: order.get((one.metric, one.mode), 0))
    # The first claim says what matters most.
    first_claimed = [one for one in chosen if order.get((one.metric, one.mode)) == 0]
    others = [one for one in chosen if one not in first_claimed]
    return [*first_claimed, *findings.deciding, *others]


def place_of(one: Finding) -> Place:
    """The place of a comparison."""
    context, titled = (" · ".join(words) for words in (one.context.values(), named_levels(one.context)))
    return Place(context, titled, one.mode, one.metric)


def names_of(places: Sequence[Place], *, titled: bool = False) -> list[str]:
    """The names of places, without what is the same everywhere: the mode only where a metric was measured in several,
    the metric only where there are several. Times have the name of their mode."""
    modes = grouped(places, lambda place: place.metric)
    several = {metric for metric, those in modes.items() if len({place.mode for place in those}) > 1}
    found = []
    for place in places:
        parts = [place.titled if titled else place.context, place.mode if place.metric in several else ""]
        if len(modes) > 1 and not (place.metric == "step_time" and parts[1]):
            parts.append("time" if place.metric == "step_time" else in_words(place.metric))
        found.append(place_in_words(*parts) if any(parts) else in_words(place.metric))
    return found


def cell_of(one: Finding, *, quick: bool = False) -> Cell:
    """The cell of one comparison. A star marks flags, which the notes explain. A first look has no verdict."""
    look = WORDING[one.verdict].look if one.verdict in WORDING else ""
    if one.size is None or one.verdict in EXCLUDED:
        return Cell("", str(one.verdict) or UNKNOWN, look)
    size = " ".join(filter(None, (one.in_words(one.size), half_width(one))))
    return Cell(size) if quick else Cell(size, f"{one.verdict}{'*' if one.flags else ''}", look)


def half_width(one: Finding) -> str:
    """Half of the interval: of a ratio in percent of it, of a difference in its unit. A wide interval of a ratio is not
    symmetrical, so it is shown itself. Empty for an exact number."""
    if one.estimate is None or one.estimate.df <= 0 or not math.isfinite(one.estimate.error):
        return ""
    half = one.estimate.half_width(one.confidence)
    if not half:
        return ""
    if one.scale == "ratio":
        percent = 100 * math.expm1(half)
        if percent > WIDE and one.interval:
            return f"[{', '.join(map(one.in_words, one.interval))}]"
        return f"±{percent:.1f}%" if 0.05 <= percent < 9.95 else f"±{percent:.0f}%" if percent >= 1 else "±<0.1%"
    return f"±{100 * half:.1f}" if one.scale == "difference" else f"±{half:.2g}"


def baseline_value(findings: Findings, one: Finding) -> str:
    """What the baseline takes or scores where a level was compared with it."""
    if isinstance(one, Effect):
        return ""
    if isinstance(one, LearningComparison):
        values = np.array(one.baseline_values)
        known = len(values) > 0
        return value_in_words(seed_stats.average(values, one.score.compared), one.metric, one.score) if known else ""
    if isinstance(one, QuantityFinding):
        kind = next(kind for kind in findings.kinds if one in kind.quantities)
        base = kind.of(one.block, one.mode).get((one.baseline, one.metric))
        return "" if base is None else amount(base.value, one.quantity.unit)
    text = number_cell(findings, one.block, one.baseline, one.mode, one.metric)
    return "" if text == UNKNOWN else text


def caption_of(shown: Sequence[Finding]) -> str:
    """What the numbers of the cells are."""
    first, subjects = shown[0], {subject_in_words(one) for one in shown}
    scales = {one.scale for one in shown}
    forms = {"ratio": "ratio", "difference": "difference in points", "number": "difference"}
    form = " or ".join(words for scale, words in forms.items() if scale in scales)
    what = capitalised(subjects.pop().removeprefix("the ")) if len(subjects) == 1 else ""
    if isinstance(first, Effect):
        text = f"{what or 'Effects'}: effect of each factor ({first.kind}) as a {form}"
    else:
        text = f"{what}: {form} to {first.baseline}" if what else f"{capitalised(form)} to {first.baseline}"
    if any(half_width(one) for one in shown):
        text += f", ± half of the {100 * first.confidence:.3g} % interval"
    return f"{text}."


def notes_of(shown: Sequence[Finding], names: Mapping[Place, str]) -> Iterator[str]:
    """The flags with their levels, and why some comparisons have no verdict."""
    flagged = grouped(((flag, one) for one in shown for flag in one.flags), lambda pair: pair[0])
    for flag, pairs in flagged.items():
        yield f"*{flag}: {listed(flagged_levels([one for _, one in pairs], shown, names), MOST_FLAGGED)}."
    open_ones = [one for one in shown if one.verdict not in DECIDED and one.reason]
    open_ones = [one for one in open_ones if one.verdict != Verdict.INVALID]  # among the failures
    for one in open_ones[:MOST_REASONS]:
        where = f" in {names[place_of(one)]}" if len(names) > 1 else ""
        yield f"{one.level}{where} is {one.verdict}: {one.reason}{still_needed(one)}."
    if len(open_ones) > MOST_REASONS:
        yield f"{len(open_ones) - MOST_REASONS} more have no verdict."


def flagged_levels(flagged: Sequence[Finding], shown: Sequence[Finding], names: Mapping[Place, str]) -> list[str]:
    """The levels with a flag; with the places where these are not all places of the level with the same metric."""
    found = []
    for level, those in grouped(flagged, lambda one: one.level).items():
        metrics = {one.metric for one in those}
        every = sum(one.level == level and one.metric in metrics for one in shown)
        places = listed([names[place_of(one)] for one in those], 1)
        found.append(level if len(those) == every else f"{level} ({places})")
    return found
