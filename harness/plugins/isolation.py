"""Isolation of plugin code: what it prints and raises, and the names it gives, must not harm the rest."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from harness.errors import Place, UserError

#: Characters that a terminal interprets as commands or as changes of direction, except line ends and tabs.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: Codes that turn colours on and off.
COLOUR = re.compile("\x1b\\[[0-9;]*m")
#: The most characters that are shown of the message of an exception.
MOST = 400


@contextmanager
def isolated(doing: str) -> Iterator[None]:
    """Run plugin code in this context. What it prints goes to the error stream, since a script may read our output. The
    streams and the working directory are restored afterwards. A Ctrl-C gets `doing` as a note, which says what was
    interrupted, as in "importing plugin x"."""
    streams, folder, output = (sys.stdout, sys.stderr), _folder(), _output()
    try:
        sys.stdout = sys.stderr
        yield
    except KeyboardInterrupt as stop:
        stop.add_note(doing)
        raise
    finally:
        with suppress(Exception):  # the plugin may have replaced the stream by anything
            sys.stdout.flush()
        sys.stdout, sys.stderr = streams
        if output is not None:
            os.dup2(output, 1)
            os.close(output)
        if folder is not None:
            os.fchdir(folder)
            os.close(folder)


@contextmanager
def errors_to(report: Callable[[str], None]) -> Iterator[None]:
    """Give the text of an exception of any class to `report`, and go on. A Ctrl-C is raised."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        report(error_text(error))


@contextmanager
def user_errors(what: str, where: Place | str | None = None) -> Iterator[None]:
    """Raise an exception of any class as a UserError that begins with `what`. A UserError and a Ctrl-C are raised."""
    try:
        yield
    except (KeyboardInterrupt, UserError):
        raise
    except BaseException as error:
        raise UserError(f"{what}: {error_text(error)}.", where=where) from error


def _folder() -> int | None:
    """The working directory, held open; None if it no longer exists."""
    with suppress(OSError):
        return os.open(".", os.O_RDONLY)
    return None


def _output() -> int | None:
    """A copy of standard output, which is then redirected to the error stream, also for programs that plugin code
    starts. None if the process has no such streams."""
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
    """Text that is safe to print on a terminal: without colours, and with control characters as escape codes."""
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), COLOUR.sub("", text))


def one_line(text: str) -> str:
    """The same text on one line."""
    return visible(" ".join(text.split()))


def error_text(error: BaseException) -> str:
    """Type and message of an exception on one line. Its class may itself raise when it is printed."""
    try:
        text = one_line(str(error))
    except BaseException:
        text = "its message cannot be read"
    if len(text) > MOST:
        text = text[:MOST] + "..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def caught(owner: str, problems: list[str]) -> Iterator[None]:
    """Run code of `owner` in this context. What it raises is added to `problems`, once, and goes no further, except a
    Ctrl-C."""

    def add(text: str) -> None:
        problem = f"{owner}: {text}"
        if problem not in problems:
            problems.append(problem)

    with errors_to(add):
        yield
