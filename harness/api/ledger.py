"""The ledger of a series of tries: one file of JSON lines, to which lines are only appended.

The first line names the series and its error rate. Each try adds a line before it is measured, with the error rate that
it may use, and another line when it has ended. A try without the second line counts as spent.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.analysis.online import SeriesState
from harness.analysis.verdicts import Verdict
from harness.errors import Place, UserError
from harness.records.run_lock import RunLock

#: Raised when a field of a line changes its meaning.
FORMAT = 1
KEEP, DISCARD, UNDECIDED = "keep", "discard", str(Verdict.UNDECIDED)
#: The number of attempts to lock the ledger, and the seconds between them. A lock is held for milliseconds.
ATTEMPTS, PAUSE = 100, 0.1


@dataclass
class Try:
    """One try. `begun` is the line before its measurement, and `ended` the line after it, which is empty until then."""

    begun: Mapping[str, Any]
    ended: Mapping[str, Any] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """Its number in the series, from 1."""
        return int(self.begun["try"])

    @property
    def level(self) -> float:
        """The error rate at which it may be kept."""
        return float(self.begun["level"])

    @property
    def decision(self) -> str:
        """keep, discard or undecided; empty for a try that has not ended."""
        return str(self.ended.get("decision", ""))

    def row(self) -> dict[str, Any]:
        """Both lines as one dictionary."""
        return {**self.begun, "decision": None, **self.ended}


class Ledger:
    """The file of one series. Raises UserError where it cannot be read or is damaged."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.alpha = 0.0
        self.tries: list[Try] = []
        self.state = SeriesState(0.0)

    @property
    def name(self) -> str:
        """The name of the series."""
        return self.file.stem

    def counts(self) -> dict[str, int]:
        """How many tries have each decision, without those that have none."""
        found = Counter(one.decision or "not finished" for one in self.tries)
        return {word: found[word] for word in (KEEP, DISCARD, UNDECIDED, "not finished") if found[word]}

    @classmethod
    def read(cls, file: Path) -> Ledger:
        """The ledger as it is now."""
        ledger = cls(file)
        try:
            lines = file.read_bytes().split(b"\n")
        except OSError as error:
            raise UserError(f"the ledger cannot be read: {error.strerror}.", where=str(file)) from error
        # A process that was killed while it wrote leaves a last line without its end. It had measured nothing yet, or
        # its try counts as spent.
        for number, line in enumerate(lines[:-1], start=1):
            place = Place(str(file), number, 1)
            try:
                ledger._take(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                what = (
                    f"the ledger is damaged: {error if isinstance(error, Damaged) else 'this is no line of a ledger'}."
                )
                fix = "Restore the file, for example from a backup, or begin a series with another name."
                raise UserError(what, where=place, fix=fix) from error
        return ledger

    def _take(self, line: Mapping[str, Any]) -> None:
        """Add what a line says. Raises Damaged for a line that cannot follow the lines before it."""
        if not self.alpha:
            if line["format"] != FORMAT or not 0 < line["alpha"] < 1:
                raise Damaged("its first line is not that of a series")
            self.alpha = line["alpha"]
            self.state = SeriesState(self.alpha)
        elif "level" in line:
            if line["try"] != self.state.begun + 1:
                raise Damaged(f"try {line['try']} follows try {self.state.begun}")
            if not math.isclose(line["level"], self.state.next_level, rel_tol=1e-9):
                what = (
                    f"the error rate is {line['level']:.3g}, but the tries before it leave {self.state.next_level:.3g}"
                )
                raise Damaged(what)
            self.tries.append(Try(line))
            self.state = self.state.begin()
        else:
            one = self.tries[line["try"] - 1] if 0 < line["try"] <= len(self.tries) else None
            if one is None or one.ended:
                raise Damaged(f"try {line['try']} ends here, but {'has ended before' if one else 'was not begun'}")
            if line["decision"] not in (KEEP, DISCARD, UNDECIDED):
                raise Damaged(f"the decision {line['decision']!r} does not exist")
            one.ended = line
            self.state = self.state.keep() if line["decision"] == KEEP else self.state

    def append(self, line: Mapping[str, Any]) -> None:
        """Write a line and sync it, then take it. For use inside `locked`."""
        try:
            with self.file.open("r+b") as file:
                content = file.read()
                file.truncate(content.rfind(b"\n") + 1)  # without an incomplete last line
                file.seek(0, os.SEEK_END)
                file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UserError(f"the ledger cannot be written: {error.strerror}.", where=str(self.file)) from error
        self._take(line)


class Damaged(ValueError):
    """Why a line cannot stand where it does."""


@contextmanager
def locked(file: Path) -> Iterator[Ledger]:
    """The ledger, which no other process changes meanwhile. The file must exist."""
    lock = _lock(file)
    try:
        yield Ledger.read(file)
    finally:
        lock.release()


def _lock(file: Path) -> RunLock:
    for attempt in range(ATTEMPTS):
        try:
            return RunLock(file)
        except UserError as error:
            if attempt == ATTEMPTS - 1:
                what = f"another process has locked this series for {ATTEMPTS * PAUSE:.0f} s."
                raise UserError(what, where=str(file)) from error
            time.sleep(PAUSE)
        except OSError as error:
            raise UserError(f"the ledger cannot be opened: {error.strerror}.", where=str(file)) from error
    raise AssertionError("unreachable")


def now() -> str:
    """The time as a ledger has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
