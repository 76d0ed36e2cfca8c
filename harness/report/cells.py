"""Names, numbers, intervals and verdicts as text: how every table, sentence and plot writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.analysis.finding import Finding
from harness.analysis.timing import Comparison
from harness.analysis.verdicts import EXCLUDED, Answer, Verdict
from harness.modes import step_name
from harness.records.plan import Block
from harness.records.record import Record

#: A cell whose value is not known.
UNKNOWN = "-"
#: The verdict of the row that the others are compared with.
BASELINE = "baseline"
FIRST_LOOK = "first look"
#: The header of a column of sizes, by scale.
SIZE_HEADERS = {"difference": "points", "ratio": "ratio", "number": "difference"}


@dataclass(frozen=True)
class Wording:
    """How a verdict looks on a page, and how a sentence states it: "b is `words` `preposition` a". By default the words
    are the verdict."""

    look: str
    preposition: str = ""
    words: str = ""


#: The verdicts, answers and other words of a column of verdicts.
WORDING: dict[str, Wording] = {
    Verdict.FASTER: Wording("less", "than"),
    Verdict.SLOWER: Wording("more", "than"),
    Verdict.BETTER: Wording("good", "than"),
    Verdict.WORSE: Wording("bad", "than"),
    Verdict.NOT_SLOWER: Wording("same", "than"),
    Verdict.NOT_WORSE: Wording("same", "than"),
    Verdict.EQUIVALENT: Wording("same", "to"),
    Verdict.UNDECIDED: Wording("open", "from", "not distinguishable"),
    Verdict.INSUFFICIENT: Wording("open", "with", "compared over too few seeds"),
    Verdict.UNRANKED: Wording("void", "against", "not ranked"),
    Verdict.IDENTICAL: Wording("void", "to"),
    Verdict.INVALID: Wording("void", "with", "not compared"),
    Verdict.SAME: Wording("same"),
    Verdict.MORE: Wording("more"),
    Verdict.LESS: Wording("less"),
    Verdict.NOISY: Wording("open"),
    Answer.HOLDS: Wording("good"),
    Answer.FAILS: Wording("bad"),
    BASELINE: Wording("base"),
}
#: The answers to claims as a report gives them.
ANSWERS: dict[str, str] = {Answer.HOLDS: "True", Answer.FAILS: "False", Answer.UNDECIDED: "Undecided"}
#: The names of metrics that are unclear by themselves.
NAMES = {"reached": "share that reached the target", "diverged": "share that diverged"}


def in_words(name: str) -> str:
    """The name of a metric, a quantity or an axis."""
    return NAMES.get(name) or name.replace("_per_second", "/s").replace("_", " ")


def subject_in_words(finding: Finding) -> str:
    """What a finding is about: the time of a training step, a score, a quantity."""
    return f"the time of {step_name(finding.mode)}" if finding.metric == "step_time" else in_words(finding.metric)


def section_words(words: str, *columns: tuple[str, str]) -> str:
    """The explanation of a section, with a line for each column of its tables."""
    return "\n".join([words, *(f"- {name}: {meaning}." for name, meaning in columns)])


def place_in_words(*parts: str) -> str:
    """A context, a mode or both; "all" where there is neither."""
    return " · ".join(part for part in parts if part) or "all"


def block_title(block: Block, mode: str) -> str:
    """The block and mode in words."""
    return f"{block.name} · {mode}"


def interval_header(confidence: float) -> str:
    """The header of a column of intervals."""
    return f"{100 * confidence:.3g} % interval"


def size_cells(finding: Finding) -> tuple[str, str]:
    """The size of a finding and its interval."""
    if finding.size is None:
        return UNKNOWN, ""
    return finding.in_words(finding.size), " to ".join(map(finding.in_words, finding.interval or ()))


def confidence_interval(finding: Finding) -> str:
    """The interval of a finding for a sentence; empty where there is none."""
    between = "–" if finding.scale == "ratio" else " to "
    bounds = between.join(map(finding.in_words, finding.interval or ()))
    return f"{100 * finding.confidence:.3g} % CI {bounds}" if bounds else ""


def verdict_cell(finding: Finding, *, first_look: bool = False) -> str:
    """The verdict, its reason, and the flags. A first look decides nothing, so it needs no reason."""
    words, reason = str(finding.verdict), finding.reason
    if first_look and finding.verdict not in EXCLUDED:
        words, reason = f"{FIRST_LOOK}: {words}", ""
    else:
        reason += still_needed(finding)
    return "; ".join([f"{words}: {reason}" if reason else words, *finding.flags])


def verdict_word(finding: Finding) -> str:
    """The verdict alone; a first look at times has none."""
    speed = finding.block.measures.speed
    quick = finding.metric == "step_time" and speed is not None and speed.quick
    return FIRST_LOOK if quick and finding.verdict not in EXCLUDED else str(finding.verdict)


def still_needed(finding: Finding) -> str:
    """What would settle an undecided comparison, as the end of its reason; empty if that is not known."""
    if not isinstance(finding, Comparison) or not finding.needs:
        return ""
    time = f" (about {duration(finding.seconds)})" if finding.seconds else ""
    return f"; {finding.needs} processes{time} should settle it"


def rounded_ratios(*ratios: float) -> list[str]:
    """Ratios for a sentence: two decimals, and three if one of them is near 1."""
    digits = 3 if any(abs(ratio - 1) < 0.1 for ratio in ratios) else 2
    return [f"{ratio:.{digits}f}" for ratio in ratios]


def p_cell(p: float | None) -> str:
    """A p value."""
    return UNKNOWN if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def duration(seconds: float) -> str:
    """A time in seconds, minutes or hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"


