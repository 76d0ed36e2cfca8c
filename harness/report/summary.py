"""What a run shows beside its claims, in a few sentences: what was faster, slower, better or worse, and where."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from harness.analysis.finding import Finding
from harness.analysis.findings import Findings
from harness.analysis.grouping import grouped
from harness.analysis.verdicts import Answer, Verdict
from harness.records import designs
from harness.report.cells import (
    confidence_interval,
    first_few,
    in_words,
    listed,
    place_in_words,
    size_cells,
    subject_in_words,
)
from harness.report.level_sentences import level_sentence
from harness.report.tables.along_axes import number_format, range_in_words
from harness.report.tables.learning import nothing_learned

#: The summary names at most this many levels and effects; of the rest it gives the number.
MOST = 6
#: At most this many sentences are about break-evens, each of at most this many contexts.
MOST_BREAK_EVENS = 3
#: From this ratio of times on, the summary says how to find out why.
MUCH = 2
#: What comes first in a summary and an answer that decide nothing yet.
UNDECIDED_YET = "First look, nothing is decided: "


def summary_of(findings: Findings) -> tuple[str, ...]:
    """What is found beside the claims in sentences, the most important first; one that says why where nothing was
    found."""
    sentences = tuple(other_sentences(findings))
    if not sentences and not findings.claims:
        sentences = (nothing(findings),)
    return (*nothing_learned_sentences(findings), *sentences, *slow_sentences(findings))


def nothing_learned_sentences(findings: Findings) -> list[str]:
    """For each sentence, the contexts in which nothing was learned by the score that decides."""
    contexts = [one for one in findings.learning.learned if nothing_learned(one, one.settings.metric)]
    by_sentence = grouped(contexts, lambda one: nothing_learned(one, one.settings.metric))
    found = []
    for sentence, those in by_sentence.items():
        names = [one.block.name for one in those if one.block.context]
        found.append(f"In {listed(names, 3)}: {sentence[0].lower()}{sentence[1:]}" if names else sentence)
    return found


def slow_sentences(findings: Findings) -> list[str]:
    """One sentence about the levels that are much slower than the baseline, with the command that shows why."""
    slow = [
        one for one in findings.comparisons
        if one.metric == "step_time" and one.verdict == Verdict.SLOWER and one.size is not None and one.size >= MUCH
        and not one.block.baseline.is_program  # a program has no operators
    ]  # fmt: skip
    if not slow or findings.is_quick or findings.plan.factors:
        return []
    worst = max(slow, key=lambda one: one.size or 0.0)
    command = shlex.join(["harness", "explain", findings.plan.suite, worst.baseline, worst.level])
    needs = "" if "profile" in worst.block.measures.kinds else "add `profile: {}` to `measure` and run it again; then "
    others = len({one.level for one in slow}) - 1
    more = f", and {others} more level{'s are' if others > 1 else ' is'} at least {MUCH}× as slow" if others else ""
    return [f"{worst.level} takes {worst.size:.1f}× as long as {worst.baseline}{more}. To see why: {needs}{command}"]


def other_sentences(findings: Findings) -> list[str]:
    """Where no claim was decided: the comparisons, or the effects of an ablation design. Then the break-evens."""
    sentences: list[str] = []
    if all(result.answer == Answer.UNDECIDED for result in findings.claims):
        sentences = effect_sentences(findings) if findings.plan.factors else []
        sentences = sentences or level_sentences(findings.deciding, quick=findings.is_quick)
    return sentences if findings.is_quick else [*sentences, *break_even_sentences(findings)]


def level_sentences(compared: Sequence[Finding], *, quick: bool = False) -> list[str]:
    """A sentence for each level, mode and metric: what it is, where, and by how much."""
    levels = grouped(compared, lambda one: (one.level, one.mode, one.metric))
    sentences = [f"{level_sentence(those)}." for those in levels.values()]
    if quick and sentences:
        sentences[0] = f"{UNDECIDED_YET}{sentences[0]}"
    more = len(sentences) - MOST
    rest = [f"{more} more comparison{'s are' if more > 1 else ' is'} in the tables."] if more > 0 else []
    return sentences[:MOST] + rest


def effect_sentences(findings: Findings) -> list[str]:
    """What each factor of an ablation design does, by the estimand that claims are about."""
    plan = findings.plan
    decisive = {(block.id, "step_time") for block in plan.blocks if block.measures.speed}
    decisive |= {(one.block.id, one.settings.metric) for one in findings.learning.learned}
    effects = [
        e for e in findings.effects
        if (e.block.id, e.metric) in decisive and e.kind in designs.CLAIMED[plan.design] and e.size is not None
    ]  # fmt: skip
    sentences = []
    for (context, subject, kind), those in grouped(
        effects, lambda e: (e.block.name, subject_in_words(e), e.kind)
    ).items():
        where = f" in {context}" if those[0].context else ""
        words = [
            f"{e.level} {', '.join(filter(None, (size_cells(e)[0], confidence_interval(e))))}: {e.verdict}"
            for e in those
        ]
        sentences.append(
            f"Effects on {subject} ({those[0].scale}, {kind}){where}: {'; '.join(first_few(words, MOST))}."
        )
    return first_few(sentences, MOST)


def break_even_sentences(findings: Findings) -> list[str]:
    """A sentence for each number and level that breaks even once, where the data show both sides."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for curves in findings.break_evens:
        show = number_format(curves)
        where = place_in_words(*curves.rest.values(), curves.mode)
        for curve in curves.curves:
            if len(curve.crossings) == 1 and None not in (curve.crossings[0].low, curve.crossings[0].high):
                (one,) = curve.crossings
                words = f"{one.faster} {show(one.at)} ({range_in_words(one, show)}) in {where}"
                groups.setdefault((in_words(curves.what), curve.level, curves.baseline), []).append(words)
    return [
        f"Along {what}, {level} is faster than {baseline} {'; '.join(first_few(words, MOST_BREAK_EVENS))}."
        for (what, level, baseline), words in list(groups.items())[:MOST_BREAK_EVENS]
    ]


def nothing(findings: Findings) -> str:
    """Why there is nothing to summarise."""
    if findings.failures:
        return f"Nothing could be compared: {findings.failures[0].reason or findings.failures[0].outcome}."
    if findings.quantities:
        return "Nothing was timed or trained; the tables show what a step takes."
    return "Nothing has been compared yet."
