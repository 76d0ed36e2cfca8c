"""Sentences that say why one trial takes longer or shorter than another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain, zip_longest

from harness.analysis.explain import Explanation, OperatorTime
from harness.analysis.profiles import ENGINE, UNATTRIBUTED, is_of
from harness.analysis.verdicts import Verdict
from harness.modes import step_name
from harness.report.cells import confidence_interval, listed

#: A sentence names operators from this share of the difference on, and at most this many increases and decreases.
NAMED, MOST_NAMED = 0.06, 3
LARGEST = "largest increases", "largest decreases"
#: The most characters of a reason in one line.
LINE = 150


def why_in_a_line(one: Explanation) -> str:
    """Why one trial takes longer or shorter than the other, in one sentence of at most about 150 characters."""
    if not one.explained:
        return nothing_to_explain(one)
    path, seconds = "; ".join(_other_path(one, one.level, "runs")), one.path_change.seconds
    if seconds:
        rest = _rest(one, seconds) if abs(one.difference - sum(seconds)) >= one.sensitivity else []
        return f"{'; '.join([path, *rest])}."
    head = f"{path} and spends" if path else f"{one.level} spends"
    shown: list[OperatorTime] = []
    for row in chain.from_iterable(zip_longest(*main_operators(one))):  # both kinds, also where there is little room
        if row and (not shown or len(_spent(one, head, [*shown, row])) <= LINE):
            shown.append(row)
    total = milliseconds(one, one.difference)
    return _spent(one, head, shown) if shown else f"{head} {total}, spread over many operators."


def _spent(one: Explanation, head: str, rows: Sequence[OperatorTime]) -> str:
    """A sentence that begins with `head` and says in which operators more and less time is spent."""
    parts = []
    for word, sign in (("more", 1), ("less", -1)):
        those = [row for row in rows if sign * row.difference > 0]
        places = [
            f"{'between operators' if row.operator == UNATTRIBUTED else f'in {short(row.operator)}'} "
            f"({milliseconds(one, row.difference)})"
            for row in those
        ]
        parts += [f"{word} time {', '.join(places)}"] if places else []
    return f"{head} {' and '.join(parts if one.difference > 0 else parts[::-1])}."


def nothing_to_explain(one: Explanation) -> str:
    """Why no causes are given: there is no difference, or the profile does not show it."""
    if one.decided:
        return (
            f"{one.level} takes {one.ratio:.3f}× as long as {one.baseline}, but {one.plain_ratio:.3f}× beside the "
            "profiler: the profile does not show why. Run it again."
        )
    low, high = one.interval or (math.nan, math.nan)
    size = f"{one.level}: no difference to explain. {one.ratio:.3f} [{low:.3f}, {high:.3f}]"
    settings = one.block.measures.speed
    if one.verdict == Verdict.EQUIVALENT and settings:
        return f"{size} is equivalent within the margin of {100 * settings.margin:.3g} %."
    return f"{size} includes no difference." if low <= 1 <= high else f"{size} is {one.verdict}: {one.reason}."


def sentence_of(one: Explanation) -> str:
    """Why one trial takes longer or shorter than the other, with all causes. The sizes add up to the difference."""
    if not one.explained:
        return nothing_to_explain(one)
    bounds = f" ({confidence_interval(one)})" if one.interval else ""
    size = f"{one.level} takes {one.ratio:.3f}× as long as {one.baseline} for {step_name(one.mode)}{bounds}"
    causes = [*_other_path(one, "it", "ran"), *_largest(one), *_more_calls(one)]
    return f"{size}, {milliseconds(one, one.difference)} per step: {'; '.join(causes)}."


def _other_path(one: Explanation, subject: str, verb: str) -> list[str]:
    """How the kernel paths differ, and the time of each where it is known."""
    paths = one.path_change
    lost, gained = listed(paths.lost or ("",)), listed(paths.gained or ("",))
    if paths.seconds:
        less, more = (milliseconds(one, value) for value in paths.seconds)
        return [f"{subject} {verb} {gained} ({more}) instead of {lost} ({less})"]
    if paths.lost and paths.gained:
        return [f"{subject} {verb} {gained} instead of {lost}"]
    words = {True: f"also {verb} {gained}", False: f"no longer {verb} {lost}"}
    return [f"{subject} {words[bool(paths.gained)]}"] if paths.lost or paths.gained else []


def _more_calls(one: Explanation) -> list[str]:
    a, b = (sum(each.merged.values()) for each in (one.a, one.b))
    if abs(b - a) < 0.1 * max(a, b):
        return []
    despite = "" if (b > a) == (one.difference > 0) else "despite "
    return [f"{despite}{abs(b - a):,.0f} {'more' if b > a else 'fewer'} operator calls ({a:,.0f} to {b:,.0f})"]


def _largest(one: Explanation) -> list[str]:
    """The largest increases and decreases and the rest, so that the numbers add up to the difference as it is shown.
    Where the times of kernel paths are known, they are what adds up, and the largest operators are parts of them."""
    increases, decreases = main_operators(one)
    names = [
        ", ".join(f"{short(row.operator)} ({milliseconds(one, row.difference)})" for row in rows)
        for rows in (increases, decreases, [*increases, *decreases])
    ]
    if one.path_change.seconds:
        return [*_rest(one, one.path_change.seconds), *([f"the largest parts: {names[2]}"] if names[2] else [])]
    found = [f"{words}: {text}" for words, text in zip(LARGEST, names, strict=False) if text]
    return [*found, *_rest(one, [row.difference for row in (*increases, *decreases)])]


def _rest(one: Explanation, named: Sequence[float]) -> list[str]:
    """What is missing from the times that are named to the whole difference, as both are shown."""
    digits = decimals(one)
    rest = round(1e3 * one.difference, digits) - sum(round(1e3 * seconds, digits) for seconds in named)
    return [f"everything else: {rest:+.{digits}f} ms"] if round(rest, digits) else []


def main_operators(one: Explanation) -> tuple[list[OperatorTime], list[OperatorTime]]:
    """The operators with the largest increases and the largest decreases over all phases, without those of kernel
    paths whose times are known."""
    least, paths = max(one.sensitivity, NAMED * abs(one.difference)), one.path_change
    known = (*paths.lost, *paths.gained) if paths.seconds else ()
    rows = [row for row in one.by_operator() if abs(row.difference) >= least and not is_of(row.operator, known)]
    increases = [row for row in rows if row.difference > 0]
    decreases = [row for row in rows if row.difference < 0]
    return increases[:MOST_NAMED], decreases[:MOST_NAMED]


def decimals(one: Explanation) -> int:
    """How many decimals the differences of an explanation have in milliseconds: three digits of the whole."""
    size = abs(1e3 * one.difference)
    return min(6, max(1, 2 - math.floor(math.log10(size)))) if size else 2


def milliseconds(one: Explanation, seconds: float) -> str:
    """A difference in the digits of an explanation."""
    return f"{1e3 * seconds:+.{decimals(one)}f} ms"


def others(count: int) -> str:
    """The name of the row of all other operators."""
    return f"{count} other{'s' * (count != 1)}"


def short(operator: str) -> str:
    """The name of an operator as tables show it."""
    if operator == UNATTRIBUTED:
        return "between operators"
    name = operator.removeprefix(ENGINE).removeprefix("aten::").removeprefix("torch::autograd::")
    return f"{name} (engine)" if operator.startswith(ENGINE) else name