def milliseconds(seconds: float, form: str = ".2f") -> str:
    """A time of a step, without its unit."""
    return format(1e3 * seconds, form)


def amount(value: float, unit: str) -> str:
    """An amount with a unit of a fitting size."""
    if unit == "share":
        return f"{value:.1%}"
    if unit == "seconds":
        return f"{value * 1e3:.0f} ms" if value < 1 else f"{value:.2f} s"
    if unit == "bytes":
        return _scaled(value, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))
    if unit == "steps":
        return f"{value:,.0f} steps"
    if unit in ("FLOP", "FLOP/s"):
        return _scaled(value, 1000, tuple(f"{prefix}{unit}" for prefix in ("", "k", "M", "G", "T", "P")))
    return f"{value:,.0f}"


def _scaled(value: float, base: int, units: Sequence[str]) -> str:
    size = 0
    while abs(value) >= base and size < len(units) - 1:
        value, size = value / base, size + 1
    decimals = 0 if size == 0 or value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{decimals}f} {units[size]}"


def few_digits(number: float) -> str:
    """A number with as many digits as an interpolation deserves."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def common_baseline(those: Iterable[Finding]) -> str:
    """The name of what all of these are compared with."""
    names = list(dict.fromkeys(one.baseline for one in those))
    return names[0] if len(names) == 1 else "the baseline"


def every_context(count: int) -> str:
    """All of so many contexts."""
    return f"{'both' if count == 2 else f'all {count}'} contexts"


def first_few(texts: Iterable[str], most: int) -> list[str]:
    """The first of the texts, and how many more there are."""
    found = list(texts)
    return found if len(found) <= most else [*found[:most], f"and {len(found) - most} more"]


def listed(names: Sequence[str], most: int | None = None) -> str:
    """Names with commas, and an "and" before the last. Of more than `most`, the others are counted."""
    if most is not None and len(names) > most:
        names = [*names[:most], f"{len(names) - most} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def unseen_batches(verified: Iterable[Record]) -> list[str]:
    """The levels whose data come as batches that differ from those of the baseline, each in a sentence without a full
    stop."""
    return [
        f"The data of {record.level} come as batches, and only their number was compared with that of the baseline"
        for record in verified
        if "unseen_batches" in record.data
    ]
