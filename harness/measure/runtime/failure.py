"""Failures of a trial, with its level within the block and the reason in a sentence."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import UserError
from harness.plugins.isolation import error_text, one_line

HERE = str(Path(__file__).parents[1])


class TrialFailed(Exception):
    """A trial raised, or returned an invalid value. `level` is its level within the block."""

    def __init__(self, level: str, reason: str) -> None:
        super().__init__(f"{level}: {reason}")
        self.level, self.reason = level, reason


@contextmanager
def failures_of(level: str, activity: str) -> Iterator[None]:
    """Raise an exception of any class as a TrialFailed of this level."""
    try:
        yield
    except (TrialFailed, KeyboardInterrupt):
        raise
    except BaseException as error:  # a trial's code may raise anything
        raise TrialFailed(level, f"{activity}: {reason_of(error)}") from error


def reason_of(error: BaseException) -> str:
    """The error on one line, with the line of plugin code that raised it. One of the harness itself says all that."""
    if isinstance(error, UserError):
        return one_line(str(error)).removesuffix(".")
    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        outside = not frame.filename.startswith(HERE) and "site-packages/torch" not in frame.filename
        if outside and not frame.filename.startswith("<"):
            place = f" ({Path(frame.filename).name}:{frame.lineno})"
    return f"{error_text(error)}{place}"
