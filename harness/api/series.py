"""A series of tries against a baseline, which keeps the rate of false *faster* over all of them.

    series = Series.named("night", results)
    attempt, session = series.begin(session)
    result = ...  # of the session
    decision = series.finish(attempt, result)

Each try is one run of two versions, which measures the baseline anew. `harness.analysis.online` has the rule, and
docs/method.md the reasons.
"""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.analysis.time_verdicts import faster_p
from harness.analysis.timing import Comparison
from harness.analysis.verdicts import Verdict
from harness.api.ledger import DISCARD, FORMAT, KEEP, UNDECIDED, Ledger, Try, locked, now
from harness.api.result import Result
from harness.api.session import Session
from harness.errors import CLAIM_FAILED, UserError, did_you_mean
from harness.errors import UNDECIDED as UNDECIDED_CODE
from harness.records.plan import Plan

#: The rate of false keeps of a new series.
ALPHA = 0.05
#: The exit code of each decision.
CODES = {KEEP: 0, DISCARD: CLAIM_FAILED, UNDECIDED: UNDECIDED_CODE}
#: With these verdicts, a try is not worth another measurement.
DISCARDED = (Verdict.SLOWER, Verdict.EQUIVALENT, Verdict.INVALID)


@dataclass(frozen=True)
class Decision:
    """What to do with a try. `word` is keep, discard or undecided, and `reason` says why."""

    word: str
    reason: str
    number: int
    level: float
    next_level: float

    @property
    def code(self) -> int:
        """The exit code."""
        return CODES[self.word]

    def __str__(self) -> str:
        because = f": {self.reason}" if self.reason else ""
        return f"{self.word} (try {self.number}, error rate {self.level:.2g}){because}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "try": self.number, "decision": self.word, "reason": self.reason, "level": self.level,
            "next_level": self.next_level,
        }  # fmt: skip


class Series:
    """A series by its name. Its ledger is `results/series/NAME.jsonl`."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @classmethod
    def named(cls, name: str, results: Path, alpha: float | None = None) -> Series:
        """A series that exists, or a new one with the error rate `alpha`, by default 5 %. Raises UserError for another
        rate than that of the series."""
        file = file_of(name, results)
        line = {"series": name, "format": FORMAT, "alpha": alpha or ALPHA, "began": now()}
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o644))
        except OSError as error:
            raise UserError(f"the ledger cannot be made: {error.strerror}.", where=str(file)) from error
        with locked(file) as ledger:
            if not ledger.alpha:
                ledger.append(line)
            if alpha is not None and alpha != ledger.alpha:
                what = f"series {name} has the error rate {ledger.alpha:g}, not {alpha:g}."
                raise UserError(what, where=str(file), fix="Leave the rate out, or begin a series with another name.")
        return cls(file)

    def begin(self, session: Session) -> tuple[Try, Session]:
        """Enter a try before anything of it is measured, and give its run the error rate of the try. From here on the
        try counts, also if its run is interrupted. Raises UserError, and removes the run, if it is not one comparison
        of times with the plain variance."""
        try:
            old, new = versions_of(session.plan, str(self.file))
        except UserError:
            session.store.discard_if_empty()
            raise
        with locked(self.file) as ledger:
            ledger.append(
                {
                    "try": ledger.state.begun + 1, "level": ledger.state.next_level, "old": old, "new": new,
                    "run": os.path.relpath(session.store.folder), "host": socket.gethostname(), "began": now(),
                }
            )  # fmt: skip
            attempt = ledger.tries[-1]
        return attempt, session.with_faster_level(attempt.level)

    def finish(self, attempt: Try, result: Result) -> Decision:
        """Decide about a try by its result, and enter the decision. Raises UserError if the run did not use the error
        rate of the try, and if the try has ended before."""
        comparison = result.of().finding
        settings = comparison.block.measures.speed
        if not isinstance(comparison, Comparison) or settings is None or settings.faster_level != attempt.level:
            what = f"this run was not measured at the error rate {attempt.level:.3g} of try {attempt.number}."
            raise UserError(what, where=str(result.folder), fix="Measure the session that Series.begin returns.")
        word, reason = decision_on(comparison)
        estimate, floor = comparison.estimate, result.report.findings.floor
        with locked(self.file) as ledger:
            if ledger.tries[attempt.number - 1].ended:
                raise UserError(f"try {attempt.number} of series {ledger.name} has ended.", where=str(self.file))
            ledger.append(
                {
                    "try": attempt.number, "decision": word, "verdict": str(comparison.verdict), "reason": reason,
                    "ratio": comparison.size, "low": comparison.low, "high": comparison.high,
                    "p": faster_p(estimate, settings, floor) if estimate else None,
                    "processes": estimate.k if estimate else 0, "ended": now(),
                }
            )  # fmt: skip
            return Decision(word, reason, attempt.number, attempt.level, ledger.state.next_level)


def versions_of(plan: Plan, where: str) -> tuple[str, str]:
    """The baseline and the other version of a try. Raises UserError for a run that cannot be a try."""
    block = plan.blocks[0] if plan.blocks else None
    speed = block.measures.speed if block else None
    several = len(plan.blocks) != 1 or len(plan.blocks[0].trials) != 2
    if block is None or several or block.measures.learning:
        what = "a try of a series compares the times of one version with a baseline, and nothing else."
        raise UserError(what, where=where, fix="Name OLD and one NEW, and leave out scores.")
    if plan.claims:
        what = "a try of a series is kept if it is faster, and an expectation asks for something else."
        raise UserError(what, where=where, fix="Leave out the expectation (--expect), or the series.")
    if speed is None or speed.quick or speed.pooled or len(speed.of) != 1:
        what = "a try of a series needs times in one mode, the plain variance (as --gate has it), and no quick look."
        raise UserError(what, where=where)
    return block.baseline.level, block.trials[1].level


def decision_on(comparison: Comparison) -> tuple[str, str]:
    """Keep a try that is faster; discard one that is slower, equivalent or invalid."""
    verdict, reason = comparison.verdict, comparison.reason
    if verdict == Verdict.FASTER:
        return KEEP, reason
    return DISCARD if verdict in DISCARDED else UNDECIDED, reason or str(verdict)


def file_of(name: str, results: Path) -> Path:
    """The ledger of a series. Raises UserError for a name that is no name of a file."""
    if not re.fullmatch(r"\w[\w.-]{0,99}", name):
        what = f"expected a name of letters, digits, dots, hyphens and underscores, found {name!r}."
        raise UserError(what, where="--series")
    return results / "series" / f"{name}.jsonl"


def series_in(results: Path) -> list[str]:
    """The names of all series."""
    return sorted(file.stem for file in (results / "series").glob("*.jsonl"))


def ledger_of(name: str, results: Path) -> Ledger:
    """The ledger of a series that exists."""
    file = file_of(name, results)
    if not file.is_file():
        fix = did_you_mean(name, series_in(results))
        raise UserError(f"there is no series {name!r} in {results}.", fix=fix)
    return Ledger.read(file)
