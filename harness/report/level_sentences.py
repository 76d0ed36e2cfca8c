"""A sentence about one level: its verdicts over all contexts, and by how much it differs from the baseline."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.claim_words import place_of
from harness.analysis.finding import Finding
from harness.analysis.grouping import grouped
from harness.analysis.verdicts import EXCLUDED
from harness.modes import step_name
from harness.records.plan import LEARNING
from harness.report.cells import (
    WORDING,
    common_baseline,
    confidence_interval,
    every_context,
    first_few,
    in_words,
    listed,
    rounded_ratios,
    size_cells,
    still_needed,
)

#: So many contexts are named; of more, only the number is given.
MOST_PLACES = 3


def level_sentence(compared: Sequence[Finding]) -> str:
    """Everything about one level in one mode by one metric, without a full stop: "b is slower than a in all 3
    contexts: it takes 1.82 to 2.01 times as long for a training step"."""
    first, by_verdict = compared[0], grouped(compared, lambda one: one.verdict)
    baseline = common_baseline(compared)
    groups = [those for verdict in WORDING if (those := by_verdict.get(verdict))]  # type: ignore[call-overload]  # a verdict is a text
    if len(groups) == 1:
        return f"{first.level} is {_verdict(compared, baseline, len(compared))}{_size(compared, baseline)}"
    # Only the first verdict names the baseline and the metric.
    names = [baseline, *[""] * (len(groups) - 1)]
    pieces = [
        _verdict(those, name, len(compared)) + _sizes(those, named=those is groups[0])
        for those, name in zip(groups, names, strict=True)
    ]
    return f"{first.level} is {'; '.join(pieces)}"


def _verdict(those: Sequence[Finding], baseline: str, of: int) -> str:
    """The verdict that these have in common, and the contexts among `of` in which they have it."""
    wording = WORDING[those[0].verdict]
    words = f"{wording.words or those[0].verdict}{f' {wording.preposition} {baseline}' if baseline else ''}"
    if of == 1:
        return words
    if len(those) == of:
        return f"{words} in {every_context(of)}"
    places = [place_of(one) for one in those]
    return f"{words} in {listed(places) if len(places) <= MOST_PLACES else f'{len(places)} of {of} contexts'}"


def _size(those: Sequence[Finding], baseline: str) -> str:
    """The end of a sentence about all contexts: the size, with its interval in a single context; or why there is
    none."""
    numbers, first = _numbers(those), those[0]
    if not numbers:
        reasons = list(dict.fromkeys(one.reason for one in those if one.reason))
        return f": {'; '.join(first_few(reasons, 2))}" if reasons else ""
    interval = confidence_interval(first) + still_needed(first) if len(those) == 1 else ""
    interval = f" ({interval})" if interval else ""
    if first.metric == "step_time":
        return f": it takes {numbers} times as long for {step_name(first.mode)}{interval}"
    if first.scale == "ratio":
        return f": its {in_words(first.metric)} is {numbers} times that of {baseline}{interval}"
    return f": its {in_words(first.metric)} differs by {numbers}{' points' * (first.scale == 'difference')}{interval}"


def _sizes(those: Sequence[Finding], *, named: bool) -> str:
    """The sizes in brackets, with the name of the metric if it is to be `named`."""
    numbers, first = _numbers(those), those[0]
    if not numbers:
        return f" by {in_words(first.metric)}" if named and first.metric != "step_time" else ""
    if first.metric == "step_time":
        return f" ({numbers} times as long{f' for {step_name(first.mode)}' if named else ''})"
    unit = {"difference": " points", "ratio": " times"}.get(first.scale, "")
    return f" ({numbers}{unit}{f' in {in_words(first.metric)}' if named else ''})"


def _numbers(those: Sequence[Finding]) -> str:
    """The size, or the smallest and the largest; empty where there is none or none counts."""
    sized = sorted((one for one in those if one.size is not None), key=lambda one: one.size or 0.0)
    if not sized or (those[0].mode == LEARNING and those[0].verdict in EXCLUDED):
        return ""
    if len(sized) == 1:
        return size_cells(sized[0])[0]
    low, high = sized[0].size or 0.0, sized[-1].size or 0.0
    ends = rounded_ratios(low, high) if sized[0].scale == "ratio" else [sized[0].in_words(low), sized[0].in_words(high)]
    return " to ".join(dict.fromkeys(ends))
