"""What a run answers, in a few sentences: its claims, or else what was found faster, slower, better or worse. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.analysis.break_even import Along, find_break_evens
from harness.analysis.claims import ClaimResult, place_of
from harness.analysis.findings import Findings
from harness.records import designs
from harness.records.plan import Block
from harness.report.tables.break_even import range_in_words
from harness.report.tables.effects import size_cells as effect_cells
from harness.report.tables.learning import size_cells

#: So many claims, levels or names are told; of the rest there is only a number.
MOST = 6
#: So many sentences are about break-evens, and so many contexts are told in each.
TOLD = 3
#: The verdicts in the order they are told, as they follow "is", and what joins them to the baseline's name.
IS = {
    "faster": ("faster", "than"),
    "slower": ("slower", "than"),
    "better": ("better", "than"),
    "worse": ("worse", "than"),
    "equivalent": ("equivalent", "to"),
    "undecided": ("not told apart", "from"),
    "insufficient": ("seen under too few seeds to be told", "from"),
    "unranked": ("not ranked", "against"),
    "invalid": ("not compared", "with"),
}
#: What the size of a claim's effect is of, by its scale.
UNITS = {"difference": " points", "ratio": " times", "exponent": " in the exponent"}
ANSWERS = {"holds": "Holds", "fails": "Fails", "undecided": "Undecided"}


@dataclass(frozen=True)
class Told:
    """One comparison as a sentence tells it: of which level, against what, by which score (nothing where it is of
    times), where, and how large it is."""

    level: str
    baseline: str
    by: str
    where: str
    verdict: str
    size: float | None
    number: str
    unit: str
    interval: str
    reason: str = ""


def answer_of(findings: Findings) -> tuple[str, ...]:
    """The answer in sentences, the most telling first; one that says so where nothing was found. Claims answer for
    themselves. Where none was decided, or a suite has none, comparisons do, or the effects of an ablation design. Where
    a level breaks even along some number, that is told last."""
    sentences = list(of_claims(findings.claims))
    if all(result.answer == "undecided" for result in findings.claims):
        compared = of_effects(findings) if findings.plan.factors else ()
        sentences += compared or of_levels(told_of(findings), is_quick(findings))
    if not is_quick(findings):
        sentences += of_break_evens(find_break_evens(findings))
    return tuple(sentences) or (nothing(findings),)


def is_quick(findings: Findings) -> bool:
    """Whether this is a first look, which decides nothing."""
    return any(block.measures.speed.quick for block in findings.plan.blocks if block.measures.speed)


def of_claims(results: Sequence[ClaimResult]) -> list[str]:
    """A sentence for each answer there is, with the effects that decide."""
    found = []
    for answer, word in ANSWERS.items():
        those = [claim_in_words(result) for result in results if result.answer == answer]
        if those:
            found.append(f"{word}: {'; '.join(some(those))}.")
    return found


def claim_in_words(result: ClaimResult) -> str:
    """The claim with the effect and interval where it is decided; without an effect, why it is not."""
    says = result.claim.says.rstrip(". ")
    if not result.size or result.decisive is None:
        return f"{says} ({result.reason})" if result.reason else says
    unit = UNITS.get(result.claim.scale, "")
    where = f"in {place_of(result.decisive)}" if result.contexts > 1 else ""
    return f"{says} ({', '.join(part for part in (result.size + unit, result.interval, where) if part)})"


def told_of(findings: Findings) -> list[Told]:
    """What was compared of step times, and by the scores that decide."""
    found = []
    modes = {c.mode for c in findings.comparisons}
    for c in findings.comparisons:
        if c.metric != "step_time":
            continue
        bounds = f"{c.interval[0]:.3f} to {c.interval[1]:.3f}" if c.interval else ""
        number = "" if c.ratio is None else f"{c.ratio:.3f}"
        where, baseline = place(c.block, c.mode if len(modes) > 1 else ""), c.block.baseline.level
        found.append(Told(c.level, baseline, "", where, c.verdict, c.ratio, number, "times as long", bounds, c.reason))
    for one in findings.lessons.learned:
        for level, learnt in findings.lessons.of(one).items():
            number, bounds = size_cells(learnt)
            by, where, baseline = learnt.metric.replace("_", " "), place(one.block), one.block.baseline.level
            unit = "points" if learnt.scale == "difference" else "times as much"
            found.append(
                Told(level, baseline, by, where, learnt.verdict, learnt.ratio, number, unit, bounds, learnt.reason)
            )
    return found


def place(block: Block, mode: str = "") -> str:
    """The context in words, empty where there is but one."""
    return " · ".join([*block.context.values(), *([mode] if mode else [])])


def of_levels(told: Sequence[Told], quick: bool = False) -> tuple[str, ...]:
    """A sentence for each level and what it was compared by: where it is what, and by how much."""
    levels: dict[tuple[str, str], list[Told]] = {}
    for one in told:
        levels.setdefault((one.level, one.by), []).append(one)
    sentences = [level_in_words(level, by, those) for (level, by), those in levels.items()]
    if quick and sentences:
        sentences[0] = f"A first look, which decides nothing: {sentences[0]}"
    more = len(sentences) - MOST
    rest = (f"{more} more comparison{'s are' if more > 1 else ' is'} in the tables.",) if more > 0 else ()
    return (*sentences[:MOST], *rest)


def level_in_words(level: str, by: str, told: Sequence[Told]) -> str:
    """All that was found of a level, by verdict: the size in one place, or the range over several."""
    pieces: list[str] = []
    for verdict, (word, joint) in IS.items():
        those = [one for one in told if one.verdict == verdict]
        if those:
            baselines = list(dict.fromkeys(one.baseline for one in those))
            # Once it has been said against what, the other verdicts need only their places.
            against = f" {joint} {baselines[0] if len(baselines) == 1 else 'the baseline'}" if not pieces else ""
            pieces.append(f"{word}{against}{places_in_words(those, len(told))}{sizes_in_words(those)}")
    return f"{f'By {by}, ' if by else ''}{level} is {'; '.join(pieces)}."


def places_in_words(those: Sequence[Told], of: int) -> str:
    """Where, as long as there is more than one place."""
    if of == 1:
        return ""
    if len(those) == of:
        return f" in {'both' if of == 2 else f'all {of}'} contexts"
    if len(those) <= 3:
        return f" in {listed([one.where for one in those])}"
    return f" in {len(those)} of {of} contexts"


def sizes_in_words(those: Sequence[Told]) -> str:
    """The size and its interval, or from the smallest to the largest; a reason where there is no size."""
    sized = sorted((one for one in those if one.size is not None), key=lambda one: one.size or 0.0)
    if not sized:
        reasons = list(dict.fromkeys(one.reason for one in those if one.reason))
        return f" ({'; '.join(some(reasons, 2))})" if reasons else ""
    low, high = sized[0], sized[-1]
    if len(sized) == 1:
        return f" ({low.number} {low.unit}{f', {low.interval}' if low.interval else ''})"
    return f" (from {low.number} {low.unit} in {low.where} to {high.number} in {high.where})"


def of_effects(findings: Findings) -> tuple[str, ...]:
    """What each factor of an ablation design does, by the estimand that its claims would speak of."""
    plan = findings.plan
    decisive = {(block.id, "step_time") for block in plan.blocks if block.measures.speed}
    decisive |= {(one.block.id, one.settings.metric) for one in findings.lessons.learned}
    groups: dict[tuple[str, str], list[str]] = {}
    for e in findings.effects:
        if (e.block.id, e.metric) not in decisive or e.kind not in designs.CLAIMED[plan.design] or e.ratio is None:
            continue
        size, bounds = effect_cells(e)
        words = f"{e.level} {', '.join(part for part in (size, bounds) if part)}: {e.verdict}"
        what = f"{e.metric.replace('_', ' ')} ({e.scale}, {e.kind})"
        groups.setdefault((place(e.block), what), []).append(words)
    sentences = [
        f"Effects on {what}{f' in {where}' if where else ''}: {'; '.join(some(words))}."
        for (where, what), words in groups.items()
    ]
    return tuple(some(sentences))


def of_break_evens(alongs: Sequence[Along]) -> list[str]:
    """A sentence for each level and number by which it breaks even, if it does so once and the data show both sides."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for along in alongs:
        where = " · ".join([*along.rest.values(), along.mode])
        for line in along.lines:
            if len(line.crossings) == 1 and line.crossings[0].low is not None and line.crossings[0].high is not None:
                (one,) = line.crossings
                words = f"{one.faster} {along.show(one.at)} ({range_in_words(one, along.show)}) in {where}"
                groups.setdefault((along.what.replace("_", " "), line.level, along.baseline), []).append(words)
    return [
        f"Along {what}, {level} is faster than {baseline} {'; '.join(some(words, TOLD))}."
        for (what, level, baseline), words in list(groups.items())[:TOLD]
    ]


def nothing(findings: Findings) -> str:
    """Why there is no answer yet."""
    if findings.failures:
        return f"Nothing could be compared: {findings.failures[0].reason or findings.failures[0].outcome}."
    if findings.resources.quantities:
        return "Nothing was timed or trained; what a step takes is in the tables."
    return "Nothing has been compared yet."


def some(texts: Iterable[str], most: int = MOST) -> list[str]:
    """The first of the texts, and how many more there are."""
    found = list(texts)
    return found if len(found) <= most else [*found[:most], f"and {len(found) - most} more"]


def listed(names: Sequence[str]) -> str:
    """Names with commas, and an "and" before the last."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
