"""Errors that a user can fix: where the mistake is, what it is, and what to do."""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CLAIM_FAILED, MISTAKE, FAILED, UNDECIDED, INTERRUPTED, PIPE_CLOSED = 1, 2, 3, 4, 130, 141
#: The meaning of each exit code.
EXIT_CODES = {
    0: "Success. A false claim is a finding and leaves the code at 0, unless --gate is given.",
    CLAIM_FAILED: "With --gate: a claim is false, also after a second measurement, or run B is worse than run A.",
    MISTAKE: "The command line, a suite or a plugin file has an error, and nothing was started; or the system has one, "
    "such as a full disk, and everything measured before is stored.",
    FAILED: "A trial failed or broke its promise, or a plugin, a reporter or this machine has a problem.",
    UNDECIDED: "With compare --gate: something is undecided, missing or not comparable.",
    INTERRUPTED: "Interrupted. Everything measured is stored, and run --resume continues.",
    PIPE_CLOSED: "The reader of the output closed it. Everything measured is stored.",
}
#: What the system answers when a disk, a quota or a file is full.
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

#: A number inside a text, unless it belongs to a word, as in conv2d.
NUMBER = re.compile(r"(?<![a-z_\d.])[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """A position in something that a user wrote: a file with line and column (counted from 1), or an option."""

    source: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}:{self.column}"


class UserError(Exception):
    """A mistake that the user can fix. Nothing is started, and the command ends with exit code 2.

    `what` says what is wrong, `where` names the place and `fix` what to do. All are plain sentences.
    """

    def __init__(self, what: str, *, where: Place | str | None = None, fix: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.fix = what, where, fix

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.what}{' ' + self.fix if self.fix else ''}"


class UserErrors(UserError):
    """Several mistakes that were found together."""

    def __init__(self, errors: Sequence[UserError]) -> None:
        super().__init__("; ".join(error.what for error in errors))
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence with the nearest known names, or the list of names if none is near. A name that differs only in its
    numbers is no typing error: 0.001 is another learning rate than 0.0001."""
    names = sorted(set(known))
    others = [name for name in names if NUMBER.sub("#", name) != NUMBER.sub("#", word)]
    near = difflib.get_close_matches(word, others, n=2, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    if not names:
        return "None is available."
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"Known: {shown}."
