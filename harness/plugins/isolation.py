"""Plugin code is somebody else's: what it prints, raises and calls itself must do no harm to the rest."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: What a terminal takes for a command or for a change of direction, but for ends of lines and tabs.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: What turns colours on and off.
COLOUR = re.compile("\x1b\\[[0-9;]*m")
#: The most characters of an exception's message that are shown.
MOST = 400


@contextmanager
def guest(doing: str) -> Iterator[None]:
    """Run plugin code inside. What it prints goes to the error stream, since what we print may be read by a script; the
    streams and the working directory are afterwards what they were. A Ctrl-C gets a note that says what was going on:
    `doing`, as in "importing plugin x"."""
    streams, folder, output = (sys.stdout, sys.stderr), _folder(), _output()
    try:
        sys.stdout = sys.stderr
        yield
    except KeyboardInterrupt as stop:
        stop.add_note(doing)
        raise
    finally:
        with suppress(Exception):  # whatever it has put in the place of a stream
            sys.stdout.flush()
        sys.stdout, sys.stderr = streams
        if output is not None:
            os.dup2(output, 1)
            os.close(output)
        if folder is not None:
            os.fchdir(folder)
            os.close(folder)


def _folder() -> int | None:
    """The working directory, held open; None where it is gone."""
    with suppress(OSError):
        return os.open(".", os.O_RDONLY)
    return None


def _output() -> int | None:
    """A copy of standard output, which from here on is the error stream: programs that plugin code starts print, too.
    None where the process has no such streams."""
    if sys.stdout is not None:
        sys.stdout.flush()
    with suppress(OSError):
        copy = os.dup(1)
        with suppress(OSError):
            os.dup2(2, 1)
            return copy
        os.close(copy)
    return None


def visible(text: str) -> str:
    """Text that a terminal only shows: colours are gone, and other control characters stand there by their codes."""
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), COLOUR.sub("", text))


def one_line(text: str) -> str:
    """The same on one line."""
    return visible(" ".join(text.split()))


def in_short(error: BaseException) -> str:
    """Type and message of an exception on one line, whatever its class makes of being asked."""
    try:
        text = one_line(str(error))
    except BaseException:
        text = "its message cannot be read"
    if len(text) > MOST:
        text = text[:MOST] + "..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
