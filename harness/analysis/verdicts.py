"""Every verdict, answer and flag, the sets that decisions rest on, and the rule that gives a verdict.

The words are spelled here and nowhere else. How a report words and colours them is in `harness.report.cells`.
"""

from __future__ import annotations

from enum import StrEnum

from harness.analysis.stats import Estimate


class Verdict(StrEnum):
    """What is concluded about one level, effect or amount."""

    #: A number that is shown without a conclusion.
    NONE = ""
    # For times.
    FASTER = "faster"
    SLOWER = "slower"
    # For scores over seeds; insufficient means too few seeds.
    BETTER = "better"
    WORSE = "worse"
    INSUFFICIENT = "insufficient"
    # For times and scores. At most the margin slower or worse; whether it is faster or better is open.
    NOT_SLOWER = "not slower"
    NOT_WORSE = "not worse"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"
    #: A ranking would mean nothing: the level computes something else on purpose, no level has learned anything, or the
    #: losses are different functions.
    UNRANKED = "unranked"
    #: The training runs are bit-identical to those of the baseline, so nothing was compared.
    IDENTICAL = "identical"
    #: The trial failed, or too little was measured.
    INVALID = "invalid"
    # For amounts.
    SAME = "same"
    MORE = "more"
    LESS = "less"
    NOISY = "noisy"
    # For one number in two runs.
    SHOWN = "shown"
    MISSING = "missing"
    NEW = "new"
    NOT_COMPARABLE = "not comparable"


#: There is a difference to the baseline.
DIFFERENT = frozenset({Verdict.FASTER, Verdict.SLOWER, Verdict.BETTER, Verdict.WORSE})
#: The interval allows only one conclusion.
DECIDED = DIFFERENT | {Verdict.EQUIVALENT}
#: The interval excludes one of the conclusions. More processes may decide more, so a run goes on.
LIMITED = frozenset({Verdict.NOT_SLOWER, Verdict.NOT_WORSE})
#: No claim, plot or other result rests on these.
EXCLUDED = frozenset({Verdict.INVALID, Verdict.UNRANKED, Verdict.IDENTICAL})
#: With these, a comparison of two runs has no answer.
OPEN = {Verdict.UNDECIDED, Verdict.INSUFFICIENT, Verdict.INVALID, Verdict.MISSING, Verdict.NOT_COMPARABLE}

#: The reason where an interval is narrow enough and decides nothing.
CLOSE = "the interval includes both no difference and more than the margin"


def conclude(
    estimate: Estimate, margin: float | None, floor: float, alpha: float, below: Verdict, above: Verdict
) -> Verdict:
    """Equivalent if the interval lies within the margin; `below` or `above` if it lies beyond the floor; otherwise
    undecided. Equivalence is tested first, so a significant difference within the margin is equivalent. `margin` and
    `floor` are in the estimate's units; without a margin nothing is equivalent. `alpha` is the error rate of each test.
    """
    if margin is not None:
        low, high = estimate.interval(1 - 2 * alpha)
        if -margin <= low and high <= margin:
            return Verdict.EQUIVALENT
    low, high = estimate.interval(1 - alpha)
    return below if high < -floor else above if low > floor else Verdict.UNDECIDED


def is_limited(estimate: Estimate, margin: float, alpha: float, *, lower_is_better: bool = True) -> bool:
    """Whether the interval excludes everything that is worse than no difference by more than the margin (a test of
    non-inferiority with the error rate `alpha`). `margin` is in the estimate's units."""
    low, high = estimate.interval(1 - 2 * alpha)
    return high <= margin if lower_is_better else -margin <= low


class Answer(StrEnum):
    """The answer to a claim."""

    HOLDS = "holds"
    FAILS = "fails"
    UNDECIDED = "undecided"


class Flag(StrEnum):
    """A remark on a verdict. Its `meaning` explains it and says what can be done."""

    meaning: str

    def __new__(cls, word: str, meaning: str) -> Flag:
        """A flag is the text `word`."""
        flag = str.__new__(cls, word)
        flag._value_, flag.meaning = word, meaning
        return flag

    CPU_CLOCK = "cpu-clock", "the core was shared, so CPU time decides; stop other programs to compare wall time"
    NOT_STATIONARY = "not-stationary", "step times still changed after the warm-up; stop other programs and rerun"
    TAIL_EFFECT = (
        "tail-effect",
        "the ratio of means or 10th percentiles differs by more than the margin; see samples",
    )
    MEAN_DECIDES = (
        "mean-decides",
        "some steps take much longer than a typical one, in all processes alike, so the mean over all steps decides",
    )
    DRIFTS = "drifts", "the ratio changes from the first half of a process to the second by more than the margin"
    OTHER_CPU_SHARE = (
        "other-cpu-share",
        "it waits, or works in other threads or processes, more than the baseline, so wall time decides",
    )
    SLOW_FIRST_CALL = (
        "slow-first-call",
        "the first call in a process takes more than 20 times as long as a later one; the ratio is of later calls",
    )
    DIFFERENT_RESULTS = (
        "different results",
        "on request, what it returns was not compared: speed says nothing about whether it is right",
    )
    RESTARTED = "restarted", "a step failed late in a process, so the counters of the trial were put back as well"
    NULL_BIASED = "null-biased", "the baseline differs from itself, so nothing is decided; stop other programs, rerun"
    CONTENDED = "contended", "cores were shared, so this time includes other programs; stop them and rerun"
    ONE_OF_MANY = (
        "one-of-many",
        "not significant after correction for multiple comparisons (Benjamini-Hochberg, 5 %). To test it, add it to "
        "the suite as a claim and rerun",
    )
    CHANGES_MODEL = "changes model", "the model is a different one: speed says nothing about what it learns"
    CHANGES_UPDATE = "changes update", "the weights are updated differently: speed says nothing about what it learns"
    CHANGES_ORDER = "changes example order", "examples come in a different order: compare learning over several seeds"
    EXTENDED = "extended", "seeds were added after a look at the results, so the intervals are too narrow"
    DIVERGED = "diverged", "some of these seeds diverged; each counts with the score of the untrained model"
    OWN_OBJECTIVE = (
        "own objective",
        "its loss may be another function than the baseline's; compare another score, or give the dataset a criterion",
    )
    FLIPS_DISAGREE = "flips-disagree", "sign-flip test and t interval disagree: the result rests on a few seeds"
    FAR_APART = "far apart", "the runs began over an hour apart, so twice the spread is assumed; --history measures it"
    OTHER_MACHINE = "other machine", "ratios differ between machines; --allow FIELD accepts a difference"
    OTHER_SEEDS = "other seeds", "the runs share too few seeds, so they are compared as two independent samples"


#: The flag of a trial by what its optimizations change; those that change the answer are not ranked at all.
CHANGE_FLAGS = {"model": Flag.CHANGES_MODEL, "update": Flag.CHANGES_UPDATE, "order": Flag.CHANGES_ORDER}
#: With these, neither the verdict *equivalent* nor a claim of no or a limited difference rests on the interval.
FORBID_EQUIVALENCE = frozenset({Flag.TAIL_EFFECT, Flag.DRIFTS})
#: With these, no interval decides anything.
FORBID_DECISION = frozenset({Flag.NULL_BIASED, Flag.CONTENDED})
#: These say nothing about whether a claim is true: its author chose the level, and a family of claims is corrected.
BESIDE_CLAIMS = frozenset({Flag.ONE_OF_MANY, Flag.DIFFERENT_RESULTS, *CHANGE_FLAGS.values()})
